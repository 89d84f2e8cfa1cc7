#!/usr/bin/python3
"""Managed by Puppet. Writes what no packaged exporter tells of this host, for the node exporter.

    fleet-metrics DIRECTORY   write DIRECTORY/fleet.prom anew, all at once

It is run every twenty seconds. /etc/fleet-metrics.json says who the peers are. What cannot be found
out is left out and named in fleet_metrics_failed, so that nobody takes silence for health.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

CONFIG = Path("/etc/fleet-metrics.json")
SUMMARY = Path("/var/cache/puppet/public/last_run_summary.yaml")
HELD = Path("/var/cache/puppet/state/agent_disabled.lock")
CERTIFICATES = Path("/var/lib/puppet/ssl/certs")
BACKUPS = Path("/srv/backup")
IN_FORCE = Path("/etc/puppet/code/environments/production")
POSTQUEUE = Path("/usr/sbin/postqueue")
PDNS_CONTROL = Path("/usr/bin/pdns_control")
ENOUGH_SECONDS = 1.0

# What PowerDNS counts, of a hundred things. Its own page of metrics would want a restart.
POWERDNS = (
    "corrupt-packets",
    "servfail-packets",
    "tcp-answers",
    "tcp-queries",
    "timedout-packets",
    "udp-answers",
    "udp-queries",
    "uptime",
)

# Numbers in Puppet's summary, and what they are called here.
PUPPET = {
    "time.last_run": ("fleet_puppet_last_run_seconds", "When Puppet ran last, Unix time."),
    "resources.failed": ("fleet_puppet_failed", "Resources that failed in the last run."),
    "resources.failed_to_restart": (
        "fleet_puppet_failed_to_restart",
        "Services that did not restart in the last run.",
    ),
    "resources.changed": ("fleet_puppet_changed", "Resources that the last run changed."),
    "resources.corrective_change": (
        "fleet_puppet_drifted",
        "Resources that were changed by hand, and the last run put right.",
    ),
    "events.failure": ("fleet_puppet_failures", "Events of the last run that failed."),
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One number.

    Attributes:
        name: of the metric, a gauge.
        meaning: of that, for people.
        value: the number.
        labels: whose it is.
    """

    name: str
    meaning: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return its line."""
        shown = ",".join(f'{key}="{escaped(text)}"' for key, text in self.labels.items())
        return f"{self.name}{{{shown}}} {self.value}" if shown else f"{self.name} {self.value}"


def escaped(text: str) -> str:
    """Return a label's value as the format wants it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def as_text(samples: Iterable[Sample]) -> str:
    """Return Prometheus' text format: all samples of a name together, described once."""
    lines: dict[str, list[str]] = {}
    for each in samples:
        head = [f"# HELP {each.name} {each.meaning}", f"# TYPE {each.name} gauge"]
        lines.setdefault(each.name, head).append(str(each))
    return "".join(f"{line}\n" for several in lines.values() for line in several)


def said(*argv: str) -> str:
    """Return what a command says; it has five seconds."""
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=5).stdout


def runs(unit: str) -> bool:
    """Whether a unit is active: one that is not has nothing to tell, and others tell that."""
    return subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0


def summary(text: str) -> dict[str, str]:
    """Return Puppet's summary of its last run, YAML of two levels: section.key -> text."""
    found, section = {}, ""
    for line in text.splitlines():
        if match := re.fullmatch(r"(\s*)\"?([\w:]+)\"?:\s*(.*)", line):
            indent, key, value = match.groups()
            if indent:
                found[f"{section}.{key}"] = value.strip("\"'")
            else:
                section = key
    return found


def handshakes(text: str, peers: Mapping[str, str]) -> dict[str, int]:
    """Return when each peer's last handshake was, Unix time, 0 for never.

    Args:
        text: what ``wg show wg0 dump`` says.
        peers: address in the mesh -> name.
    """
    found = {}
    for line in text.splitlines()[1:]:
        _, _, _, allowed, last, *_ = line.split("\t")
        for network in allowed.split(","):
            if name := peers.get(network.split("/")[0]):
                found[name] = int(last)
    return found


def reached(address: str, port: int) -> bool:
    """Return whether somebody is there: a refusal is an answer, too."""
    try:
        with socket.create_connection((address, port), timeout=ENOUGH_SECONDS):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def puppet() -> Iterator[Sample]:
    """Tell of Puppet's last run, and whether it is held."""
    found = summary(SUMMARY.read_text())
    for key, (name, meaning) in PUPPET.items():
        if key in found:
            yield Sample(name=name, meaning=meaning, value=float(found[key]))
    # The summary of a run that got no catalog has no resources.
    total, differ, put_right = (
        float(found.get(f"resources.{key}", 0)) for key in ("total", "out_of_sync", "changed")
    )
    failed = float(found.get("resources.failed", 0))
    yield Sample(
        name="fleet_puppet_compiled",
        meaning="Whether the last run got a catalog.",
        value=int(total > 0),
    )
    yield Sample(
        name="fleet_puppet_differing",
        meaning="Resources that differ and were left so (noop).",
        value=max(0.0, differ - put_right - failed),
    )
    yield Sample(
        name="fleet_puppet_held_since_seconds",
        meaning="Since when Puppet is held, Unix time; 0 if it is not.",
        value=HELD.stat().st_mtime if HELD.exists() else 0,
    )


def release() -> Iterator[Sample]:
    """Tell which release is in force, and since when, where that is decided."""
    if IN_FORCE.is_symlink():
        yield Sample(
            name="fleet_release_since_seconds",
            meaning="When the release in force was put in force, Unix time.",
            value=IN_FORCE.lstat().st_mtime,
            labels={"release": IN_FORCE.readlink().name},
        )


def certificates() -> Iterator[Sample]:
    """Tell until when Puppet's own certificates hold."""
    for path in sorted(CERTIFICATES.glob("*.pem")):
        text = said("openssl", "x509", "-in", str(path), "-noout", "-enddate").strip()
        until = datetime.strptime(text, "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
        yield Sample(
            name="fleet_certificate_until_seconds",
            meaning="Until when a certificate holds, Unix time.",
            value=until.timestamp(),
            labels={"name": path.stem},
        )


def mesh(peers: Mapping[str, str], port: int) -> Iterator[Sample]:
    """Tell which peers are reached through the mesh, and of their last handshakes."""
    for name, last in sorted(handshakes(said("wg", "show", "wg0", "dump"), peers).items()):
        yield Sample(
            name="fleet_wireguard_handshake_seconds",
            meaning="Last handshake, Unix time; 0 for never.",
            value=last,
            labels={"peer": name},
        )
    for address, name in sorted(peers.items()):
        yield Sample(
            name="fleet_peer_reached",
            meaning="Whether the peer answers through the mesh.",
            value=int(reached(address, port)),
            labels={"peer": name},
        )


def queue() -> Iterator[Sample]:
    """Tell how much mail waits to be delivered, and for how long."""
    if not POSTQUEUE.exists() or not runs("postfix.service"):
        return
    waiting = [json.loads(line) for line in said(str(POSTQUEUE), "-j").splitlines()]
    oldest = max((time.time() - each["arrival_time"] for each in waiting), default=0.0)
    yield Sample(
        name="fleet_mail_queue_messages", meaning="Messages in the queue.", value=len(waiting)
    )
    yield Sample(
        name="fleet_mail_queue_oldest_seconds",
        meaning="How long the oldest message has waited.",
        value=max(0.0, oldest),
    )


def powerdns() -> Iterator[Sample]:
    """Tell what PowerDNS has counted since it started."""
    if not PDNS_CONTROL.exists() or not runs("pdns.service"):
        return
    counted = dict(
        each.split("=", 1)
        for each in said(str(PDNS_CONTROL), "show", "*").split(",")
        if "=" in each
    )
    for name in POWERDNS:
        yield Sample(
            name=f"pdns_auth_{name.replace('-', '_')}",
            meaning=f"PowerDNS' own count of {name}.",
            value=float(counted[name]),
        )


def backups(clients: Sequence[str]) -> Iterator[Sample]:
    """Tell when whoever sends backups here has sent the last one."""
    for client in clients:
        yield Sample(
            name="fleet_backup_expected",
            meaning="Whether somebody is to send backups.",
            value=1,
            labels={"client": client},
        )
    for repository in sorted(BACKUPS.glob("*/snapshots")):
        yield Sample(
            name="fleet_backup_last_seconds",
            meaning="When the newest backup came, Unix time.",
            value=max((each.stat().st_mtime for each in repository.iterdir()), default=0.0),
            labels={"client": repository.parent.name},
        )


def units() -> Iterator[Sample]:
    """Tell which units have failed."""
    failed = json.loads(said("systemctl", "list-units", "--failed", "--output=json") or "[]")
    yield Sample(
        name="fleet_units_failed", meaning="How many units have failed.", value=len(failed)
    )
    for unit in failed:
        yield Sample(
            name="fleet_unit_failed",
            meaning="A unit that has failed.",
            value=1,
            labels={"unit": unit["unit"]},
        )


def clock() -> Iterator[Sample]:
    """Tell how far the clock is off, as chrony measures it against the internet's."""
    reference, _, stratum, _, offset, *_ = said("chronyc", "-c", "tracking").strip().split(",")
    yield Sample(
        name="fleet_clock_synchronised",
        meaning="Whether chrony has somebody to go by.",
        value=int(int(stratum) > 0 and reference != "7F7F0101"),
    )
    yield Sample(
        name="fleet_clock_offset_seconds",
        meaning="How far the clock is off, by chrony.",
        value=float(offset),
    )


def measure(parts: Mapping[str, Callable[[], Iterable[Sample]]]) -> list[Sample]:
    """Return everything; a part that fails takes nothing else with it."""
    found = []
    for name, part in parts.items():
        failed = 0
        try:
            found += list(part())
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
        found.append(
            Sample(
                name="fleet_metrics_failed",
                meaning="Whether a part could not be found out.",
                value=failed,
                labels={"part": name},
            )
        )
    return found


def main(argv: Sequence[str]) -> None:
    """Write the file, all at once."""
    config = json.loads(CONFIG.read_text())
    samples = measure(
        {
            "puppet": puppet,
            "release": release,
            "certificates": certificates,
            "mesh": lambda: mesh(config["peers"], config["port"]),
            "queue": queue,
            "powerdns": powerdns,
            "backups": lambda: backups(config["backup_clients"]),
            "units": units,
            "clock": clock,
        }
    )
    aside = Path(argv[1], "fleet.new")
    aside.write_text(as_text(samples))
    aside.chmod(0o644)
    aside.replace(Path(argv[1], "fleet.prom"))


if __name__ == "__main__":
    main(sys.argv)

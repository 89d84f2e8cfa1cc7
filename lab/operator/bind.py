"""A BIND that somebody set up by hand, edited over SSH as a careful person would.

Every file is copied before it is changed for the first time, checked before it takes effect, and
put back as it was when the change is undone.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from lab.errors import CheckFailedError, CouldNotError
from lab.operator import bind_config, zones
from lab.operator.bind_config import ServedZone
from lab.operator.dns import Dns, Question, answered
from lab.operator.ssh import Ssh
from lab.operator.zones import Zone

CONFIG: Final = "/etc/bind/named.conf"
SERVICE: Final = "named.service"
KEPT: Final = ".before-generalprove"
"""What is added to the name of a file that is kept as it was."""

_STATISTICS: Final = "/var/cache/bind/generalprove.stats"
_LOAD_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.2

# What an old zone may contain is not ours to judge; it is taken as it is served.
_COMPILE: Final = (
    *("named-compilezone", "-k", "ignore", "-n", "ignore", "-m", "ignore", "-i", "none"),
    *("-M", "ignore", "-S", "ignore", "-r", "ignore", "-W", "ignore", "-s", "full", "-o", "-"),
)


class BindError(CouldNotError):
    """The old name server could not be read or changed."""


class BindCheckError(CheckFailedError):
    """The old name server is not as it must be."""


@dataclass(frozen=True, kw_only=True)
class BindState:
    """Whether the server runs.

    Attributes:
        active: whether it runs now.
        enabled: whether it will after the next boot.
        changed: whether its configuration is ours, and the old one kept.
    """

    active: bool
    enabled: bool
    changed: bool


class Bind:
    """The BIND of one host, as Debian packages it.

    Args:
        ssh: the way to the host.
        dns: asks the server what it serves.
        host: name of the host.
    """

    def __init__(self, *, ssh: Ssh, dns: Dns, host: str) -> None:
        self._ssh = ssh
        self._dns = dns
        self._host = host

    def state(self) -> BindState:
        """Return whether it runs, and whether we have changed it."""
        script = f"""
            systemctl is-active {SERVICE} || true
            systemctl is-enabled {SERVICE} || true
            test ! -e {CONFIG}{KEPT} || echo changed
        """
        said = self._ssh.run(self._host, script).stdout.split()
        return BindState(
            active=said[0] == "active", enabled=said[1] == "enabled", changed="changed" in said
        )

    def served(self) -> tuple[ServedZone, ...]:
        """Return the zones that it is the primary of, with absolute names of their files."""
        config = self._config()
        home = PurePosixPath(bind_config.directory(config))
        return tuple(
            ServedZone(name=each.name, file=str(home / each.file))
            for each in bind_config.served(config)
        )

    def zones(self) -> dict[str, Zone]:
        """Return the zones that it serves, whole, by name.

        They are read from the master files, because an old server seldom lets anybody transfer
        a zone, not even itself; the serials tell whether that is what the server has loaded.

        Raises:
            BindCheckError: a file cannot be loaded, or was edited and not loaded since.
        """
        found = self._written()
        for name, loaded in self._loaded(found).items():
            if loaded != found[name].soa.serial:
                raise BindCheckError(
                    f"the file of {name} has serial {found[name].soa.serial}, "
                    f"but {loaded} is served",
                    where=self._host,
                    remedy=f"`rndc reload {name}` there, or undo the edit",
                )
        return found

    def is_dynamic(self, name: str) -> bool:
        """Return whether the zone changes by itself: its file is then not ours to write."""
        said = self._ssh.run(self._host, ["rndc", "zonestatus", name]).stdout
        return re.search(r"^(dynamic|inline signing): yes$", said, re.MULTILINE) is not None

    def allow_transfers(
        self, names: Iterable[str], *, key: str, secret: str, to: Iterable[str]
    ) -> None:
        """Let *names* be transferred with a key, and count what is asked about each.

        Args:
            names: zones.
            key: name of the key.
            secret: the key in base64.
            to: addresses that are told of every change.
        """
        config = self._config(CONFIG + KEPT if self.state().changed else CONFIG)
        changed = bind_config.with_transfers(config, names, key=key, secret=secret, to=to)
        changed = bind_config.with_options(changed, {"statistics-file": f'"{_STATISTICS}"'})
        script = f"""
            cd /etc/bind
            test -e {CONFIG}{KEPT} || cp -a {CONFIG} {CONFIG}{KEPT}
            cp -a {CONFIG} {CONFIG}.new
            chmod o-r {CONFIG}.new
            cat >{CONFIG}.new
            named-checkconf {CONFIG}.new
            mv -T {CONFIG}.new {CONFIG}
            rndc reconfig
        """
        self._ssh.run(self._host, script, stdin=changed)

    def install(self, zone: Zone) -> None:
        """Serve *zone* instead of what is served now; its serial must be newer.

        Raises:
            BindError: the server did not load it.
        """
        file = self._file(zone.origin)
        quoted, kept, new = (shlex.quote(file + end) for end in ("", KEPT, ".new"))
        check = shlex.join([*_COMPILE[:-1], "/dev/null", zone.origin])
        script = f"""
            test -e {kept} || cp -a {quoted} {kept}
            cp -a {quoted} {new}
            cat >{new}
            {check} {new}
            mv -T {new} {quoted}
            ! systemctl is-active --quiet {SERVICE} || rndc reload {zone.origin}
        """
        self._ssh.run(self._host, script, stdin=zones.text(zone))
        if self.state().active:
            self._await(zone.origin, zone.soa.serial)

    def restore(self) -> None:
        """Put every file back as it was before the first change.

        Raises:
            BindError: the server did not load what was put back.
        """
        names = {CONFIG, *(each.file for each in self.served())}
        # Touched, because BIND does not load what seems to be older than what it has.
        script = "".join(
            f"test ! -e {kept} || {{ touch {kept}; mv -T {kept} {name}; }}\n"
            for name, kept in ((shlex.quote(n), shlex.quote(n + KEPT)) for n in sorted(names))
        )
        self._ssh.run(self._host, f"{script}rndc reconfig\nrndc reload\nrm -f {_STATISTICS}")
        for name, zone in self._written().items():
            self._await(name, zone.soa.serial)

    def start(self) -> None:
        """Let it run, now and after every boot."""
        self._ssh.run(self._host, ["systemctl", "enable", "--now", SERVICE])

    def stop(self) -> None:
        """Stop it for good."""
        self._ssh.run(self._host, ["systemctl", "disable", "--now", SERVICE])

    def questions(self) -> dict[str, int]:
        """Return how many questions about each zone it was asked since it counts."""
        script = f"rm -f {_STATISTICS}; rndc stats; cat {_STATISTICS}"
        return per_zone(self._ssh.run(self._host, script).stdout)

    def _config(self, path: str = CONFIG) -> str:
        return self._ssh.run(self._host, ["named-checkconf", "-p", path]).stdout

    def _file(self, name: str) -> str:
        for each in self.served():
            if each.name == name:
                return each.file
        raise BindError(f"it does not serve {name}", where=self._host)

    def _written(self) -> dict[str, Zone]:
        config = self._config()
        home = bind_config.directory(config)
        found = {}
        for each in bind_config.served(config):
            command = [*_COMPILE, "-w", home, each.name, str(PurePosixPath(home) / each.file)]
            said = self._ssh.run(self._host, command, check=False)
            if not said.ok:
                why = next(iter(said.stderr.splitlines()), "it said nothing")
                raise BindCheckError(f"{each.name} cannot be loaded: {why}", where=self._host)
            found[each.name] = zones.read(each.name, said.stdout)
        return found

    def _loaded(self, names: Iterable[str]) -> dict[str, int | None]:
        """Return the serial of each zone that is served; None for one that is not."""
        listed = list(names)
        questions = [Question(name=name, type="SOA") for name in listed]
        replies = self._dns.ask("127.0.0.1", questions, via=self._host)
        found = {n: answered(r, n, "SOA") for n, r in zip(listed, replies, strict=True)}
        return {name: int(soa[0].serial) if soa else None for name, soa in found.items()}

    def _await(self, name: str, serial: int) -> None:
        """Wait until *serial* of a zone is served: ``rndc reload`` only begins to load."""
        deadline = time.monotonic() + _LOAD_SECONDS
        while (loaded := self._loaded([name])[name]) != serial:
            if time.monotonic() > deadline:
                raise BindError(
                    f"it still serves {loaded} of {name}, not {serial}",
                    where=self._host,
                    remedy=f"`journalctl -u {SERVICE}` there says why",
                )
            time.sleep(_POLL_SECONDS)


def per_zone(statistics: str) -> dict[str, int]:
    """Return how many questions about each zone a dump of BIND's statistics counts."""
    section = statistics.partition("++ Per Zone Query Statistics ++")[2].partition("\n++")[0]
    found: dict[str, int] = {}
    zone = ""
    for line in section.splitlines():
        if header := re.match(r"\[(\S+)", line):
            zone = header[1].rstrip("]")
            found[zone] = 0
        elif counted := re.match(r"\s+(\d+) (UDP|TCP) queries received$", line):
            found[zone] += int(counted[1])
    return found

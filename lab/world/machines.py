"""The world's machines: what each is given before its first start, and how to see that it serves.

All start from one image (``image/``) in which nothing runs by itself; the files make the
difference. Pure: the engine does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.addresses import Address, block_networks
from lab.engine.base import File
from lab.fleet import Fleet, Site
from lab.world import latency
from lab.world.names import (
    NUMBERS,
    foreign_domain,
    machine_address,
    machine_name,
    registry_zones,
)
from lab.world.registry import registry_files
from lab.world.render import render
from lab.world.secrets import WorldSecrets

ROUTER: Final = "router"
RESOLVER: Final = "resolver"
OUTSIDE: Final = "outside"
MIRROR: Final = "mirror"
REGISTRY: Final = "registry"
MAILER: Final = "mailer"
CA: Final = "ca"
"""The name that the ACME authority answers to."""

PACKAGE_CACHE: Final = "/var/cache/apt-cacher-ng"
PACKAGE_PORT: Final = 3142
PEBBLE_PORT: Final = 14000
WATCHDOG_PORT: Final = 8088
WATCHDOG_SECONDS: Final = 120
"""After how many seconds of silence the fleet's watchdog is missed."""

WATCHDOG: Final = "/run/watchdog"
"""Where it is told that it was heard, or that it is silent."""

FOREIGN_MAIL: Final = "/var/mail/foreign"
"""The maildir in which the foreign mail server keeps what it gets, whoever it is for."""
AUTHORITY: Final = "/etc/ssl/lab-authority.pem"
"""Where the machine of the users has the root that they believe in."""

_PUMP: Final = Path(__file__).parent / "delay.py"
_FORGET: Final = f"""
postsuper -d ALL
find {FOREIGN_MAIL} -type f -delete
systemctl stop watchdog.service
"""
_LISTENER: Final = Path(__file__).parent / "watchdog.py"


@dataclass(frozen=True, kw_only=True)
class WorldMachine:
    """One machine of the world.

    Attributes:
        name: its name.
        number: what its addresses end in.
        address: its addresses in the lab.
        units: the systemd units that make it what it is; its boot starts them.
        files: absolute path -> file, written before the first start.
        ready: a command in it that ends well once it serves, and badly at once when one of its
            units fails. Whoever runs it sets the deadline.
        uplink: whether it also reaches what the laptop reaches.
        cache: a directory in it whose content outlives the lab and is shared by all labs.
        forget: a command after which it knows nothing of what happened in the lab; for one that
            goes on running when the lab returns to an earlier state.
    """

    name: str
    number: int
    address: Address
    units: tuple[str, ...]
    files: Mapping[str, File] = field(repr=False)
    ready: tuple[str, ...]
    uplink: bool = False
    cache: str = ""
    forget: tuple[str, ...] = ()


def world(
    fleet: Fleet, site: Site, *, secrets: WorldSecrets, netem: bool = False
) -> tuple[WorldMachine, ...]:
    """Return the world of *fleet* in a lab, the router first.

    Args:
        fleet: the fleet.
        site: the lab, which knows its block of addresses.
        secrets: of this lab's world.
        netem: whether the kernel holds packets back (:data:`lab.world.latency.NETEM_PROBE`);
            otherwise the router does it in user space.
    """
    return (
        _router(fleet, site, netem=netem),
        _registry(fleet, site, secrets),
        _resolver(fleet, site, secrets),
        _mirror(site),
        _outside(site, secrets),
        _mailer(fleet, site, secrets),
    )


def _router(fleet: Fleet, site: Site, *, netem: bool) -> WorldMachine:
    files = {"/etc/sysctl.d/90-router.conf": _file("router/sysctl.conf.j2")}
    plan = latency.distances(fleet, site)
    units: tuple[str, ...] = ()
    if plan and not netem:
        units = ("delay.service",)
        files |= {
            "/etc/systemd/system/delay.service": _file(
                "router/delay.service.j2", priority=latency.RULE_PRIORITY
            ),
            "/usr/local/lib/delay/delay.py": File(content=_PUMP.read_text()),
            "/etc/delay/lines.json": File(content=latency.lines(plan)),
            "/etc/delay/detours-v4": File(content=latency.detours(plan, latency.IPV4)),
            "/etc/delay/detours-v6": File(content=latency.detours(plan, latency.IPV6)),
        }
    active = "".join(f" && systemctl is-active --quiet {unit}" for unit in units)
    serves = f"[ $(cat /proc/sys/net/ipv4/ip_forward) = 1 ]{active}"
    return _machine(site, ROUTER, units=units, files=files, serves=serves)


def _registry(fleet: Fleet, site: Site, secrets: WorldSecrets) -> WorldMachine:
    own = machine_address(site, REGISTRY).v4
    serves = " && ".join(
        # Signed, and by the address that the cable brings.
        f"dig +short +dnssec +time=1 +tries=1 @{own} {zone} SOA | grep -q '^SOA 13 '"
        for zone in registry_zones(fleet)
    )
    files = registry_files(fleet, site, secrets)
    return _machine(site, REGISTRY, units=("named.service",), files=files, serves=serves)


def _resolver(fleet: Fleet, site: Site, secrets: WorldSecrets) -> WorldMachine:
    own, registry = machine_address(site, RESOLVER), machine_address(site, REGISTRY)
    lab_v4, lab_v6 = block_networks(site.block)
    server = machine_name(fleet, REGISTRY)
    files = {
        "/etc/unbound/unbound.conf": _file(
            "resolver/unbound.conf.j2", lab_v4=lab_v4, lab_v6=lab_v6
        ),
        "/etc/unbound/root.hints": _file("resolver/root.hints.j2", server=server, address=registry),
        "/etc/unbound/root.key": File(content=f". IN DS {secrets.anchor}\n"),
    }
    dig = "dig +dnssec +time=1 +tries=1"
    serves = (
        # The resolver is asked only when the registry answers: it remembers who did not.
        f"{dig} @{registry.v4} . SOA >/dev/null && "
        f"{{ {dig} @{own.v4} {server} A | grep -q '^;; flags:.* ad[ ;]' || "
        # It may have asked by itself before the registry answered: then it starts afresh.
        "{ unbound-control -q reload; false; }; }"
    )
    return _machine(site, RESOLVER, units=("unbound.service",), files=files, serves=serves)


def _mirror(site: Site) -> WorldMachine:
    own = machine_address(site, MIRROR).v4
    lab_v4, lab_v6 = block_networks(site.block)
    files = {
        "/etc/apt-cacher-ng/acng.conf": _file(
            "mirror/acng.conf.j2", cache=PACKAGE_CACHE, port=PACKAGE_PORT
        ),
        "/etc/nftables.conf": _file(
            "mirror/nftables.conf.j2", port=PACKAGE_PORT, lab_v4=lab_v4, lab_v6=lab_v6
        ),
        "/etc/sysctl.d/90-mirror.conf": _file("mirror/sysctl.conf.j2"),
    }
    return _machine(
        site,
        MIRROR,
        units=("nftables.service", "apt-cacher-ng.service"),
        files=files,
        serves=f"nc -z {own} {PACKAGE_PORT}",
        uplink=True,
        cache=PACKAGE_CACHE,
    )


def _outside(site: Site, secrets: WorldSecrets) -> WorldMachine:
    files = {
        "/etc/ssh/sshd_config.d/jump.conf": _file("outside/sshd.conf.j2"),
        "/etc/bind/bind.keys": _file("outside/bind.keys.j2", anchor=secrets.anchor),
        AUTHORITY: File(content=secrets.authority.root),
    }
    return _machine(site, OUTSIDE, units=("ssh.service",), files=files, serves="nc -z 127.0.0.1 22")


def _mailer(fleet: Fleet, site: Site, secrets: WorldSecrets) -> WorldMachine:
    """Everybody else: their mail server, the ACME authority (RFC 8555), a listener for a watchdog.

    The mail server sends what is handed in outside, and takes what comes. The authority lives as
    long as the machine: its root is new at each start, and so are its accounts. The listener
    notices when the fleet's monitoring has stopped to say that it runs.
    """
    files = {
        "/etc/postfix/main.cf": _file(
            "mailer/main.cf.j2",
            name=machine_name(fleet, MAILER).rstrip("."),
            domain=foreign_domain(fleet).rstrip("."),
            senders=machine_address(site, OUTSIDE),
            directory=FOREIGN_MAIL,
        ),
        "/etc/systemd/system/postfix.service.d/lean.conf": _file("mailer/lean.conf.j2"),
        "/etc/tmpfiles.d/mailer.conf": File(content=f"d {FOREIGN_MAIL} 0700 mail mail\n"),
    }
    files |= _acme_files(fleet, site, secrets) | _watchdog_files()
    return _machine(
        site,
        MAILER,
        units=("postfix.service", "acme.socket", "watchdog.socket"),
        files=files,
        # A connection would cost more than all the rest: it starts a server for one.
        serves="ss -Hltn sport = :25 | grep -q . && systemctl is-active --quiet acme.socket",
        # Else it would deliver what was sent in a time that never was, or miss whom it heard then.
        forget=("sh", "-ec", _FORGET),
    )


def _watchdog_files() -> dict[str, File]:
    units = "/etc/systemd/system"
    return {
        "/usr/local/lib/watchdog/watchdog.py": File(content=_LISTENER.read_text()),
        f"{units}/watchdog.service": _file("mailer/watchdog.service.j2", seconds=WATCHDOG_SECONDS),
        f"{units}/watchdog.socket": _file("mailer/watchdog.socket.j2", port=WATCHDOG_PORT),
    }


def _acme_files(fleet: Fleet, site: Site, secrets: WorldSecrets) -> dict[str, File]:
    certificate = secrets.authority.issue([machine_name(fleet, CA).rstrip(".")])
    units = "/etc/systemd/system"
    return {
        "/etc/pebble/pebble.json": _file("mailer/pebble.json.j2", port=PEBBLE_PORT),
        "/etc/pebble/chain.pem": File(content=certificate.chain),
        "/etc/pebble/key.pem": File(content=certificate.key, mode=0o600),
        f"{units}/pebble.service": _file(
            "mailer/pebble.service.j2",
            resolver=machine_address(site, RESOLVER).v4,
            port=PEBBLE_PORT,
        ),
        f"{units}/acme.service": _file("mailer/acme.service.j2", port=PEBBLE_PORT),
        f"{units}/acme.socket": _file("mailer/acme.socket.j2"),
    }


def _machine(
    site: Site,
    name: str,
    *,
    units: Sequence[str],
    files: Mapping[str, File],
    serves: str,
    uplink: bool = False,
    cache: str = "",
    forget: tuple[str, ...] = (),
) -> WorldMachine:
    """Return a machine whose boot starts *units*, and which is ready once *serves* succeeds."""
    role = {}
    failed = "false"
    if units:
        role = {
            "/etc/systemd/system/multi-user.target.d/role.conf": _file("role.conf.j2", units=units)
        }
        failed = f"systemctl is-failed --quiet {' '.join(units)}"
    wait = f"until {serves}; do if {failed}; then exit 1; fi; sleep 0.1; done"
    return WorldMachine(
        name=name,
        number=NUMBERS[name],
        address=machine_address(site, name),
        units=tuple(units),
        files={**files, **role},
        ready=("sh", "-c", wait),
        uplink=uplink,
        cache=cache,
        forget=forget,
    )


def _file(template: str, **values: object) -> File:
    return File(content=render(template, **values))

"""How far a change reaches on a host: what a run would touch, restart, open and install."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lab.promote.catalog import Catalog, Resource
from lab.promote.catalog_diff import Change, Kind

_ALLOW: Final = "Profile::Firewall::Allow"
_GONE: Final = frozenset({"absent", "purged"})
_SYSTEMCTL: Final = re.compile(
    r"\bsystemctl\s+(?:--\S+\s+)*(?P<verb>restart|try-restart|reload-or-restart|reload|start|stop)"
    r"\s+(?:--\S+\s+)*(?P<unit>[\w@.\\:-]+)"
)
_QUIET: Final = re.compile(r"\bsystemctl\s+daemon-reload\s*$")


@dataclass(frozen=True, kw_only=True)
class Service:
    """What happens to a service.

    Attributes:
        name: its unit.
        verb: ``restart``, ``reload``, ``start`` or ``stop``.
        because: the resource that sets it off.
    """

    name: str
    verb: str
    because: str


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port that others may come to.

    Attributes:
        number: of it.
        protocol: ``tcp`` or ``udp``.
        source: who may.
    """

    number: int
    protocol: str
    source: str

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.number}/{self.protocol} from {self.source}"


@dataclass(frozen=True, kw_only=True)
class Blast:
    """How far a change reaches on one host.

    Attributes:
        services: that are restarted, reloaded, started or stopped.
        commands: other commands that run.
        opened: ports that were closed.
        closed: ports that were open.
        installed: packages that come, or come in another version.
        removed: packages that go.
    """

    services: tuple[Service, ...] = ()
    commands: tuple[str, ...] = ()
    opened: tuple[Port, ...] = ()
    closed: tuple[Port, ...] = ()
    installed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def reaches(self) -> bool:
        """Whether it reaches anything at all."""
        return any(vars(self).values())


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a run of Puppet would touch on one host.

    Attributes:
        touched: resources that differ.
        told: resources that react to them -> which one tells them.
        purged: resources given up, which go where their directory is kept clean.
    """

    touched: frozenset[str]
    told: dict[str, str]
    purged: frozenset[str] = frozenset()

    @property
    def refs(self) -> frozenset[str]:
        """All that a run would touch."""
        return self.touched | self.told.keys()

    def covers(self, ref: str) -> bool:
        """Whether it was to be expected that a run touches a resource.

        Of a directory, what is in it as well.
        """
        if ref in self.refs or ref in self.purged:
            return True
        if not ref.startswith("File["):
            return False
        return any(ref.startswith(f"{one.removesuffix(']')}/") for one in self._directories)

    @property
    def _directories(self) -> list[str]:
        return [ref for ref in self.touched if ref.startswith("File[")]


def reach(new: Catalog, changes: Sequence[Change]) -> Reach:
    """Return what a run of Puppet would touch because of changes."""
    touched = frozenset(change.ref for change in changes if change.effect)
    return Reach(
        touched=touched,
        told=new.refreshed(sorted(touched)),
        purged=frozenset(change.ref for change in changes if change.kind is Kind.REMOVED),
    )


def blast(old: Catalog, new: Catalog, changes: Sequence[Change], touched: Reach) -> Blast:
    """Return how far changes reach.

    Args:
        old: what is in force.
        new: what is to be.
        changes: how they differ.
        touched: what a run would touch because of them.
    """
    services: dict[tuple[str, str], Service] = {}
    commands: list[str] = []
    for ref, because in _set_off(changes, touched).items():
        resource = new.resources[ref]
        found, other = _reaction(resource, because, added=ref not in old.resources)
        for service in found:
            services.setdefault((service.name, service.verb), service)
        commands += [ref] if other else []
    opened, closed = _ports(new) - _ports(old), _ports(old) - _ports(new)
    installed, removed = _packages(old, new, changes)
    return Blast(
        services=tuple(services[key] for key in sorted(services)),
        commands=tuple(sorted(commands)),
        opened=_sorted(opened),
        closed=_sorted(closed),
        installed=installed,
        removed=removed,
    )


def _set_off(changes: Sequence[Change], touched: Reach) -> dict[str, str]:
    """Return what does something -> because of what; by itself where that is the same."""
    own = {
        change.ref: change.ref
        for change in changes
        if change.effect and change.ref.startswith(("Service[", "Exec["))
    }
    return touched.told | own


def _reaction(resource: Resource, because: str, *, added: bool) -> tuple[list[Service], bool]:
    """Return the services that a resource acts on, and whether it is another command."""
    if resource.type == "Service":
        verb = _service_verb(resource, itself=because == resource.ref, added=added)
        return ([Service(name=resource.title, verb=verb, because=because)] if verb else []), False
    if resource.type != "Exec":
        return [], False
    command = resource.parameters.get("command") or resource.title
    text = " ".join(command) if isinstance(command, list) else str(command)
    found = [
        Service(name=match["unit"], verb=_plain(match["verb"]), because=because)
        for match in _SYSTEMCTL.finditer(text)
    ]
    return found, not found and not _QUIET.search(text)


def _service_verb(resource: Resource, *, itself: bool, added: bool) -> str:
    wanted = resource.parameters.get("ensure")
    if itself or added:
        return {"running": "start", True: "start", "stopped": "stop", False: "stop"}.get(wanted, "")
    restart = str(resource.parameters.get("restart", ""))
    match = _SYSTEMCTL.search(restart)
    return _plain(match["verb"]) if match else "restart"


def _plain(verb: str) -> str:
    return "restart" if "restart" in verb else verb


def _ports(catalog: Catalog) -> set[Port]:
    found: set[Port] = set()
    for resource in catalog.resources.values():
        if resource.type != _ALLOW:
            continue
        source = resource.parameters.get("from", "anywhere")
        found |= {
            Port(
                number=int(number),
                protocol=protocol,
                source=", ".join(source) if isinstance(source, list) else source,
            )
            for number in resource.parameters["ports"]
            for protocol in resource.parameters.get("protocols", ["tcp"])
        }
    return found


def _sorted(ports: Iterable[Port]) -> tuple[Port, ...]:
    return tuple(sorted(ports, key=lambda port: (port.number, port.protocol, port.source)))


def _packages(
    old: Catalog, new: Catalog, changes: Sequence[Change]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    installed: list[str] = []
    removed: list[str] = []
    for change in changes:
        if not change.ref.startswith("Package[") or not change.effect:
            continue
        resource = new.resources[change.ref]
        ensure = str(resource.parameters.get("ensure", "installed"))
        name = str(resource.parameters.get("name") or resource.title)
        known = old.resources.get(change.ref)
        if known is not None and known.parameters.get("ensure") == ensure:
            continue
        if ensure in _GONE:
            removed.append(name)
        else:
            plain = ensure in {"installed", "present", "latest", "held"}
            installed.append(name if plain else f"{name} {ensure}")
    return tuple(installed), tuple(removed)

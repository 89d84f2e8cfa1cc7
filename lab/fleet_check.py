"""What is wrong with a description of the fleet: pure functions to :class:`Problem`."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Final

from lab.addresses import BLOCK_V4, BLOCK_V6, WORLD_V4, WORLD_V6
from lab.fleet_file import KeyPath, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv6Address

    from pydantic import ValidationError

    from lab.fleet import Fleet, Host

WORLD_NAMES: Final = frozenset(
    {"router", "resolver", "outside", "mirror", "registry", "ca", "mailer"}
)
"""Machines of the lab's world; a host of that name would be taken for one."""

_CLAUSES: Final = {
    "extra_forbidden": "unknown key",
    "missing": "missing",
    "model_type": "should be a mapping of keys to values",
    "model_attributes_type": "should be a mapping of keys to values",
    "dict_type": "should be a mapping of keys to values",
    "tuple_type": "should be a list",
}
"""Pydantic's kinds of error that are better said in YAML's words."""


def problems_in_shape(error: ValidationError) -> list[Problem]:
    """Return what pydantic found, in this project's words."""
    return [
        Problem(
            path=tuple(part for part in detail["loc"] if part != "[key]"),
            reason=_CLAUSES.get(detail["type"]) or _clause(detail["msg"], detail["input"]),
        )
        for detail in error.errors()
    ]


def problems_between_parts(fleet: Fleet) -> list[Problem]:
    """Return what is wrong between parts that are each right in themselves."""
    return [
        *_cast(fleet),
        *_hosts(fleet),
        *_addresses(fleet),
        *_neighbours(fleet),
        *_latency(fleet),
    ]


def _clause(message: str, value: object) -> str:
    """Turn pydantic's sentence into a clause; its own ones leave the value out."""
    own = message.removeprefix("Value error, ")
    if own != message:
        return own
    text = message.removeprefix("Input ")
    shown = f", not {value!r}" if isinstance(value, str | int | float | None) else ""
    return text[:1].lower() + text[1:] + shown


def _cast(fleet: Fleet) -> Iterator[Problem]:
    """Who must be there: one control host, one legacy host, somewhere to move to."""
    hosts = fleet.hosts.values()
    control = [host.name for host in hosts if host.role == "control"]
    legacy = [host.name for host in hosts if host.legacy]
    for found, what in ((control, "with the role control"), (legacy, "marked legacy")):
        if len(found) != 1:
            names = f" ({', '.join(found)})" if found else ""
            reason = f"exactly one host {what} is needed, there are {len(found)}{names}"
            yield Problem(path=("hosts",), reason=reason)
    if not any(host.role == "production" for host in hosts):
        yield Problem(path=("hosts",), reason="a host with the role production is missing")
    domain = fleet.alerts.rpartition("@")[2].lower()
    if f".{domain}".endswith(f".{fleet.domain}"):
        reason = f"{domain} is the fleet's own, whose mail may be what an alert is about"
        yield Problem(path=("alerts",), reason=reason)
    if fleet.sites.production.domain == fleet.sites.lab.domain:
        reason = f"{fleet.sites.lab.domain} is already production's"
        yield Problem(path=("sites", "lab", "domain"), reason=reason)


def _hosts(fleet: Fleet) -> Iterator[Problem]:
    """What each host says of itself."""
    turns = Counter[int]()
    for key, host in fleet.hosts.items():
        path: KeyPath = ("hosts", key)
        if key in WORLD_NAMES:
            yield Problem(path=path, reason="this name is kept for a machine of the world")
        if host.name != key:
            yield Problem(path=(*path, "name"), reason="a host's name is its key; drop this one")
        if host.provider not in fleet.providers:
            reason = f"unknown provider {host.provider!r}"
            yield Problem(path=(*path, "provider"), reason=reason)
        if host.legacy and host.enrols in ("control", "dns", "web", "mail"):
            reason = "the legacy host cannot enrol before the step wipe"
            yield Problem(path=(*path, "enrols"), reason=reason)
        turns[host.promotion_order] += 1
        if turns[host.promotion_order] > 1:
            reason = f"{host.promotion_order} is already another host's turn"
            yield Problem(path=(*path, "promotion_order"), reason=reason)


def _addresses(fleet: Fleet) -> Iterator[Problem]:
    """Every address is somebody's alone, and lies where its kind lives."""
    owners: dict[IPv4Address | IPv6Address, str] = {}
    for key, host in fleet.hosts.items():
        for path, address in _addresses_of(host):
            full: KeyPath = ("hosts", key, *path)
            in_world = address in WORLD_V4 or address in WORLD_V6
            in_block = address in BLOCK_V4 or address in BLOCK_V6
            if address in owners:
                yield Problem(path=full, reason=f"{address} is already {owners[address]}")
            elif path[0] == "lab" and in_world:
                reserved = WORLD_V4 if address.version == 4 else WORLD_V6  # noqa: PLR2004
                reason = f"{address} overlaps {reserved}, which is kept for the world"
                yield Problem(path=full, reason=reason)
            elif path[0] == "lab" and not in_block:
                block = BLOCK_V4 if address.version == 4 else BLOCK_V6  # noqa: PLR2004
                yield Problem(path=full, reason=f"{address} lies outside the lab's {block}")
            elif path[0] != "lab" and in_block:
                yield Problem(path=full, reason=f"{address} lies inside the lab's own range")
            elif path[0] == "wireguard" and not address.is_private:
                yield Problem(path=full, reason=f"{address} is not a private address")
            owners.setdefault(address, f"{key}'s ({'.'.join(path)})")


def _addresses_of(host: Host) -> Iterator[tuple[tuple[str, ...], IPv4Address | IPv6Address]]:
    yield ("production", "v4"), host.production.v4
    yield ("production", "v6"), host.production.v6
    yield ("lab", "v4"), host.lab.v4
    yield ("lab", "v6"), host.lab.v6
    yield ("wireguard",), host.wireguard


def _neighbours(fleet: Fleet) -> Iterator[Problem]:
    """In the lab two providers never share a network: the reverse zones are made of these."""
    owners: dict[IPv4Network | IPv6Network, Host] = {}
    for key, host in fleet.hosts.items():
        networks = (
            ("v4", IPv4Network((host.lab.v4, 24), strict=False)),
            ("v6", IPv6Network((host.lab.v6, 48), strict=False)),
        )
        for family, network in networks:
            owner = owners.setdefault(network, host)
            alike = getattr(owner.lab, family) == getattr(host.lab, family)  # said already
            if owner.provider != host.provider and not alike:
                reason = f"overlaps {network} of {owner.name}, which hangs on another provider"
                yield Problem(path=("hosts", key, "lab", family), reason=reason)


def _latency(fleet: Fleet) -> Iterator[Problem]:
    """Each pair names two known providers, once."""
    seen: set[frozenset[str]] = set()
    for index, entry in enumerate(fleet.latency):
        path: KeyPath = ("latency", index, "between")
        pair = frozenset(entry.between)
        for name in sorted(pair - fleet.providers.keys()):
            yield Problem(path=path, reason=f"unknown provider {name!r}")
        if len(pair) == 1:
            yield Problem(path=path, reason="a provider has no delay to itself")
        elif pair in seen:
            yield Problem(path=path, reason=f"{' and '.join(sorted(pair))} are listed twice")
        seen.add(pair)

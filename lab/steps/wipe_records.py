"""Records that lead to a host whose services have moved: what is forgotten, and what must not be.

What only the old server needed is taken out: addresses of former name servers, its leave to send
mail, keys that it no longer has. Whatever else leads to it is somebody's decision, and refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import dns.reversename

from lab.operator.dns_tree import Delegation
from lab.operator.zones import APEX, RecordSet, Zone

Records = Mapping[str, tuple[RecordSet, ...]]
"""Zone -> record sets in it; one without values stands for one that is not there."""

_TLS_FIRST: Final = frozenset({443, 465, 993})
_ADDRESSES: Final = frozenset({"A", "AAAA"})
_TARGET: Final = {"CNAME": 0, "DNAME": 0, "NS": 0, "MX": 1, "SRV": 3, "SVCB": 1, "HTTPS": 1}
"""Which word of a value is the name of a server."""


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Names and addresses that matter.

    Attributes:
        old: addresses of the host that is given up.
        own: its own host name, absolute, which stays.
        former: absolute names of the zones' name servers before they moved.
        broken: zone and owner of TLSA records for which the server there has no such key.
    """

    old: tuple[str, ...]
    own: str
    former: frozenset[str] = frozenset()
    broken: frozenset[tuple[str, str]] = field(default_factory=frozenset)


def forgotten(naming: Naming, zones: Mapping[str, Zone]) -> Records:
    """Return the records that only the old host needed, as they are to be from now on."""
    gone = naming.former - _named(zones, naming)
    found: dict[str, tuple[RecordSet, ...]] = {}
    for origin, zone in zones.items():
        changed = tuple(
            new
            for each in zone.records
            if (new := _without(each, zone, naming=naming, gone=gone)) != each
        )
        if changed:
            found[origin] = changed
    return found


def leading(naming: Naming, zones: Mapping[str, Zone]) -> list[str]:
    """Return what leads people to the old host, record by record; its own name may."""
    there = _leading_names(naming, zones)
    gone = naming.former - _named(zones, naming)
    found = []
    for zone in zones.values():
        for each in zone.records:
            owner = zone.absolute(each.name).lower()
            if each.type in _ADDRESSES:
                if owner not in {naming.own, *gone}:
                    found += [f"{owner} {each.type} {v}" for v in each.values if v in naming.old]
                continue
            found += [
                f"{owner} {each.type} {value}"
                for value in each.values
                if _target(each.type, value) in there
                or (each.type in {"HTTPS", "SVCB"} and any(a in value for a in naming.old))
            ]
    return sorted(found)


def at_parents(
    naming: Naming, zones: Mapping[str, Zone], parents: Mapping[str, Delegation]
) -> list[str]:
    """Return what the parents of the zones say that leads to the old host."""
    there = _leading_names(naming, zones)
    found = []
    for zone, said in parents.items():
        for server in sorted(said.nameservers):
            glue = [each for each in said.glue.get(server, ()) if each in naming.old]
            found += [f"the parent of {zone} has the address {each} for {server}" for each in glue]
            if not glue and server in there:
                found.append(f"the parent of {zone} delegates it to {server}")
    return found


def _named(zones: Mapping[str, Zone], naming: Naming) -> set[str]:
    """Return the names of servers that some record names; the own name with them."""
    named = {naming.own}
    for zone in zones.values():
        for each in zone.records:
            named |= {target for value in each.values if (target := _target(each.type, value))}
    return named


def _leading_names(naming: Naming, zones: Mapping[str, Zone]) -> set[str]:
    """Return the names that lead to the old host, by way of other names as well."""
    addresses: set[str] = set()
    aliases: dict[str, str] = {}
    for zone in zones.values():
        for each in zone.records:
            owner = zone.absolute(each.name).lower()
            if each.type in _ADDRESSES and set(each.values) & set(naming.old):
                addresses.add(owner)
            elif each.type == "CNAME":
                aliases[owner] = each.values[0].lower()
    there = {naming.own, *addresses}
    while more := {owner for owner, target in aliases.items() if target in there} - there:
        there |= more
    return there


def _target(rdtype: str, value: str) -> str:
    """Return the server that a value names, absolute; empty when it names none."""
    at = _TARGET.get(rdtype)
    words = value.split()
    return words[at].lower() if at is not None and at < len(words) else ""


def _without(each: RecordSet, zone: Zone, *, naming: Naming, gone: frozenset[str]) -> RecordSet:
    """Return a record set as it is to be."""
    owner = zone.absolute(each.name).lower()
    values = each.values
    if each.type in _ADDRESSES and owner in gone:
        values = tuple(value for value in values if value not in naming.old)
    elif each.type == "TXT":
        values = tuple(_disallowing(value, naming.old) for value in values)
    elif (each.type == "SSHFP" and owner == naming.own) or (
        each.type == "TLSA" and (zone.origin, each.name) in naming.broken
    ):
        values = ()
    elif each.type == "PTR" and owner in _pointers(naming):
        values = (naming.own,)
    return replace(each, values=tuple(sorted(values)))


def _pointers(naming: Naming) -> frozenset[str]:
    """Return the names under which the old addresses are looked up (RFC 1035, section 3.5)."""
    return frozenset(dns.reversename.from_address(each).to_text() for each in naming.old)


def _disallowing(text: str, addresses: tuple[str, ...]) -> str:
    """Return an SPF record (RFC 7208) that no longer lets *addresses* send; others as they are."""
    if not text.strip('"').lower().startswith("v=spf1"):
        return text
    ours = "|".join(re.escape(each) for each in addresses)
    return re.sub(rf"[+?~-]?ip[46]:(?:{ours})(?:/(?:32|128))? ?", "", text, flags=re.IGNORECASE)


def named_keys(zones: Mapping[str, Zone]) -> Iterator[tuple[Zone, RecordSet, str, int]]:
    """Yield the TLSA records (RFC 6698) of services over TCP: host name and port."""
    for zone in zones.values():
        for each in zone.records:
            found = re.match(r"_(\d+)\._tcp(?:\.(.+))?$", each.name)
            if each.type == "TLSA" and found:
                host = zone.absolute(found[2] or APEX).rstrip(".")
                yield zone, each, host, int(found[1])


def seals(zones: Mapping[str, Zone]) -> Iterator[tuple[Zone, RecordSet, str, int]]:
    """Yield those of services that begin with TLS."""
    return (found for found in named_keys(zones) if found[3] in _TLS_FIRST)

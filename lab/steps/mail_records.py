"""The records of mail, as each phase of the move wants them: pure functions of the zones.

Whatever a phase changes is written into the stage first; a record set without values stands for
one that was not there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lab.operator import zone_changes
from lab.operator.zones import APEX, RecordSet, Zone, differ, record_set
from lab.steps.web_facts import leading

Records = Mapping[str, tuple[RecordSet, ...]]
"""Zone -> record sets in it."""

SELECTOR: Final = "generalprove"
"""Of the key that the fleet signs with (RFC 6376, section 3.1)."""

_TXT_MOST: Final = 255


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """What tells other servers how to reach this one safely.

    Attributes:
        key: SHA-256 of the public key that it shows, hexadecimal (TLSA 3 1 1, RFC 7672).
        policy: what names the policy in force (MTA-STS, RFC 8461, section 3.1).
    """

    key: str
    policy: str


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Names and addresses of the move.

    Attributes:
        domain: the fleet's own domain.
        domains: all that mail is taken for.
        names: that lead to the mail server.
        local: the domain of people with an account of the old server.
        old: addresses of the old server, IPv4 and IPv6.
        new: addresses of the new one.
        dkim: the public key that mail is signed with, base64.
    """

    domain: str
    domains: tuple[str, ...]
    names: tuple[str, ...]
    local: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    dkim: str

    @property
    def server(self) -> str:
        """What the mail server is called."""
        return f"mail.{self.domain}"

    @property
    def policy_host(self) -> str:
        """Where the policy of MTA-STS is asked for (RFC 8461, section 3.3)."""
        return f"mta-sts.{self.domain}"


def announced(naming: Naming, zones: Mapping[str, Zone]) -> Records:
    """Return what the world has to know before the new server sends anything.

    The new server may send (SPF), signs with a key (DKIM), and has a name for its policy; people
    with an account of the old server are written to by way of the mail server, not of that host.
    """
    found: list[tuple[str, RecordSet]] = []
    for domain in naming.domains:
        zone = zone_of(domain, zones)
        if zone is None:
            continue
        owner = relative(domain, zone)
        texts = values_of(zone, owner, "TXT")
        if any(is_spf(text) for text in texts):
            allowed = tuple(allowing(text, naming.new) for text in texts)
            found.append((zone.origin, made(zone, owner, "TXT", allowed)))
        name = f"{SELECTOR}._domainkey" + ("" if owner == APEX else f".{owner}")
        key = _pieces(f"v=DKIM1; k=rsa; p={naming.dkim}")
        found.append((zone.origin, made(zone, name, "TXT", [key])))
    if zone := zone_of(naming.local, zones):
        owner = relative(naming.local, zone)
        if not values_of(zone, owner, "MX"):
            found.append((zone.origin, made(zone, owner, "MX", [f"10 {naming.server}."])))
    if zone := zone_of(naming.policy_host, zones):
        owner = relative(naming.policy_host, zone)
        found += [
            (zone.origin, made(zone, owner, "AAAA" if ":" in address else "A", [address]))
            for address in naming.new
        ]
    return by_zone(found)


def pointed(naming: Naming, zones: Mapping[str, Zone]) -> Records:
    """Return the records that lead to the mail server, leading to the new one."""
    new = dict(zip(naming.old, naming.new, strict=True))
    return {
        origin: tuple(
            replace(each, values=tuple(sorted(new.get(value, value) for value in each.values)))
            for each in records
        )
        for origin, records in leading(
            naming.names, zones.values(), [*naming.old, *naming.new]
        ).items()
    }


def sealed(naming: Naming, zones: Mapping[str, Zone], sealing: Sealing) -> Records:
    """Return what tells other servers to insist on a sealed connection (RFC 7672, RFC 8461)."""
    found: list[tuple[str, RecordSet]] = []
    if zone := zone_of(naming.server, zones):
        owner = f"_25._tcp.{relative(naming.server, zone)}"
        found.append((zone.origin, made(zone, owner, "TLSA", [f"3 1 1 {sealing.key}"])))
    if zone := zone_of(naming.domain, zones):
        above = relative(naming.domain, zone)
        owner = "_mta-sts" + ("" if above == APEX else f".{above}")
        value = f'"v=STSv1; id={sealing.policy}"'
        found.append((zone.origin, made(zone, owner, "TXT", [value])))
    return by_zone(found)


def without_mx(naming: Naming, zones: Mapping[str, Zone]) -> Iterator[str]:
    """Yield the domains that mail is taken for without an MX record."""
    for domain in naming.domains:
        zone = zone_of(domain, zones)
        if domain != naming.local and zone and not values_of(zone, relative(domain, zone), "MX"):
            yield domain


def elsewhere(naming: Naming, zones: Mapping[str, Zone]) -> Iterator[str]:
    """Yield what an MX record says of servers that are not the one that moves."""
    for domain in naming.domains:
        zone = zone_of(domain, zones)
        for value in values_of(zone, relative(domain, zone), "MX") if zone else ():
            if value.split()[1].rstrip(".").lower() not in naming.names:
                yield f"{domain} MX {value}"


def before(records: Records, zones: Mapping[str, Zone]) -> Records:
    """Return how *records* are in *zones* now; without values where they are not there."""
    return {origin: records_in(zones[origin], sets) for origin, sets in records.items()}


def records_in(zone: Zone, sets: Iterable[RecordSet]) -> tuple[RecordSet, ...]:
    """Return how *sets* are in *zone*, each without values if it is not there."""
    return tuple(_now(zone, each) for each in sets)


def with_records(zones: Mapping[str, Zone], wanted: Records) -> dict[str, Zone]:
    """Return the zones with *wanted*, the serial raised where that changes anything."""
    changed = dict(zones)
    for origin, sets in wanted.items():
        zone = zones[origin]
        new = {(each.name, each.type): each for each in sets}
        others = [each for each in zone.records if (each.name, each.type) not in new]
        kept = {(each.name, each.type): each.ttl for each in zone.records}
        given = [
            replace(each, ttl=kept.get(key, each.ttl)) for key, each in new.items() if each.values
        ]
        new_zone = Zone.of(origin, zone.soa, [*others, *given])
        if new_zone != zone:
            changed[origin] = zone_changes.bumped(new_zone)
    return changed


def lacking(wanted: Records, zones: Mapping[str, Zone], *, where: str) -> list[str]:
    """Return which of *wanted* are otherwise in *zones*."""
    return [
        f"{origin}: {where} does not have {each} as it shall be"
        for origin, sets in wanted.items()
        for each in sets
        if origin not in zones or not _is_there(each, zones[origin])
    ]


def _is_there(wanted: RecordSet, zone: Zone) -> bool:
    """Whether a zone has records, however a server spells the names in them."""
    now = _now(zone, wanted)
    return (
        differ(wanted if wanted.values else None, now if now.values else None, ttls=False) is None
    )


def longest(records: Records, zones: Mapping[str, Zone]) -> int:
    """Return for how many seconds a cache may keep any of *records*, or their absence."""
    kept = [
        each.ttl
        for origin, sets in records.items()
        if origin in zones
        for wanted in sets
        for each in zones[origin].records
        if (each.name, each.type) == (wanted.name, wanted.type)
    ]
    absences = [zones[origin].soa.minimum for origin in records if origin in zones]
    return max([*kept, *absences], default=0)


def zone_of(name: str, zones: Mapping[str, Zone]) -> Zone | None:
    """Return the zone that a name is in."""
    labels = name.split(".")
    above = (".".join(labels[i:]) for i in range(len(labels)))
    return next((zones[each] for each in above if each in zones), None)


def relative(name: str, zone: Zone) -> str:
    """Return a name as it is written in its zone."""
    return APEX if name == zone.origin else name.removesuffix(f".{zone.origin}")


def values_of(zone: Zone, owner: str, rdtype: str) -> tuple[str, ...]:
    """Return what a zone has at a name; nothing where it is not there."""
    return next(
        (each.values for each in zone.records if (each.name, each.type) == (owner, rdtype)), ()
    )


def _now(zone: Zone, wanted: RecordSet) -> RecordSet:
    found = (each for each in zone.records if (each.name, each.type) == (wanted.name, wanted.type))
    return next(found, replace(wanted, values=()))


def made(zone: Zone, owner: str, rdtype: str, values: Iterable[str]) -> RecordSet:
    """Return records for a zone, to be remembered for as long as its others."""
    return record_set(zone.origin, name=owner, ttl=zone.soa.ttl, rdtype=rdtype, values=values)


def by_zone(found: Sequence[tuple[str, RecordSet]]) -> dict[str, tuple[RecordSet, ...]]:
    """Return records by their zone."""
    each_zone: dict[str, tuple[RecordSet, ...]] = {}
    for origin, each in found:
        each_zone[origin] = (*each_zone.get(origin, ()), each)
    return each_zone


def is_spf(text: str) -> bool:
    """Whether a text says who may send (RFC 7208)."""
    return text.strip('"').lower().startswith("v=spf1")


def allowing(text: str, addresses: Sequence[str]) -> str:
    """Return an SPF record (RFC 7208) that lets *addresses* send as well."""
    if not is_spf(text):
        return text
    words = text.replace('" "', "").strip('"').split()
    more = [f"ip{6 if ':' in address else 4}:{address}" for address in addresses]
    more = [each for each in more if each not in words]
    last = next((i for i, word in enumerate(words) if word.lstrip("+-~?") == "all"), len(words))
    return _pieces(" ".join([*words[:last], *more, *words[last:]]))


def _pieces(text: str) -> str:
    """Return a text as strings of a TXT record, none of which may be longer than 255 bytes."""
    cut = textwrap.wrap(text, _TXT_MOST, drop_whitespace=False, break_on_hyphens=False)
    return " ".join(f'"{each}"' for each in cut)

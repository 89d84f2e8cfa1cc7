"""Changes to zones that a move needs, each a pure function from zone to zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import dns.name

from lab.operator.zones import APEX, RecordSet, Zone, record_set

_SERIALS = 2**32


def limited(zone: Zone, *, ttl: int) -> Zone:
    """Return *zone* with no time to live, nor memory of an absence, above *ttl* seconds."""
    soa = replace(zone.soa, ttl=min(zone.soa.ttl, ttl), minimum=min(zone.soa.minimum, ttl))
    records = (replace(each, ttl=min(each.ttl, ttl)) for each in zone.records)
    return replace(zone, soa=soa, records=tuple(records))


def unlimited(zone: Zone, before: Zone) -> Zone:
    """Return *zone* with the times to live that its record sets had in *before*."""
    known = {(each.name, each.type): each.ttl for each in before}
    records = (
        replace(each, ttl=known.get((each.name, each.type), each.ttl)) for each in zone.records
    )
    soa = replace(zone.soa, ttl=before.soa.ttl, minimum=before.soa.minimum)
    return replace(zone, soa=soa, records=tuple(records))


def with_nameservers(zone: Zone, servers: Mapping[str, Iterable[str]], *, ttl: int) -> Zone:
    """Return *zone* served by other name servers, with those of their addresses that lie in it.

    The old servers' addresses stay: somebody may still know the servers by name.

    Args:
        zone: what to change.
        servers: absolute names of the servers, and the addresses of each.
        ttl: time to live of the new records, in seconds.
    """
    new = [record_set(zone.origin, name=APEX, ttl=ttl, rdtype="NS", values=servers)]
    for server, addresses in servers.items():
        if dns.name.from_text(server).is_subdomain(dns.name.from_text(zone.origin)):
            new += _addresses(zone.origin, server, sorted(addresses), ttl=ttl)
    replaced = {(each.name, each.type) for each in new}
    kept = [each for each in zone.records if (each.name, each.type) not in replaced]
    return Zone.of(zone.origin, zone.soa, [*kept, *new])


def with_nameservers_of(zone: Zone, other: Zone) -> Zone:
    """Return *zone* served as *other* is.

    Addresses of the servers that it had stay: a cache may know them by name for a while.
    """
    kept = [each for each in zone.records if (each.name, each.type) != (APEX, "NS")]
    named = [each for each in other.records if (each.name, each.type) == (APEX, "NS")]
    return Zone.of(zone.origin, zone.soa, [*kept, *named])


def with_serial(zone: Zone, serial: int) -> Zone:
    """Return *zone* as version *serial*."""
    return replace(zone, soa=replace(zone.soa, serial=serial))


def bumped(zone: Zone, *, above: int | None = None) -> Zone:
    """Return *zone* as its next version; as one that is newer than *above* as well, if given."""
    serial = zone.soa.serial
    if above is not None and newer(above, serial):
        serial = above
    return with_serial(zone, next_serial(serial))


def next_serial(serial: int) -> int:
    """Return the serial after *serial* (RFC 1982); zero is left out, some servers mistrust it."""
    return (serial + 1) % _SERIALS or 1


def newer(serial: int, than: int) -> bool:
    """Return whether *serial* is after *than* in the arithmetic of RFC 1982."""
    return 0 < (serial - than) % _SERIALS < _SERIALS // 2


def _addresses(origin: str, name: str, addresses: list[str], *, ttl: int) -> list[RecordSet]:
    families = {"A": [each for each in addresses if ":" not in each]}
    families["AAAA"] = [each for each in addresses if ":" in each]
    return [
        record_set(origin, name=name, ttl=ttl, rdtype=rdtype, values=values)
        for rdtype, values in families.items()
        if values
    ]

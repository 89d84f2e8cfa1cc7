"""Zones as plain values: read from a name server, written to a file, compared record by record.

A value is kept in the presentation format of master files (RFC 1035, section 5.1) with absolute
names, so that any program reads it the same way; owner names are relative to the zone, as
people write them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.zone

from lab.errors import CouldNotError
from lab.operator import lua_records  # noqa: F401 - makes the type known

APEX = "@"

_MADE_BY_SIGNING = frozenset(
    dns.rdatatype.from_text(each)
    for each in ("RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY")
)


class ZoneError(CouldNotError):
    """A zone could not be read."""


@dataclass(frozen=True, kw_only=True)
class RecordSet:
    """All records of one type at one name.

    Attributes:
        name: owner, relative to the zone, lower case; ``@`` is the zone itself.
        ttl: time to live in seconds.
        type: mnemonic, such as ``MX``.
        values: in presentation format with absolute names, sorted.
    """

    name: str
    ttl: int
    type: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        """Return what a person would call it."""
        return f"{self.name} {self.type}"


@dataclass(frozen=True, kw_only=True)
class Soa:
    """Start of authority (RFC 1035, section 3.3.13); times in seconds.

    Attributes:
        mname: the primary server, absolute.
        rname: who answers for the zone, as an absolute domain name.
        serial: version of the zone.
        refresh: how often a secondary asks.
        retry: how often it asks after a failure.
        expire: when it gives up.
        minimum: longest time that an absence is remembered (RFC 2308, section 4).
        ttl: time to live of this record.
    """

    mname: str
    rname: str
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int
    ttl: int

    @property
    def value(self) -> str:
        """Return it in presentation format."""
        times = (self.serial, self.refresh, self.retry, self.expire, self.minimum)
        return f"{self.mname} {self.rname} {' '.join(map(str, times))}"


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A zone's whole content.

    Attributes:
        origin: its name, without the last dot.
        soa: start of authority.
        records: everything else, in canonical order (RFC 4034, section 6.1).
    """

    origin: str
    soa: Soa
    records: tuple[RecordSet, ...]

    @classmethod
    def of(cls, origin: str, soa: Soa, records: Iterable[RecordSet]) -> Self:
        """Return a zone of *records*, whatever order they come in."""
        base = _origin(origin)
        ordered = sorted(records, key=lambda each: (dns.name.from_text(each.name, base), each.type))
        return cls(origin=origin.lower(), soa=soa, records=tuple(ordered))

    def __iter__(self) -> Iterator[RecordSet]:
        """Yield every record set, the start of authority first."""
        yield RecordSet(name=APEX, ttl=self.soa.ttl, type="SOA", values=(self.soa.value,))
        yield from self.records

    @property
    def nameservers(self) -> frozenset[str]:
        """Names in the zone's own NS records, absolute."""
        apex = (each for each in self.records if (each.name, each.type) == (APEX, "NS"))
        return frozenset(value for each in apex for value in each.values)

    @property
    def longest_ttl(self) -> int:
        """Longest time in seconds that a cache may keep anything of this zone."""
        return max(each.ttl for each in self)

    def absolute(self, name: str) -> str:
        """Return *name*, relative to the zone, with its last dot."""
        return dns.name.from_text(name, _origin(self.origin)).to_text()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One record set that two zones do not agree on; a side without it has no values.

    Attributes:
        name: owner, relative to the zone.
        type: mnemonic.
        wanted: time to live and values on one side.
        found: the same on the other side.
    """

    name: str
    type: str
    wanted: RecordSet | None
    found: RecordSet | None

    def __str__(self) -> str:
        """Return it as one line."""
        sides = (_side(self.wanted), _side(self.found))
        return f"{self.name} {self.type}: wanted {sides[0]}, found {sides[1]}"


def read(origin: str, text: str) -> Zone:
    """Read a zone from a master file, or from the output of ``dig AXFR``.

    Raises:
        ZoneError: *text* is not a whole zone of that name.
    """
    try:
        found = dns.zone.from_text(text, origin=_origin(origin), relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise ZoneError(f"not a whole zone: {error}", where=origin) from error
    return of(found)


def of(found: dns.zone.Zone) -> Zone:
    """Return *found*, as dnspython holds it, as a plain value without what signing adds."""
    origin = found.origin or dns.name.root
    soa: Soa | None = None
    records = []
    for name, rdataset in found.iterate_rdatasets():
        if rdataset.rdtype in _MADE_BY_SIGNING:
            continue
        owner = name.derelativize(origin)
        if rdataset.rdtype == dns.rdatatype.SOA:
            first = rdataset[0]
            assert isinstance(first, dns.rdtypes.ANY.SOA.SOA)  # noqa: S101 - for mypy
            soa = _soa(first, ttl=rdataset.ttl)
            continue
        records.append(
            record_set(
                origin.to_text(omit_final_dot=True),
                name=owner.relativize(origin).to_text(),
                ttl=rdataset.ttl,
                rdtype=dns.rdatatype.to_text(rdataset.rdtype),
                values=(each.to_text(origin=origin, relativize=False) for each in rdataset),
            )
        )
    if soa is None:
        raise ZoneError("no start of authority", where=str(origin))
    return Zone.of(origin.to_text(omit_final_dot=True), soa, records)


def record_set(
    origin: str, *, name: str, ttl: int, rdtype: str, values: Iterable[str]
) -> RecordSet:
    """Return a record set with its values checked and written the one canonical way.

    Args:
        origin: the zone, to which names without a last dot are relative.
        name: owner.
        ttl: time to live in seconds.
        rdtype: mnemonic.
        values: in presentation format.

    Raises:
        ZoneError: a value is not one of that type.
    """
    base = _origin(origin)
    try:
        owner = dns.name.from_text(name, base).relativize(base)
        kind = dns.rdatatype.from_text(rdtype)
        parsed = {
            dns.rdata.from_text(dns.rdataclass.IN, kind, value, origin=base, relativize=False)
            for value in values
        }
    except (dns.exception.DNSException, ValueError) as error:
        raise ZoneError(f"{name} {rdtype}: {error}", where=origin) from error
    return RecordSet(
        name=owner.to_text().lower(),
        ttl=ttl,
        type=dns.rdatatype.to_text(kind),
        values=tuple(sorted(each.to_text() for each in parsed)),
    )


def canonical(records: RecordSet) -> frozenset[str]:
    """Return the values as RFC 4034 (section 6.2) has them: names in them in lower case.

    How a server spells them depends on what else is in its answer: names are compressed there
    whatever their case.
    """
    kind = dns.rdatatype.from_text(records.type)
    wires = (each.to_digestable() for each in _values(records))
    return frozenset(
        dns.rdata.from_wire(dns.rdataclass.IN, kind, wire, 0, len(wire)).to_text() for wire in wires
    )


def text(zone: Zone) -> str:
    """Return *zone* as a master file, one record a line."""
    lines = [f"$ORIGIN {_origin(zone.origin).to_text()}"]
    lines += [f"{r.name} {r.ttl} IN {r.type} {value}" for r in zone for value in r.values]
    return "\n".join(lines) + "\n"


def compare(
    wanted: Zone, found: Zone, *, ttls: bool = True, soa: bool = True
) -> tuple[Difference, ...]:
    """Return where two zones differ, record set by record set, spelling aside.

    Args:
        wanted: one zone.
        found: the other one.
        ttls: whether a different time to live counts.
        soa: whether the start of authority counts.
    """
    sides = _by_key(wanted, soa=soa), _by_key(found, soa=soa)
    keys = sorted(sides[0].keys() | sides[1].keys())
    pairs = ((sides[0].get(key), sides[1].get(key)) for key in keys)
    return tuple(each for pair in pairs if (each := differ(*pair, ttls=ttls)) is not None)


def differ(
    wanted: RecordSet | None, found: RecordSet | None, *, ttls: bool = True
) -> Difference | None:
    """Return how two record sets of one name and type differ; None when they do not."""
    one = wanted or found
    if one is None or (wanted and found and _same(wanted, found, ttls=ttls)):
        return None
    return Difference(name=one.name, type=one.type, wanted=wanted, found=found)


def _origin(origin: str) -> dns.name.Name:
    return dns.name.from_text(origin.lower())


def _soa(found: dns.rdtypes.ANY.SOA.SOA, *, ttl: int) -> Soa:
    return Soa(
        mname=found.mname.to_text().lower(),
        rname=found.rname.to_text().lower(),
        serial=found.serial,
        refresh=found.refresh,
        retry=found.retry,
        expire=found.expire,
        minimum=found.minimum,
        ttl=ttl,
    )


def _by_key(zone: Zone, *, soa: bool) -> dict[tuple[str, str], RecordSet]:
    return {(each.name, each.type): each for each in zone if soa or each.type != "SOA"}


def _same(one: RecordSet, other: RecordSet, *, ttls: bool) -> bool:
    return _values(one) == _values(other) and (not ttls or one.ttl == other.ttl)


def _values(records: RecordSet) -> set[dns.rdata.Rdata]:
    """Return parsed values: dnspython compares those by their canonical form (RFC 4034, 6.2)."""
    kind = dns.rdatatype.from_text(records.type)
    return {dns.rdata.from_text(dns.rdataclass.IN, kind, each) for each in records.values}


def _side(records: RecordSet | None) -> str:
    return f"{' '.join(records.values)} (TTL {records.ttl})" if records else "nothing"

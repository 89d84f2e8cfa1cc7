"""Records that lead to whichever of two servers are well (PowerDNS's LUA records)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from lab.operator import lua_records
from lab.operator.zones import RecordSet, Zone, record_set
from lab.steps.mail_records import Records
from lab.steps.web_facts import leading
from lab.steps.wipe_records import seals

LONGEST: Final = 10
"""Seconds for which anybody may remember where a server was that is not well any more."""

CHECK_SECONDS: Final = 4
"""How long it takes at most until a name does not lead to a server any more that does not answer:
the time between two checks, and that of one (``lua-health-checks-interval``, ``timeout``)."""

_TIMEOUT: Final = 2
_ADDRESSES: Final = ("A", "AAAA")
_MOST_BYTES: Final = 250
_HTTPS: Final = 443


def together(
    zones: Mapping[str, Zone],
    *,
    names: Iterable[str],
    first: Sequence[str],
    second: Sequence[str],
) -> Records:
    """Return the records that lead to *first*, leading to whichever of both are well.

    Args:
        zones: where the names are.
        names: host names without the last dot; aliases are followed.
        first: addresses of one server, IPv4 and IPv6.
        second: those of the other one, in the same order.

    Returns:
        Zone -> records; those that make place for others are without values.
    """
    pairs = dict(zip(first, second, strict=True))
    return {
        origin: tuple(_of_one_zone(zones[origin], records, pairs))
        for origin, records in leading(names, zones.values(), first).items()
    }


def sealed(
    zones: Mapping[str, Zone], *, names: Collection[str], keys: Mapping[str, tuple[str, str]]
) -> Records:
    """Return the TLSA records (RFC 6698) of web servers, good for the keys of both.

    Args:
        zones: where they are.
        names: the sites' host names.
        keys: host name -> SHA-256 of the keys that the first and the second server show.
    """
    found: dict[str, tuple[RecordSet, ...]] = {}
    for zone, record, host, port in seals(zones):
        if port != _HTTPS or host not in names or host not in keys:
            continue
        mine, other = (f"3 1 1 {key}" for key in keys[host])
        values = [*record.values, other]
        if mine in map(_plain, record.values):
            made = record_set(
                zone.origin, name=record.name, ttl=record.ttl, rdtype="TLSA", values=values
            )
            found[zone.origin] = (*found.get(zone.origin, ()), made)
    return found


def joined(*parts: Records) -> Records:
    """Return the records of several together."""
    origins = dict.fromkeys(origin for part in parts for origin in part)
    return {origin: tuple(r for part in parts for r in part.get(origin, ())) for origin in origins}


def check_url(host: str) -> str:
    """Return what a server is asked to find out whether it serves *host*."""
    # Whatever stands for the asterisk, the site is the one for names that nobody has.
    return f"http://{host.rstrip('.').removeprefix('*.')}/healthz"


def _of_one_zone(
    zone: Zone, records: Iterable[RecordSet], pairs: Mapping[str, str]
) -> Iterable[RecordSet]:
    by_name: dict[str, list[RecordSet]] = {}
    for record in records:
        by_name.setdefault(record.name, []).append(record)
    for name, sets in by_name.items():
        url = check_url(zone.absolute(name))
        values = [_program(record, url, pairs) for record in sets]
        ttl = min([LONGEST, *(record.ttl for record in sets)])
        yield record_set(zone.origin, name=name, ttl=ttl, rdtype=lua_records.TYPE, values=values)
        yield from (replace(record, values=()) for record in sets)


def _program(record: RecordSet, url: str, pairs: Mapping[str, str]) -> str:
    """Return the LUA record that takes the place of an A or AAAA record set."""
    if record.type not in _ADDRESSES:
        raise ValueError(f"{record} is not an address")
    both = dict.fromkeys(
        [*record.values, *(pairs[each] for each in record.values if each in pairs)]
    )
    listed = ",".join(f"'{address}'" for address in both)
    options = f"selector='all',backupSelector='all',timeout={_TIMEOUT}"
    text = f"ifurlup('{url}',{{{listed}}},{{{options}}})"
    pieces = [text[at : at + _MOST_BYTES] for at in range(0, len(text), _MOST_BYTES)]
    return f"{record.type} " + " ".join(f'"{piece}"' for piece in pieces)


def _plain(value: str) -> str:
    """Return a TLSA record with its hash in one piece, in lower case."""
    usage, selector, kind, *data = value.split()
    return f"{usage} {selector} {kind} {''.join(data).lower()}"

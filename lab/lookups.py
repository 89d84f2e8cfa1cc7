"""What users ask about a zone: everything it says that must not change when it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from lab.operator import lua_records
from lab.operator.zones import APEX, RecordSet, Zone
from lab.users.probes import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Moving: TypeAlias = "Mapping[tuple[str, str], tuple[RecordSet, ...]]"
_ADDRESSES: Final = ("A", "AAAA")
# What a zone says of itself changes when it moves.
_OF_THE_ZONE_ITSELF: Final = frozenset({"SOA", "NS"})


def lookups(
    zones: Iterable[Zone],
    *,
    secure: bool = False,
    moving: Mapping[tuple[str, str], Iterable[RecordSet]] | None = None,
) -> list[Lookup]:
    """Return a question with its right answers for every record set.

    A name whose answer is computed (type LUA) is asked for what it answers, such as A and AAAA;
    right is then any part of the addresses that it lists.

    Args:
        zones: the zones.
        secure: whether the resolver must have validated what it says.
        moving: absolute name and type -> what the records may be, nothing where they may go; all
            others must not change. Records that become computed ones, or were, stand under either
            type.
    """
    allowed = _by_answer(moving or {})
    return [
        Lookup(
            name=zone.absolute(name),
            type=rdtype,
            expect=tuple(each.values for each in may_be if each.type != lua_records.TYPE),
            among=tuple(
                dict.fromkeys(
                    address
                    for each in may_be
                    if each.type == lua_records.TYPE
                    for address in lua_records.answers(each.values).get(rdtype, ())
                )
            ),
            secure=secure,
        )
        for zone in zones
        for (name, rdtype), now in _asked(zone).items()
        if allowed.get((zone.absolute(name), now.type)) != ()
        and (may_be := allowed.get((zone.absolute(name), rdtype), (now,)))
    ]


def addresses(host: str, zones: Iterable[Zone]) -> dict[str, tuple[str, ...]]:
    """Return type -> addresses that *host* leads to; aliases are followed within the zones.

    Args:
        host: a name without the last dot.
        zones: where it is looked up.
    """
    known = {
        (zone.absolute(records.name).rstrip(".").lower(), rdtype): records
        for zone in zones
        for records in zone
        for rdtype in _answered(records)
    }
    owner, seen = host.lower(), set[str]()
    while (alias := known.get((owner, "CNAME"))) and owner not in seen:
        seen.add(owner)
        owner = alias.values[0].rstrip(".").lower()
    found = {rdtype: known[owner, rdtype] for rdtype in _ADDRESSES if (owner, rdtype) in known}
    return {
        rdtype: lua_records.answers(each.values)[rdtype]
        if each.type == lua_records.TYPE
        else each.values
        for rdtype, each in found.items()
    }


def _asked(zone: Zone) -> dict[tuple[str, str], RecordSet]:
    """Return name and type of what users ask -> the records that say it."""
    return {
        (records.name, rdtype): records
        for records in zone
        for rdtype in _answered(records)
        if "*" not in records.name
        and not (records.name == APEX and records.type in _OF_THE_ZONE_ITSELF)
        # Names of name servers come and go with them.
        and zone.absolute(records.name) not in zone.nameservers
    }


def _answered(records: RecordSet) -> Iterable[str]:
    """Return the types of the answers that *records* give."""
    if records.type != lua_records.TYPE:
        return (records.type,)
    return tuple(lua_records.answers(records.values))


def _by_answer(
    moving: Mapping[tuple[str, str], Iterable[RecordSet]],
) -> dict[tuple[str, str], tuple[RecordSet, ...]]:
    """Return *moving* by name and type of the answers, not of the records."""
    found: dict[tuple[str, str], tuple[RecordSet, ...]] = {}
    going = set()
    for (name, rdtype), each in moving.items():
        may_be = tuple(each)
        if not may_be:
            going.add((name, rdtype))
        for records in may_be:
            for answer in _answered(records):
                found[name, answer] = (*found.get((name, answer), ()), records)
    return found | dict.fromkeys(going, ())


def together(*moving: Moving) -> dict[tuple[str, str], tuple[RecordSet, ...]]:
    """Return what the records may be when several steps may change them, forth or back.

    Args:
        moving: of each step, absolute name and type -> what the records may be, nothing where
            they may go; a record that one of them lets go may go.
    """
    found: dict[tuple[str, str], tuple[RecordSet, ...]] = {}
    for each in moving:
        for key, may_be in each.items():
            known = found.get(key)
            if known is None:
                found[key] = may_be
            else:
                found[key] = (*known, *may_be) if known and may_be else ()
    return found

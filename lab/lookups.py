"""What users ask about a zone: everything it says that must not change when it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from lab.operator.zones import APEX, RecordSet, Zone
from lab.users.probes import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Moving: TypeAlias = "Mapping[tuple[str, str], tuple[RecordSet, ...]]"
# What a zone says of itself changes when it moves.
_OF_THE_ZONE_ITSELF: Final = frozenset({"SOA", "NS"})


def lookups(
    zones: Iterable[Zone],
    *,
    secure: bool = False,
    moving: Mapping[tuple[str, str], Iterable[RecordSet]] | None = None,
) -> list[Lookup]:
    """Return a question with its right answers for every record set.

    Args:
        zones: the zones.
        secure: whether the resolver must have validated what it says.
        moving: absolute name and type -> what the records may be, nothing where they may go; all
            others must not change.
    """
    allowed = moving or {}
    return [
        Lookup(
            name=zone.absolute(records.name),
            type=records.type,
            expect=tuple(
                each.values
                for each in allowed.get((zone.absolute(records.name), records.type), [records])
            ),
            secure=secure,
        )
        for zone in zones
        for records in zone
        if "*" not in records.name
        and allowed.get((zone.absolute(records.name), records.type)) != ()
        and not (records.name == APEX and records.type in _OF_THE_ZONE_ITSELF)
        # Names of name servers come and go with them.
        and zone.absolute(records.name) not in zone.nameservers
    ]


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

"""What users ask about a zone: everything it says that must not change when it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.operator.zones import APEX, Zone
from lab.users.probes import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable

# What a zone says of itself changes when it moves.
_OF_THE_ZONE_ITSELF: Final = frozenset({"SOA", "NS"})


def lookups(zones: Iterable[Zone], *, secure: bool = False) -> list[Lookup]:
    """Return a question with its only right answer for every record set that must not change."""
    return [
        Lookup(
            name=zone.absolute(records.name),
            type=records.type,
            expect=(records.values,),
            secure=secure,
        )
        for zone in zones
        for records in zone
        if "*" not in records.name
        and not (records.name == APEX and records.type in _OF_THE_ZONE_ITSELF)
        # Names of name servers come and go with them.
        and zone.absolute(records.name) not in zone.nameservers
    ]

"""What the step ``wipe`` takes out of a lab's zones: nobody is to miss it."""

from __future__ import annotations

from collections.abc import Sequence

from lab.operator import Operator
from lab.operator.zones import RecordSet, Zone
from lab.steps.mail_records import before
from lab.steps.wipe_move import Move
from lab.steps.wipe_records import forgotten


def leaving(
    operator: Operator, zones: Sequence[Zone]
) -> dict[tuple[str, str], tuple[RecordSet, ...]]:
    """Return the records that the step changes, from when it is next until it is made.

    Returns:
        Absolute name and type -> what they may be; nothing for those that go.
    """
    reached = operator.stage.reached()
    if "mail" not in reached or "wipe" in reached:
        return {}
    known = {zone.origin: zone for zone in zones}
    after = forgotten(Move.of(operator).naming(known), known)
    was = before(after, known)
    return {
        (known[origin].absolute(each.name), each.type): (old, each) if each.values else ()
        for origin, sets in after.items()
        for old, each in zip(was[origin], sets, strict=True)
    }

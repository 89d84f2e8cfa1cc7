"""The first phase of most moves: nothing is remembered for long any more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

from typing_extensions import override

from lab.operator import Operator, zone_changes, zone_data
from lab.operator.zones import RecordSet, Zone
from lab.steps.dns_facts import CONTENT_FILE, TTL_LIMIT
from lab.steps.dns_phases import longest, lowered
from lab.steps.moving import MovePhase, Recorded, Way
from lab.steps.web_facts import kept

Known = TypeVar("Known", bound=Recorded)


class Lower(MovePhase[Known, Way]):
    """Times to live are low, and it is written down what the records were before.

    Attributes:
        key: under which the stage keeps the records.
    """

    name: ClassVar[str] = "lower"
    title: ClassVar[str] = "Lower the times to live of the zones"
    undoing: ClassVar[str] = "Raise the times to live of the zones again"
    key: ClassVar[str]

    @abstractmethod
    def changing(self, facts: Known) -> Mapping[str, tuple[RecordSet, ...]]:
        """Return zone -> records that the step changes, as they are now."""

    @override
    def lacks(self, facts: Known) -> Sequence[str]:
        if not facts.before or facts.ttl_limit is None:
            return ["it is not written down how the records are"]
        return [
            f"{name} has times to live of {zone.longest_ttl} s"
            for name, zone in facts.zones.items()
            if zone.longest_ttl > facts.ttl_limit
        ]

    @override
    def left(self, facts: Known) -> Sequence[str]:
        return ["what the records were before is kept"] if facts.before else []

    @override
    def settles(self, facts: Known) -> int:
        return longest(facts.content.values())

    @override
    def do(self, facts: Known) -> None:
        self.limit(facts)
        self.puppet()

    def limit(self, facts: Known) -> Known:
        """Write down how long anything may be remembered, and how the records are.

        Returns:
            The facts with the zones as the data has them then.
        """
        more = {} if facts.before else {self.key: kept(self.changing(facts))}
        content = limit(self.move.op, facts, lowered(longest(facts.content.values())), more)
        return replace(facts, content=content)

    @override
    def undo(self, facts: Known) -> None:
        limit(self.move.op, facts, None, {self.key: None})
        self.puppet(undo=True)


def limit(
    op: Operator, facts: Recorded, seconds: int | None, more: Mapping[str, object] | None = None
) -> Mapping[str, Zone]:
    """Let nothing in the zones be remembered for more than *seconds*; None for no limit.

    It makes every zone another one, so each gets another serial: servers that copy it ask for that
    and for nothing more.

    Args:
        op: the operator.
        facts: how the zones are.
        seconds: the longest time to live from now on.
        more: what else changes in the stage, in the same step.

    Returns:
        The zones as the data has them then.
    """
    content = facts.content
    if seconds != facts.ttl_limit:
        content = {name: zone_changes.bumped(zone) for name, zone in content.items()}
        op.ssh.write(op.puppet.control, CONTENT_FILE, zone_data.to_hiera(content.values()))
    op.stage.update({TTL_LIMIT: seconds, **(more or {})})
    return content

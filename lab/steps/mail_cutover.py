"""The last phases of the move: the names lead to the new server, and others insist on TLS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from typing_extensions import override

from lab.steps.dns_facts import TTL_LIMIT
from lab.steps.mail_facts import ENFORCE, POLICY, TESTING, Facts
from lab.steps.mail_move import Move
from lab.steps.mail_phases import Announce, Certify, MailPhase, Open, Serve
from lab.steps.mail_records import Records, longest, pointed, sealed
from lab.steps.mail_take import Copy, Take
from lab.steps.phases import Phase


class Point(MailPhase):
    """The names lead to the new server."""

    name: ClassVar[str] = "point"
    title: ClassVar[str] = "Open the new server, and let the names lead to it"
    undoing: ClassVar[str] = "Let the names lead to the old server again"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [
            *Take(move=self.move).lacks(facts),
            *Open(move=self.move).lacks(facts),
            *self.otherwise(facts, self._wanted(facts)),
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        if not facts.before:
            return []
        return self.otherwise(facts, self.as_it_was(facts, self._wanted(facts)))

    @override
    def settles(self, facts: Facts) -> int:
        return longest(self._wanted(facts), facts.zones)

    @override
    def fades(self, facts: Facts) -> int:
        return longest(self._wanted(facts), facts.zones)

    @override
    def do(self, facts: Facts) -> None:
        self.publish(facts, self._wanted(facts))

    @override
    def undo(self, facts: Facts) -> None:
        self.publish(facts, self.as_it_was(facts, self._wanted(facts)))

    def _wanted(self, facts: Facts) -> Records:
        return pointed(self.move.naming(facts.content), self.originals(facts))


class Seal(MailPhase):
    """Other servers are told to insist on a sealed connection; everything may be remembered."""

    name: ClassVar[str] = "seal"
    title: ClassVar[str] = "Tell other servers to insist on TLS; raise the times to live"
    undoing: ClassVar[str] = "Tell other servers no more to insist on TLS"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = [*Point(move=self.move).lacks(facts), *self.otherwise(facts, self._wanted(facts))]
        if facts.ttl_limit:
            wrong.append(f"nothing may be remembered for more than {facts.ttl_limit} s")
        if facts.policy != ENFORCE:
            wrong.append("other servers are not told to insist on TLS")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        if not facts.before:
            return []
        told = ["other servers are told to insist on TLS"] if facts.policy == ENFORCE else []
        return told + self.otherwise(facts, self.as_it_was(facts, self._wanted(facts)))

    @override
    def fades(self, facts: Facts) -> int:
        return longest(self._wanted(facts), facts.zones)

    @override
    def do(self, facts: Facts) -> None:
        self.move.op.stage.update({TTL_LIMIT: None, POLICY: ENFORCE})
        self.publish(facts, self._wanted(facts))

    @override
    def undo(self, facts: Facts) -> None:
        self.move.op.stage.update({POLICY: TESTING})
        self.publish(facts, self.as_it_was(facts, self._wanted(facts)), undo=True)

    def _wanted(self, facts: Facts) -> Records:
        naming = self.move.naming(facts.content)
        return sealed(naming, self.originals(facts), self.move.sealing(facts))


def phases(move: Move) -> tuple[Phase[Facts], ...]:
    """Return all phases of the move, in their order."""
    return tuple(each(move=move) for each in _PHASES)


_PHASES: Final = (Announce, Serve, Certify, Copy, Take, Open, Point, Seal)

"""A step that goes through phases: what all such steps have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Final, Generic

from lab.steps.base import Step, StepCheckError
from lab.steps.phases import Facts, Passage, Phase

_MOST_TOLD: Final = 8


class PhasedStep(Step, Generic[Facts]):
    """A step in phases; where it stands is found out from the servers at every turn."""

    @abstractmethod
    def observe(self) -> Facts:
        """Find out the facts."""

    @abstractmethod
    def phases(self) -> Sequence[Phase[Facts]]:
        """Return the phases, in their order."""

    @abstractmethod
    def begun(self, facts: Facts) -> bool:
        """Return whether it has begun already; then it may always go on."""

    @abstractmethod
    def refusals(self, facts: Facts) -> Iterable[str]:
        """Yield why it may not begin; nothing is changed."""

    @abstractmethod
    def seen_wrong(self, facts: Facts) -> Iterable[str]:
        """Yield what is wrong with what it made, asked from outside."""

    def check(self) -> None:
        """See whether it may begin, or has begun and may go on.

        Raises:
            StepCheckError: it may not, and why.
        """
        op = self.operator
        missing = [step for step in self.needs if step not in op.stage.reached()]
        if missing:
            self.refuse([f"{', '.join(missing)} comes first"])
        with op.report.task("Look at where everything stands"):
            facts = self.observe()
        if self.begun(facts):
            op.report.say("It has begun already and goes on from where it stands")
            return
        self.refuse(self.refusals(facts))

    def apply(self) -> None:
        """Go through the phases from wherever they stand."""
        self._passage.forth()
        self.operator.stage.reach(self.name)

    def verify(self) -> None:
        """See that the last phase is done, and ask from outside.

        Raises:
            StepCheckError: something is wrong.
        """
        facts = self.observe()
        self.refuse([*self.phases()[-1].lacks(facts), *self.seen_wrong(facts)])

    def rollback(self) -> None:
        """Go back through the phases, last first, from wherever they stand."""
        self.operator.stage.leave(self.name)
        self._passage.back()

    def refuse(self, wrong: Iterable[str]) -> None:
        """Refuse to go on when anything is *wrong*; the first few are told.

        Raises:
            StepCheckError: something is.
        """
        if found := list(wrong):
            more = f"; and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
            raise StepCheckError("; ".join(found[:_MOST_TOLD]) + more, where=f"step {self.name}")

    @property
    def _passage(self) -> Passage[Facts]:
        return Passage(
            phases=self.phases(),
            observe=self.observe,
            stage=self.operator.stage,
            key=f"{self.name}::wait",
            report=self.operator.report,
        )

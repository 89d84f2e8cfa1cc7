"""A step in phases, each of which can be seen to be done, can be done again, and undone.

Where a step stands is found out from the servers at every turn, so that it goes on from wherever
it was interrupted and can be undone from there. One thing cannot be seen on any server: what the
caches of the world still remember. So each wait for them is written into the stage before it
begins, and what leads nobody anywhere is done while it lasts.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Generic, TypeVar

from lab.console import Reporter
from lab.operator.stage import Stage
from lab.steps.base import StepError

Facts = TypeVar("Facts")

_POLL_SECONDS: Final = 1.0
_SEEN_SECONDS: Final = 90.0
"""How long a change may take until it is seen where it was made."""


class Phase(ABC, Generic[Facts]):
    """One phase of a step. What it says of the facts is a pure function of them.

    Attributes:
        name: what it is called in the stage.
        title: what it does.
        undoing: what undoing it does.
        meanwhile: whether it may be done while caches still remember what was before the phases
            before it: it changes nothing that anybody is led by, and may stand for as long as the
            longest time to live without costing anybody anything.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    undoing: ClassVar[str]
    meanwhile: ClassVar[bool] = False

    @abstractmethod
    def lacks(self, facts: Facts) -> Sequence[str]:
        """Return what is missing until it is done, with all that came before it."""

    @abstractmethod
    def left(self, facts: Facts) -> Sequence[str]:
        """Return what of it is there, and would have to be undone."""

    @abstractmethod
    def do(self, facts: Facts) -> None:
        """Do it, or what is missing of it."""

    @abstractmethod
    def undo(self, facts: Facts) -> None:
        """Undo it, or what is left of it."""

    def settles(self, facts: Facts) -> int:  # noqa: ARG002 - for those that override it
        """Return for how many seconds caches remember what was before :meth:`do`."""
        return 0

    def fades(self, facts: Facts) -> int:  # noqa: ARG002 - for those that override it
        """Return for how many seconds caches remember what was before :meth:`undo`."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A wait for the world's caches.

    Attributes:
        phase: after which phase.
        back: whether that phase was undone.
        seconds: how long it is in all.
        until: when it is over, ISO 8601; empty while the change is being made.
    """

    phase: str
    back: bool
    seconds: int
    until: str = ""

    def remaining(self, now: datetime) -> float:
        """Return how many seconds are left; all of them when nobody knows when it began."""
        if not self.until:
            return self.seconds
        left = (datetime.fromisoformat(self.until) - now).total_seconds()
        return max(0.0, min(left, self.seconds))

    def begun(self, now: datetime) -> Wait:
        """Return it with its end, counted from *now*; it keeps the one that it has."""
        until = self.until or (now + timedelta(seconds=self.seconds)).isoformat()
        return replace(self, until=until)


def ahead(phases: Sequence[Phase[Facts]], facts: Facts) -> list[Phase[Facts]]:
    """Return the phases that are still to be done, in their order.

    The last one that is done tells how far the step has come: what was before it may no longer be
    there to be seen.
    """
    done = [number for number, phase in enumerate(phases) if not phase.lacks(facts)]
    return list(phases[done[-1] + 1 if done else 0 :])


def behind(phases: Sequence[Phase[Facts]], facts: Facts) -> list[Phase[Facts]]:
    """Return the phases of which something is there, in the order in which they are undone."""
    return [phase for phase in reversed(phases) if phase.left(facts)]


class Passage(Generic[Facts]):
    """Goes through phases, forth or back, from wherever the step stands.

    Args:
        phases: in their order.
        observe: finds out the facts.
        stage: keeps the wait that was begun.
        key: under which the stage keeps it.
        report: where progress goes.
    """

    def __init__(
        self,
        *,
        phases: Sequence[Phase[Facts]],
        observe: Callable[[], Facts],
        stage: Stage,
        key: str,
        report: Reporter,
    ) -> None:
        self._phases = phases
        self._observe = observe
        self._stage = stage
        self._key = key
        self._report = report
        self._waits: dict[str, Wait] = {}

    def forth(self) -> None:
        """Do whatever is still to be done.

        Raises:
            StepError: a change is not seen where it was made.
        """
        facts = self._observe()
        self._recall(back=False)
        for phase in ahead(self._phases, facts):
            if not phase.meanwhile:
                facts = self._wait(coming=phase) or facts
            self._report.say(f"[bold]{phase.title}[/]")
            self._begin(phase, phase.settles(facts), back=False)
            phase.do(facts)
            facts = self._seen(phase.lacks)
            self._settle()
        self._wait()

    def back(self) -> None:
        """Undo whatever is there.

        Raises:
            StepError: a change is still seen where it was undone.
        """
        facts = self._observe()
        self._recall(back=True)
        facts = self._wait(coming=next(iter(behind(self._phases, facts)), None)) or facts
        for phase in reversed(self._phases):
            # Asked at each turn: what runs again now may show what was hidden.
            if not phase.left(facts):
                continue
            self._report.say(f"[bold]{phase.undoing}[/]")
            self._begin(phase, phase.fades(facts), back=True)
            phase.undo(facts)
            facts = self._seen(phase.left)
            self._settle()
            facts = self._wait() or facts

    def _seen(self, missing: Callable[[Facts], Sequence[str]]) -> Facts:
        """Return the facts as soon as nothing is *missing* in them."""
        deadline = time.monotonic() + _SEEN_SECONDS
        while wrong := missing(facts := self._observe()):
            if time.monotonic() > deadline:
                raise StepError(
                    f"not seen after {_SEEN_SECONDS:.0f} s: {'; '.join(wrong)}",
                    remedy="It can be run again, or rolled back",
                )
            time.sleep(_POLL_SECONDS)
        return facts

    def _begin(self, phase: Phase[Facts], seconds: int, *, back: bool) -> None:
        """Write down what will have to be waited for, before anything is changed."""
        found = self._waits.get(phase.name)
        # It was interrupted among its changes: the first look at the old state counts.
        seconds = max(seconds, found.seconds if found else 0)
        wait = {phase.name: Wait(phase=phase.name, back=back, seconds=seconds)} if seconds else {}
        self._keep(self._waits | wait)

    def _settle(self) -> None:
        """Write down when what was changed just now is remembered by nobody any more."""
        now = datetime.now(UTC)
        self._keep({name: wait.begun(now) for name, wait in self._waits.items()})

    def _wait(self, *, coming: Phase[Facts] | None = None) -> Facts | None:
        """Wait until nothing is remembered, and return the facts then; None without a wait.

        Args:
            coming: the phase that is done now: what it was about to wait for is left to it.
        """
        left = {name: each for name, each in self._waits.items() if coming and name == coming.name}
        due = [wait for name, wait in self._waits.items() if name not in left]
        if not due:
            return None
        now = datetime.now(UTC)
        self._keep(left | {each.phase: each.begun(now) for each in due})
        seconds = max(each.remaining(now) for each in due)
        if seconds:
            self._report.countdown("Until no cache remembers what was before", seconds)
        self._keep(left)
        return self._observe()

    def _recall(self, *, back: bool) -> None:
        """Find out what is waited for; what was done in the other direction counts no more."""
        kept = self._stage.read().get(self._key)
        waits = [Wait(**each) for each in kept] if isinstance(kept, list) else []
        self._waits = {each.phase: each for each in waits}
        self._keep({each.phase: each for each in waits if each.back == back})

    def _keep(self, waits: Mapping[str, Wait]) -> None:
        if waits != self._waits:
            self._waits = dict(waits)
            self._stage.update({self._key: [asdict(each) for each in waits.values()] or None})

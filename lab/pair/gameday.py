"""A game day: faults drawn at random in a lab at its last milestone, until time is up or one hurts.

What hurts is cut down: each trial begins from the milestone again, and the shortest list of faults
that was seen to fail is what a person gets to read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lab.errors import CheckFailedError, CouldNotError
from lab.lab import Lab
from lab.pair.drawing import Round, rounds
from lab.pair.matrix import TTL
from lab.pair.measured import Measured
from lab.pair.shrinking import Shortest, shortest
from lab.pair.strikes import Strike
from lab.pair.trial import trial
from lab.rehearsal import chain, reach
from lab.report.timeline import clock
from lab.steps import STEPS
from lab.verdict import Outcome

COLOURS: Final = {Outcome.OK: "green", Outcome.UNKNOWN: "yellow", Outcome.FAIL: "red"}

Numbered = tuple[int, Strike]
"""A strike, and in which round it comes."""


class GameDayError(CouldNotError):
    """A game day could not be played."""


class GameDayCheckError(CheckFailedError):
    """A game day cost its users more than it might."""


@dataclass(frozen=True, kw_only=True)
class Day:
    """What a game day is made of.

    Attributes:
        seed: what it is drawn by.
        minutes: how long it may take.
        rounds: what happens.
    """

    seed: int
    minutes: float
    rounds: tuple[Round, ...]

    @classmethod
    def drawn(cls, *, seed: int, minutes: float) -> Day:
        """Return the day of a seed."""
        return cls(seed=seed, minutes=minutes, rounds=tuple(rounds(seed, minutes)))

    def strikes(self, until: int) -> list[Numbered]:
        """Return every strike up to a round, that one included."""
        return [
            (number, strike)
            for number, each in enumerate(self.rounds[: until + 1])
            for strike in each.strikes
        ]

    def only(self, strikes: Sequence[Numbered]) -> list[Round]:
        """Return its rounds with these strikes alone; rounds in which nothing is left fall out.

        What comes first in a round comes at once: nobody waits for what does not happen.
        """
        found = []
        for number, each in enumerate(self.rounds):
            left = [strike for where, strike in strikes if where == number]
            if left:
                first = min(strike.at for strike in left)
                moved = tuple(replace(strike, at=round(strike.at - first, 1)) for strike in left)
                found.append(replace(each, strikes=moved))
        return found


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of a game day.

    Attributes:
        day: which.
        measured: each round that was played.
    """

    day: Day
    measured: tuple[Measured, ...]

    @property
    def passed(self) -> bool:
        """Whether every round was played, and none cost more than it might."""
        whole = len(self.measured) == len(self.day.rounds)
        return whole and all(each.passed for each in self.measured)


class GameDays:
    """Plays game days in one lab.

    Args:
        lab: the lab.
        ttl: time to live in seconds of the names that follow the servers' health.
        restore: brings the lab to its last milestone.
        measure: carries a round out; :func:`lab.pair.trial.trial`.
    """

    def __init__(
        self,
        *,
        lab: Lab,
        ttl: float,
        restore: Callable[[], object],
        measure: Callable[..., Measured] = trial,
    ) -> None:
        self._lab = lab
        self._ttl = ttl
        self._restore = restore
        self._measure = measure

    def play(self, day: Day) -> Played:
        """Play a day from the milestone on, up to the first round that does not pass."""
        say = self._lab.report.say
        self._restore()
        began = time.monotonic()
        done: list[Measured] = []
        for number, each in enumerate(day.rounds, start=1):
            when = clock(round(time.monotonic() - began))
            say(f"[bold]Round {number} of {len(day.rounds)}[/] at {when}: {each}")
            done.append(self._round(day, each, number))
            say(line(done[-1]))
            if not done[-1].passed:
                break
        return Played(day=day, measured=tuple(done))

    def cut_down(self, played: Played, *, minutes: float) -> Shortest[Numbered]:
        """Return the shortest list of faults that was seen to fail.

        First the strikes of the round that failed are tried alone. When they pass, it took what
        had been before.

        Args:
            played: what failed.
            minutes: how long the search may take; the trial under way then is still ended.
        """
        deadline = time.monotonic() + minutes * 60
        day, failed = played.day, len(played.measured) - 1

        def fails(part: Sequence[Numbered]) -> bool:
            wanted = day.only(part)
            self._lab.report.say(f"Tried again with: {'; then '.join(map(str, wanted))}")
            self._restore()
            for number, each in enumerate(wanted, start=1):
                measured = self._round(day, each, number, again=True)
                self._lab.report.say(line(measured))
                if not measured.passed:
                    return True
            return False

        def in_time(_: int) -> bool:
            return time.monotonic() < deadline

        whole = day.strikes(failed)
        last = [each for each in whole if each[0] == failed]
        if len(last) < len(whole) and in_time(0) and not fails(last):
            last = whole
        return shortest(last, fails, go_on=in_time)

    def _round(self, day: Day, each: Round, number: int, *, again: bool = False) -> Measured:
        """Play a round; one that is tried again to cut it down is no part of the day."""
        name = f"game-day-{day.seed}-round-{number}"
        of_day = "" if again else str(day.seed)
        with self._lab.report.task(f"Users see: {each}"):
            return self._measure(self._lab, each.cell(name, self._ttl), pace=each.pace, day=of_day)


def line(measured: Measured) -> str:
    """Return what a round cost, as one line."""
    colour = COLOURS[measured.outcome]
    seen = "; ".join(
        f"{saw.failed:,} of {saw.total:,} {saw.what}"
        + (f", gap {saw.gap:.1f} s" if saw.gap else "")
        for saw in measured.saws
    )
    why = "".join(f"\n   {reason}" for reason in measured.reasons)
    return f"[{colour}]{measured.outcome}[/] in {measured.seconds:.0f} s: failed {seen}{why}"


def refuse(played: Played, found: Shortest[Numbered]) -> None:
    """Say that a day did not pass, by what seed it comes again, and what is left of it.

    Raises:
        GameDayCheckError: always.
    """
    day = played.day
    faults = "; then ".join(map(str, day.only(found.items)))
    raise GameDayCheckError(
        f"round {len(played.measured)} cost more than it may: "
        f"{'; '.join(played.measured[-1].reasons) or 'nothing is known'}; "
        f"the shortest list seen to fail: {faults} ({found})",
        where=f"game day, seed {day.seed}",
        remedy=f"`./invoke game-day --minutes {day.minutes:g} --seed {day.seed}` draws it again",
    )


def run(lab: Lab, day: Day, *, shrink_minutes: float) -> None:
    """Play a day in a lab, and cut down what fails.

    Args:
        lab: the lab; it is put to its last milestone first.
        day: what happens.
        shrink_minutes: how long the shortest list is looked for.

    Raises:
        GameDayError: the fleet has no pair yet.
        GameDayCheckError: a round cost more than it may.
    """
    last = STEPS[-1].name
    if "mail_ha" not in chain(last):
        raise GameDayError("there is no step mail_ha: nothing may die yet", where=f"step {last}")
    days = GameDays(lab=lab, ttl=TTL, restore=lambda: reach(lab, last))
    played = days.play(day)
    if played.passed:
        lab.report.say(f"[green]ok[/] seed {day.seed}: {len(played.measured)} rounds")
        return
    lab.report.say(f"[red]Seed {day.seed} did not pass.[/] Looking for the shortest list of faults")
    refuse(played, days.cut_down(played, minutes=shrink_minutes))

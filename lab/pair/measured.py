"""What trials of the pair have measured, kept as data beside each run's record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from lab.errors import CouldNotError
from lab.pair.strikes import Strike
from lab.verdict import Outcome, Verdict

FILE: Final = "trial.json"
"""What the data of a run is called, in the directory of its record."""

LOOKUPS: Final = "look-ups"
"""What verdicts without a subject of their own are about."""


class MeasuredError(CouldNotError):
    """What was measured could not be kept, or read."""


@dataclass(frozen=True, kw_only=True)
class Saw:
    """What one sort of users saw.

    Attributes:
        what: which sort, such as ``visits``.
        outcome: ok, unknown or fail.
        total: how often they tried.
        failed: how often it failed.
        gap: longest span without a success, in seconds; 0 where spans were not looked at.
        resolution: below which nothing could have been seen, in seconds.
        slowest: the longest success, in seconds.
        reasons: why it is not ok.
        notes: what else is worth knowing.
    """

    what: str
    outcome: str
    total: int = 0
    failed: int = 0
    gap: float = 0.0
    resolution: float = 0.0
    slowest: float = 0.0
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """Keep what a verdict says."""
        figures = verdict.figures
        return cls(
            what=verdict.subject.rpartition(": ")[2] if ": " in verdict.subject else LOOKUPS,
            outcome=str(verdict.outcome),
            total=figures.total,
            failed=figures.failed,
            gap=round(figures.gap, 3),
            resolution=round(figures.resolution, 3),
            slowest=round(figures.slowest, 3),
            reasons=verdict.reasons,
            notes=verdict.notes,
        )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One trial, and what came of it.

    Attributes:
        name: of the cell, or of the round of a game day.
        strikes: what happened.
        budget: what it might cost, in one line.
        pace: of the users; 1 is the usual one.
        commit: the tree that ran, as git names it.
        at: when it began, with its time zone.
        seconds: how long it took.
        saws: what each sort of users saw.
        day: the game day that it was a round of, by its seed; empty otherwise.
        load: of the machine in the five minutes before its end, in processes that wanted to run
            for each processor; 0 when nobody knows.
    """

    name: str
    strikes: tuple[Strike, ...]
    budget: str
    pace: float = 1.0
    commit: str
    at: datetime
    seconds: float
    saws: tuple[Saw, ...] = ()
    day: str = ""
    load: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """The worst of what was seen; of nothing at all it is unknown."""
        return max((Outcome[each.outcome.upper()] for each in self.saws), default=Outcome.UNKNOWN)

    @property
    def passed(self) -> bool:
        """Whether users saw no more than they might."""
        return self.outcome is Outcome.OK

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass, worst first."""
        wrong = [each for each in self.saws if each.outcome != str(Outcome.OK)]
        wrong.sort(key=lambda each: -Outcome[each.outcome.upper()])
        return tuple(f"{each.what}: {reason}" for each in wrong for reason in each.reasons)

    def saw(self, what: str) -> Saw | None:
        """Return what one sort of users saw; None when there was none."""
        return next((each for each in self.saws if each.what == what), None)

    def as_json(self) -> dict[str, object]:
        """Return it as the plain data that :meth:`of` reads."""
        return asdict(self) | {
            "strikes": [each.as_json() for each in self.strikes],
            "at": self.at.isoformat(),
        }

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read it."""
        saws = (
            Saw(**{**each, "reasons": tuple(each["reasons"]), "notes": tuple(each["notes"])})
            for each in given["saws"]
        )
        return cls(
            **{
                **given,
                "strikes": tuple(Strike.of(each) for each in given["strikes"]),
                "at": datetime.fromisoformat(given["at"]),
                "saws": tuple(saws),
            }
        )

    def keep(self, directory: Path) -> None:
        """Write it beside the record of its run."""
        text = json.dumps(self.as_json(), indent=1, ensure_ascii=False)
        try:
            (directory / FILE).write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise MeasuredError(f"cannot be kept: {error}", where=str(directory)) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tell of a file that cannot be read, or is not what was written, in one way.

    Raises:
        MeasuredError: it is so.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MeasuredError(f"cannot be read: {error}", where=str(path)) from error


def saws(verdicts: Sequence[Verdict]) -> tuple[Saw, ...]:
    """Return what all sorts of users saw."""
    return tuple(map(Saw.of, verdicts))


def kept(records: Path) -> list[Measured]:
    """Return everything measured that lies below a directory of records, oldest first.

    Raises:
        MeasuredError: a file is not what was written.
    """
    found = []
    for path in records.glob(f"*/{FILE}"):
        with reading(path):
            found.append(Measured.of(json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda each: each.at)


def latest(found: Iterable[Measured]) -> dict[str, Measured]:
    """Return the latest of each name."""
    return {each.name: each for each in sorted(found, key=lambda each: each.at)}

"""A trial is measured however it ends: users first, then strikes, then both sides alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, cast

import pytest

from lab.errors import CouldNotError
from lab.lab import Lab
from lab.pair import trial as trials
from lab.pair.alike import AlikeCheckError
from lab.pair.costs import Cost
from lab.pair.matrix import Cell
from lab.pair.measured import FILE, Measured
from lab.pair.strikes import Kind, Strike
from lab.pair.striking import Doing
from lab.pair.trial import timed, trial
from lab.verdict import Figures, Outcome, Verdict, broken_off, guarded

CELL = Cell(
    name="silent-cut-oslo",
    strikes=(Strike(kind=Kind.CUT, host="oslo", seconds=0.1),),
    cost=Cost(first=14.0),
)


class Watch:
    """Users who see nothing wrong, and what was done meanwhile.

    Attributes:
        notes: what happened, in order.
        dies: whether they cannot be started.
    """

    notes: list[str] = []  # noqa: RUF012 - shared on purpose
    directory = Path()
    dies = False

    def __init__(self, *, title: str, **_: object) -> None:
        self._title = title
        self._also: list[Callable[[], Verdict]] = []
        self.verdicts: tuple[Verdict, ...] = ()
        self.marks = None

    def hold(self, **_: int) -> None:
        """Let them go on."""
        self.notes.append("users ask")

    def hold_enough(self) -> None:
        """Let them go on for longer."""
        self.notes.append("users go on")

    def also(self, checker: Callable[[], Verdict]) -> None:
        """Judge more."""
        self._also.append(checker)

    def __enter__(self) -> Self:
        """Start them."""
        if self.dies:
            raise CouldNotError("the users did not start")
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Stop them."""
        self.notes.append("users stop")
        self.verdicts = (
            Verdict(subject=self._title, outcome=Outcome.OK, figures=Figures(total=9)),
            *(guarded("more", each) for each in self._also),
            *([broken_off(f"{self._title}: what was done", error)] if error else ()),
        )


class Twins:
    """Hosts that are alike when they are meant to be."""

    lasting = ""

    def __init__(self, **_: object) -> None: ...

    def settle(self, *, within: float, begun: float) -> float:
        """Wait for what differs now."""
        assert (within, begun) == (CELL.cost.alike, 7.0)
        Watch.notes.append("alike again")
        return 3.5

    def wait(self, *, within: float) -> float:
        """Wait for everything."""
        Watch.notes.append(f"alike in the end, within {within:g} s")
        if self.lasting:
            raise AlikeCheckError(self.lasting, where="oslo and bergen", left=frozenset())
        return 0.2


@pytest.fixture(autouse=True)
def _staged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @contextmanager
    def prepared(_: Lab, __: Sequence[Strike]) -> Iterator[None]:
        yield

    def played(strikes: Sequence[Strike], doing: Mapping[Kind, Doing]) -> float:
        assert {each.kind for each in strikes} <= doing.keys()
        Watch.notes.append("strikes")
        return 7.0

    monkeypatch.setattr(Watch, "notes", [])
    monkeypatch.setattr(Watch, "directory", tmp_path)
    monkeypatch.setattr(trials, "Watch", Watch)
    monkeypatch.setattr(trials, "Twins", Twins)
    monkeypatch.setattr(trials, "standard_parts", lambda *_, **__: {})
    monkeypatch.setattr(trials, "prepared", prepared)

    def served(_: Lab, *, within: float, begun: float) -> float:
        Watch.notes.append("both serve")
        return within - begun

    monkeypatch.setattr(trials, "play", played)
    monkeypatch.setattr(trials, "served", served)
    monkeypatch.setattr(trials.operate, "in_lab", lambda _: None)


class Engineless:
    """A lab that nobody reaches into."""

    engine = None


def measure() -> Measured:
    return trial(cast(Any, Engineless()), CELL, pace=1.5, day="7")


def outcomes(measured: Measured) -> dict[str, str]:
    return {saw.what: saw.outcome for saw in measured.saws}


def test_users_come_before_the_strikes_and_stay_until_both_sides_are_alike() -> None:
    measured = measure()
    assert measured.passed
    assert Watch.notes == [
        "users ask", "strikes", "alike again", "both serve", "users go on", "users stop",
        "alike in the end, within 60 s",
    ]  # fmt: skip
    assert outcomes(measured) == {
        "look-ups": "ok", "alike again": "ok", "both serve again": "ok", "alike in the end": "ok",
    }  # fmt: skip
    settled = measured.saw("alike again")
    assert settled is not None
    assert settled.slowest == 3.5


def test_it_is_kept_beside_the_record(tmp_path: Path) -> None:
    measured = measure()
    assert Measured.of(json.loads((tmp_path / FILE).read_text(encoding="utf-8"))) == measured
    assert (measured.pace, measured.day, measured.budget) == (1.5, "7", str(CELL.cost))


def test_what_stays_different_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Twins, "lasting", "not alike after 60 s: mail: only oslo has 'x'")
    measured = measure()
    assert measured.outcome is Outcome.FAIL
    assert measured.reasons == ("alike in the end: not alike after 60 s: mail: only oslo has 'x'",)


def test_a_strike_that_goes_wrong_is_a_failure_that_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(*_: object) -> float:
        raise CouldNotError("did not boot cleanly: pdns.service", where="oslo")

    monkeypatch.setattr(trials, "play", wrong)
    measured = measure()
    assert measured.reasons == (
        "what was done: it ended early: oslo: did not boot cleanly: pdns.service",
    )


def test_users_who_do_not_start_are_no_measurement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Watch, "dies", True)
    with pytest.raises(CouldNotError, match="did not start"):
        measure()
    assert not (tmp_path / FILE).exists()


def test_who_cannot_be_compared_is_unknown() -> None:
    def crash() -> float:
        raise CouldNotError("oslo does not answer")

    assert timed("alike", crash).outcome is Outcome.UNKNOWN

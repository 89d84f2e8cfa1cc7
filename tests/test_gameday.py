"""Game days: what is drawn the design promises to survive, and what fails is cut down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.console import SilentReporter
from lab.pair.drawing import (
    BREATH,
    LONGEST,
    OVERHEAD,
    REST,
    SHORTEST,
    Round,
    rounds,
    survivable,
)
from lab.pair.gameday import Day, GameDayCheckError, GameDays, refuse
from lab.pair.matrix import Cell
from lab.pair.measured import Measured, Saw
from lab.pair.shrinking import shortest
from lab.pair.strikes import PAIR, Kind, Strike

SEEDS = st.integers(min_value=0, max_value=2**32)
MINUTES = st.floats(min_value=0.0, max_value=60.0)


def strike(kind: Kind, host: str, at: float = 0.0, seconds: float = 10.0) -> Strike:
    return Strike(kind=kind, host=host, at=at, seconds=seconds)


@given(SEEDS, MINUTES)
def test_the_same_seed_draws_the_same(seed: int, minutes: float) -> None:
    assert rounds(seed, minutes) == rounds(seed, minutes)


def test_seeds_draw_unlike() -> None:
    assert len({tuple(map(str, rounds(seed, 10))) for seed in range(20)}) == 20


@given(SEEDS, MINUTES)
def test_there_is_always_a_round_and_no_more_than_fit(seed: int, minutes: float) -> None:
    found = rounds(seed, minutes)
    assert found
    assert len(found) == 1 or sum(each.seconds for each in found) <= minutes * 60


@given(SEEDS)
def test_nothing_is_drawn_that_the_design_does_not_promise(seed: int) -> None:
    for each in rounds(seed, 20):
        assert each.strikes
        assert survivable(each.strikes)
        # The same once more, by looking at every moment.
        for one, other in combinations([s for s in each.strikes if s.hits_pair], 2):
            first, second = sorted((one, other))
            assert second.at - first.end >= (BREATH if one.host == other.host else REST)
            assert Kind.PARTITION not in (one.kind, other.kind)


@given(SEEDS)
def test_faults_last_for_as_long_as_is_said(seed: int) -> None:
    for each in rounds(seed, 20):
        assert all(SHORTEST <= one.seconds <= LONGEST for one in each.strikes)
        assert each.seconds >= OVERHEAD


def test_in_time_everything_is_drawn() -> None:
    drawn = {one for seed in range(60) for each in rounds(seed, 20) for one in each.strikes}
    kinds = {(one.kind, one.host) for one in drawn}
    wanted = {(kind, host) for kind in Kind for host in PAIR}
    wanted -= {(kind, host) for kind in (Kind.WIPED, Kind.FULL, Kind.PARTITION) for host in PAIR}
    assert wanted | {(Kind.PARTITION, "oslo"), (Kind.POWER, "tromso")} <= kinds


def test_both_at_once_is_not_promised() -> None:
    assert not survivable([strike(Kind.CUT, "oslo"), strike(Kind.POWER, "bergen", at=5.0)])
    assert not survivable([strike(Kind.CUT, "oslo"), strike(Kind.POWER, "bergen", at=20.0)])
    assert survivable([strike(Kind.CUT, "oslo"), strike(Kind.POWER, "bergen", at=10.0 + REST)])
    assert survivable([strike(Kind.CUT, "oslo"), strike(Kind.POWER, "tromso")])


def test_what_one_side_of_a_partition_has_taken_is_shown_when_they_have_met_again() -> None:
    short, long = (
        Round(strikes=(strike(Kind.PARTITION, "oslo", seconds=seconds),)) for seconds in (5.0, 34.0)
    )
    assert short.cost(20.0).late == 30.0
    assert long.cost(20.0).late == 34.0 + long.cost(20.0).alike


def test_a_round_may_cost_what_its_strikes_may_and_those_on_tromso_nothing() -> None:
    control = Round(strikes=(strike(Kind.POWER, "tromso"),))
    assert control.cost(20.0).first == 2.0
    both = Round(strikes=(*control.strikes, strike(Kind.CUT, "oslo", at=3.0)), pace=1.5)
    assert both.cost(20.0).first == 24.25
    assert str(both) == (
        "tromso loses power for 10 s; oslo is cut off silently for 10 s from 3 s on; "
        "traffic at 1.5 times the usual pace"
    )


def always(_: int) -> bool:
    return True


@given(st.integers(min_value=1, max_value=12), st.data())
def test_what_remains_is_what_made_it_fail(size: int, data: st.DataObject) -> None:
    guilty = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
    found = shortest(range(size), lambda part: guilty <= set(part), go_on=always)
    assert found.items == tuple(sorted(guilty))
    assert found.complete


@given(st.integers(min_value=1, max_value=12), st.data())
def test_whatever_fails_what_remains_fails_and_none_with_one_less_does(
    size: int, data: st.DataObject
) -> None:
    # Any verdict at all, as long as the whole fails: it need not be the same for longer parts.
    verdicts: dict[tuple[int, ...], bool] = {tuple(range(size)): True}

    def fails(part: Sequence[int]) -> bool:
        return verdicts.setdefault(tuple(part), data.draw(st.booleans()))

    found = shortest(range(size), fails, go_on=always)
    assert verdicts[found.items]
    for index in range(len(found.items)):
        rest = found.items[:index] + found.items[index + 1 :]
        assert not rest or verdicts[rest] is False


@given(st.integers(min_value=0, max_value=6))
def test_there_are_no_more_trials_than_there_is_time_for(most: int) -> None:
    tried: list[Sequence[int]] = []

    def fails(part: Sequence[int]) -> bool:
        tried.append(part)
        return {3, 9} <= set(part)

    found = shortest(range(12), fails, go_on=lambda done: done < most)
    assert len(tried) == found.trials <= most
    assert {3, 9} <= set(found.items)
    assert not found.complete
    assert "then time was up" in str(found)


def test_one_alone_cannot_be_shorter() -> None:
    assert shortest(["a"], lambda _: False, go_on=always).items == ("a",)


class Lab:
    """A lab that only says what is done to it."""

    def __init__(self) -> None:
        self.report = SilentReporter()


class Trials:
    """Measures rounds by a rule, and notes what was tried.

    Args:
        fails: whether a list of strikes is too much.
    """

    def __init__(self, fails: Callable[[Sequence[Strike]], bool]) -> None:
        self._fails = fails
        self._before: list[Strike] = []
        self.names: list[str] = []

    def restore(self) -> None:
        """Forget what has happened."""
        self._before = []

    def __call__(self, _lab: object, cell: Cell, *, pace: float, day: str) -> Measured:
        """Measure one."""
        self.names.append(cell.name)
        self._before += cell.strikes
        outcome = "fail" if self._fails(self._before) else "ok"
        saw = Saw(what="mail", outcome=outcome, total=9, failed=1, reasons=("1 lost: gp-1",))
        return Measured(
            name=cell.name,
            strikes=cell.strikes,
            budget=str(cell.cost),
            pace=pace,
            commit="abc",
            at=datetime.now(UTC),
            seconds=1.0,
            saws=(saw,),
            day=day,
        )


DAY = Day(
    seed=7,
    minutes=10.0,
    rounds=(
        Round(strikes=(strike(Kind.CUT, "oslo"),)),
        Round(strikes=(strike(Kind.POWER, "tromso"), strike(Kind.LOSS, "bergen", at=2.0))),
        Round(strikes=(strike(Kind.FROZEN, "oslo"), strike(Kind.CUT_TO, "oslo", at=20.0))),
        Round(strikes=(strike(Kind.CLOCK, "oslo"),)),
    ),
)


def game_days(trials: Trials) -> GameDays:
    return GameDays(lab=cast(Any, Lab()), ttl=20.0, restore=trials.restore, measure=trials)


def kinds(strikes: Sequence[Strike]) -> set[Kind]:
    return {each.kind for each in strikes}


def test_a_clean_day_plays_every_round() -> None:
    trials = Trials(lambda _: False)
    played = game_days(trials).play(DAY)
    assert played.passed
    assert trials.names == [f"game-day-7-round-{number}" for number in (1, 2, 3, 4)]


def test_a_day_ends_with_the_round_that_fails_which_is_cut_down_alone() -> None:
    trials = Trials(lambda strikes: Kind.CUT_TO in kinds(strikes))
    days = game_days(trials)
    played = days.play(DAY)
    assert not played.passed
    assert len(played.measured) == 3
    found = days.cut_down(played, minutes=1.0)
    assert found.items == ((2, strike(Kind.CUT_TO, "oslo", at=20.0)),)
    with pytest.raises(GameDayCheckError) as told:
        refuse(played, found)
    assert str(told.value) == (
        "game day, seed 7: round 3 cost more than it may: mail: 1 lost: gp-1; the shortest list "
        "seen to fail: nothing sent to oslo arrives for 10 s (2 shorter ones tried). "
        "`./invoke game-day --minutes 10 --seed 7` draws it again"
    )


def test_where_it_took_what_had_been_before_that_is_found() -> None:
    trials = Trials(lambda strikes: {Kind.CUT, Kind.FROZEN} <= kinds(strikes))
    days = game_days(trials)
    found = days.cut_down(days.play(DAY), minutes=1.0)
    assert [each.kind for _, each in found.items] == [Kind.CUT, Kind.FROZEN]


def test_without_time_it_is_told_as_it_was() -> None:
    days = game_days(Trials(lambda strikes: Kind.LOSS in kinds(strikes)))
    found = days.cut_down(days.play(DAY), minutes=0.0)
    assert kinds([each for _, each in found.items]) == {Kind.POWER, Kind.LOSS}
    assert not found.complete


def test_what_is_left_of_a_round_comes_at_once() -> None:
    part = DAY.only([(2, strike(Kind.CUT_TO, "oslo", at=20.0))])
    assert [each.at for each in part[0].strikes] == [0.0]

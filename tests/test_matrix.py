"""The matrix is data: every kind of fault on each of the two, with a budget in one line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

import pytest

from lab.pair.costs import AT_LEAST, Cost, together
from lab.pair.matrix import CADENCE, TTL, Cell, matrix
from lab.pair.strikes import PAIR, Kind, Strike, apart
from lab.pair.striking import StrikeError, play
from lab.verdict import Budget

CELLS = matrix()


def cell(name: str) -> Cell:
    return next(each for each in CELLS if each.name == name)


def test_every_kind_happens_to_each_of_the_two() -> None:
    alone = {
        (each.strikes[0].kind, each.strikes[0].host) for each in CELLS if len(each.strikes) == 1
    }
    wanted = {(kind, host) for kind in Kind for host in PAIR} - {(Kind.PARTITION, "bergen")}
    assert wanted <= alone


def test_names_are_unlike_and_fit_a_command_line() -> None:
    names = [each.name for each in CELLS]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalnum() for name in names)


def test_continuous_integration_plays_what_no_scenario_of_one_service_has() -> None:
    played = {strike.kind for each in CELLS if each.chosen for strike in each.strikes}
    assert played == {Kind.FROZEN, Kind.CUT, Kind.CUT_FROM}


def test_the_promise_for_a_dead_site_is_the_one_that_was_made() -> None:
    for name in ("power-loss-oslo", "silent-cut-bergen"):
        cost = cell(name).cost
        assert (cost.lookups, cost.pages) == (0, 0)
        assert cost.first == TTL + 4 + CADENCE
        assert cost.unread == TTL + 5
        assert cost.late == 30.0


def test_a_partition_and_planned_work_cost_nothing() -> None:
    for name in ("partition", "planned-drain-oslo", "no-control"):
        cost = cell(name).cost
        assert (cost.lookups, cost.pages, cost.first) == (0, 0, 2.0)
        assert cost.refused == (5 if name == "partition" else 0)
    assert cell("partition").cost.alike == 15.0


def test_both_are_struck_at_once_only_where_the_cell_is_about_that() -> None:
    for each in CELLS:
        pairs = combinations([one for one in each.strikes if one.hits_pair], 2)
        assert all(apart(one, other) for one, other in pairs), each.name


def test_a_budget_is_one_line() -> None:
    assert str(cell("power-loss-oslo").cost) == (
        "no look-up and no page fail; one address only ≤ 14.25 s; mail read ≤ 15 s, "
        "sent ≤ 29.25 s, shown ≤ 30 s; 0 lost; alike ≤ 60 s"
    )


def test_a_title_says_what_happens() -> None:
    assert cell("no-control-bergen").title == (
        "tromso loses power for 30 s; bergen loses power for 20 s from 5 s on"
    )


def test_several_may_cost_what_each_may() -> None:
    both = together([Cost(lookups=3, first=1.0), Cost(pages=4, first=9.0)])
    assert (both.lookups, both.pages, both.first) == (3, 4, 9.0)
    assert together([]) == Cost()


def test_a_gap_matters_to_whoever_tries_one_address_only_and_failures_to_the_others() -> None:
    cost = Cost(lookups=2, first=7.0)
    assert cost.of_lookups == Budget(failed=2, gap=2.0, at_least=AT_LEAST.lookups)
    assert cost.of_visits.any.failed == 0
    assert cost.of_visits.first.gap == 7.0
    assert cost.of_visits.first.failed > 10_000
    assert cost.of_mail.late == 30.0


def test_a_strike_survives_json() -> None:
    strike = Strike(kind=Kind.CUT, host="oslo", at=1.5, seconds=3.0)
    assert Strike.of(strike.as_json()) == strike


class Stage:
    """Notes what is in force, and when."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.began = threading.Event()

    @contextmanager
    def strike(self, host: str) -> Iterator[None]:
        """Be in force."""
        self.notes.append(f"+{host}")
        self.began.set()
        try:
            yield
        finally:
            self.notes.append(f"-{host}")


def test_strikes_come_in_their_time_and_may_overlap() -> None:
    stage = Stage()
    strikes = [
        Strike(kind=Kind.CUT, host="oslo", at=0.0, seconds=0.3),
        Strike(kind=Kind.CUT, host="tromso", at=0.1, seconds=0.5),
    ]
    play(strikes, {Kind.CUT: stage.strike})
    assert stage.notes == ["+oslo", "+tromso", "-oslo", "-tromso"]


def test_when_one_cannot_be_done_all_are_healed_at_once() -> None:
    stage = Stage()

    @contextmanager
    def broken(host: str) -> Iterator[None]:
        stage.began.wait(5.0)
        raise StrikeError("no power to take", where=host)
        yield

    strikes = [
        Strike(kind=Kind.CUT, host="oslo", seconds=60.0),
        Strike(kind=Kind.POWER, host="bergen", seconds=1.0),
        Strike(kind=Kind.CUT, host="tromso", at=60.0, seconds=1.0),
    ]
    began = time.monotonic()
    with pytest.raises(StrikeError, match="no power to take"):
        play(strikes, {Kind.CUT: stage.strike, Kind.POWER: broken})
    assert stage.notes == ["+oslo", "-oslo"]
    assert time.monotonic() - began < 30.0


def test_ctrl_c_heals_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()

    def pressed(*_: object) -> None:
        stage.began.wait(5.0)
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.pair.striking._await", pressed)
    with pytest.raises(KeyboardInterrupt):
        play([Strike(kind=Kind.CUT, host="oslo", seconds=60.0)], {Kind.CUT: stage.strike})
    assert stage.notes == ["+oslo", "-oslo"]


def test_what_nobody_can_do_is_refused_before_anything_happens() -> None:
    with pytest.raises(StrikeError, match="planned drain"):
        play([Strike(kind=Kind.DRAIN, host="oslo", seconds=1.0)], {})

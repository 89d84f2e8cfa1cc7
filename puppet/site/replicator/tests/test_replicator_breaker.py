"""When the peer is left alone, and when it is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicator.breaker import Breaker, State


def test_it_opens_when_the_peer_does_not_answer_a_probe():
    breaker = Breaker(now=0)
    breaker.unreachable(now=1)
    assert (breaker.state, breaker.since, breaker.opened) == (State.OPEN, 1, 1)


def test_it_is_probed_less_and_less_often_but_often_enough():
    breaker = Breaker(now=0, first=1, longest=4)
    now, waits = 0.0, []
    for _ in range(5):
        breaker.unreachable(now=now)
        at = breaker.probe_at()
        assert at is not None
        waits.append(at - now)
        now = at
    assert waits == [1, 2, 4, 4, 4]
    assert breaker.opened == 1


def test_it_closes_when_a_sync_has_worked():
    breaker = Breaker(now=0)
    breaker.unreachable(now=0)
    assert breaker.reachable(now=1)
    assert breaker.state is State.HALF_OPEN
    assert breaker.probe_at() is None
    assert not breaker.succeeded(now=2)
    assert (breaker.state, breaker.since) == (State.CLOSED, 2)


def test_it_opens_again_when_syncs_fail_all_the_same():
    """One that fails may have waited for a lock that something from before the cut holds."""
    breaker = Breaker(now=0, tolerated=2)
    breaker.failed("per", now=0)
    breaker.unreachable(now=0)
    breaker.reachable(now=1)
    breaker.failed("kari", now=2)
    assert breaker.state is State.HALF_OPEN
    breaker.failed("siri", now=2)
    assert (breaker.state, breaker.opened) == (State.OPEN, 2)


def test_an_answer_before_its_time_changes_nothing():
    breaker = Breaker(now=0)
    breaker.unreachable(now=0)
    assert not breaker.reachable(now=0.5)
    assert breaker.state is State.OPEN


def test_a_sync_that_was_under_way_closes_it_and_asks_for_a_sweep():
    breaker = Breaker(now=0)
    breaker.unreachable(now=0)
    assert breaker.succeeded(now=0.5)
    assert breaker.state is State.CLOSED


def test_the_trouble_of_one_user_is_nobody_elses():
    breaker = Breaker(now=0, tolerated=3)
    for now in range(100):
        breaker.failed("kari", now=now)
        breaker.failed("per", now=now)
    assert breaker.state is State.CLOSED
    breaker.failed("siri", now=100)
    assert breaker.state is State.OPEN


def test_a_success_makes_up_for_all_failures_before():
    breaker = Breaker(now=0, tolerated=2)
    breaker.failed("kari", now=0)
    assert not breaker.succeeded(now=1)
    breaker.failed("per", now=2)
    assert breaker.state is State.CLOSED


@given(st.lists(st.sampled_from(["failed", "succeeded", "unreachable", "reachable"]), max_size=40))
def test_whatever_happened_it_closes_once_the_peer_is_well(events):
    breaker = Breaker(now=0)
    for now, event in enumerate(events):
        if event == "failed":
            breaker.failed(f"user{now}", now=now)
        else:
            getattr(breaker, event)(now=now)
    breaker.reachable(now=len(events) + 10)
    assert breaker.state is not State.OPEN
    breaker.succeeded(now=len(events) + 11)
    assert breaker.state is State.CLOSED

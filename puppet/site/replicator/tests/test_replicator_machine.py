"""What is synced when: in single steps, and whatever happens in whatever order."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from replicator.breaker import Breaker, State
from replicator.job import Job, Kind, Outcome
from replicator.machine import COPIES, HANGING, Limits, Machine

LIMITS = Limits(parallel=2, full_share=10, full_within=60, full_after=3)
KARI, PER, SIRI = "kari@nordlys.example", "per@nordlys.example", "siri@nordlys.example"


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(now=0)


@pytest.fixture
def machine(breaker: Breaker) -> Machine:
    return Machine(limits=LIMITS, breaker=breaker)


def begun(machine: Machine, now: float) -> Job:
    job = machine.next(now=now)
    assert job is not None
    return job


def full(machine: Machine, user: str, *, at: float, took: float, state: str = "") -> None:
    """Sync a user in full, once."""
    machine.mark(user, now=at)
    machine.finish(begun(machine, at), Outcome.DONE, now=at + took, state=state)


def test_a_change_is_synced_at_once_and_settled_when_that_is_done(machine):
    machine.mark(KARI, now=10)
    job = begun(machine, 10)
    assert (job.user, job.kind) == (KARI, Kind.FULL)
    assert machine.finish(job, Outcome.DONE, now=10.1)
    assert machine.queue == 0
    assert machine.wake_at(now=11) is None


def test_nobody_is_synced_twice_at_a_time(machine):
    machine.mark(KARI, now=1)
    begun(machine, 1)
    machine.mark(KARI, now=1.05)
    machine.sweep([KARI], now=1.06)
    assert machine.next(now=2) is None


def test_a_change_during_a_sync_causes_another(machine):
    machine.mark(KARI, now=1)
    job = begun(machine, 1)
    machine.mark(KARI, now=1.05)
    assert machine.finish(job, Outcome.DONE, now=1.1)
    assert machine.since(KARI) == 1.05
    assert begun(machine, 1.1).user == KARI


def test_what_changed_during_the_sync_is_synced_again_at_once(machine):
    machine.mark(KARI, now=1)
    assert not machine.finish(begun(machine, 1), Outcome.CHANGED, now=1.1)
    assert machine.since(KARI) == 1
    assert begun(machine, 1.1).user == KARI


def test_whoever_goes_on_changing_theirs_is_looked_at_again_later(machine):
    full(machine, KARI, at=0, took=0.1, state="one")
    number = machine.sweep([KARI], now=100)
    job = begun(machine, 100)
    assert not machine.finish(job, Outcome.MOVING, now=101, state="two")
    assert machine.sweeps_done == number
    assert machine.since(KARI) is None
    assert machine.wake_at(now=101) == 101 + LIMITS.full_share
    again = begun(machine, 101 + LIMITS.full_share)
    assert (again.kind, again.state) == (Kind.FULL, "two")
    assert machine.finish(again, Outcome.DONE, now=112, state="three")
    assert machine.queue == 0


def test_whoever_is_gone_is_dropped(machine):
    machine.mark(KARI, now=1)
    assert machine.finish(begun(machine, 1), Outcome.GONE, now=1.1)
    assert machine.queue == 0


def test_a_failure_is_tried_again_later_and_later_and_delays_nobody_else(machine):
    machine.mark(KARI, now=0)
    now, waits = 0.0, []
    for _ in range(8):
        assert not machine.finish(begun(machine, now), Outcome.FAILED, now=now)
        at = machine.wake_at(now=now)
        assert at is not None
        assert machine.next(now=at - 0.001) is None
        waits.append(at - now)
        now = at
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert machine.since(KARI) == 0
    machine.mark(PER, now=now - 1)
    assert begun(machine, now - 1).user == PER


def test_a_sweep_makes_failures_wait_no_longer(machine):
    machine.mark(KARI, now=0)
    machine.finish(begun(machine, 0), Outcome.FAILED, now=0)
    machine.sweep([KARI], now=0.5)
    assert begun(machine, 0.5).user == KARI


def test_no_more_at_a_time_than_allowed(machine):
    for user in (KARI, PER, SIRI):
        machine.mark(user, now=1)
    assert {begun(machine, 1).user, begun(machine, 1).user} == {KARI, PER}
    assert machine.next(now=1) is None
    assert machine.wake_at(now=1) is None


def test_what_changed_comes_before_a_sweep_but_not_for_ever(machine):
    machine.sweep([KARI], now=0)
    machine.mark(PER, now=1)
    assert begun(machine, 1).user == PER
    machine.mark(SIRI, now=2.5)
    assert begun(machine, 2.5).user == KARI


def test_a_sweep_is_done_when_everybody_has_been_synced_since_it_began(machine):
    machine.mark(KARI, now=0)
    before = begun(machine, 0)
    number = machine.sweep([KARI, PER], now=1)
    machine.finish(begun(machine, 1), Outcome.DONE, now=1.1)
    machine.finish(before, Outcome.DONE, now=1.2)
    assert machine.sweeps_done < number
    assert machine.unswept == 1
    machine.finish(begun(machine, 1.2), Outcome.DONE, now=1.3)
    assert machine.sweeps_done == number


def test_a_sweep_takes_the_place_of_the_one_before(machine):
    first = machine.sweep([KARI], now=0)
    job = begun(machine, 0)
    second = machine.sweep([KARI], now=0)
    machine.finish(job, Outcome.DONE, now=0.1)
    assert machine.sweeps_done < first
    machine.finish(begun(machine, 0.1), Outcome.DONE, now=0.2)
    assert machine.sweeps_done == second


def test_a_sweep_of_nobody_is_done(machine):
    assert machine.sweep([], now=0) == machine.sweeps_done


def test_a_change_is_synced_quickly_first_and_in_full_soon(machine):
    full(machine, KARI, at=0, took=2, state="one")
    machine.mark(KARI, now=100)
    quick = begun(machine, 100)
    assert (quick.kind, quick.state) == (Kind.QUICK, "one")
    assert not machine.finish(quick, Outcome.DONE, now=100.1, state="two")
    assert machine.since(KARI) is None
    assert machine.next(now=102.9) is None
    assert machine.wake_at(now=101) == 103
    settling = begun(machine, 103)
    assert settling.kind is Kind.FULL
    assert machine.finish(settling, Outcome.DONE, now=105, state="three")
    assert machine.queue == 0


def test_whoever_never_rests_is_synced_in_full_now_and_then(machine):
    full(machine, KARI, at=0, took=2, state="one")
    kinds = []
    for tenth in range(20, 620):
        now = tenth / 10
        machine.mark(KARI, now=now)
        job = begun(machine, now)
        kinds.append(job.kind)
        machine.finish(
            job, Outcome.DONE, now=now + (0.05 if job.kind is Kind.QUICK else 2), state="s"
        )
    assert kinds.count(Kind.FULL) == 2


def again_after(machine: Machine, outcome: Outcome, *, took: float) -> Job:
    """Return what follows a sync that did not work, behind a full one that did."""
    full(machine, KARI, at=0, took=took, state="one")
    machine.mark(KARI, now=100)
    machine.finish(begun(machine, 100), outcome, now=100.1)
    return begun(machine, 102)


def test_what_something_changed_in_is_tried_again_from_the_same_and_then_looked_at(machine):
    again = again_after(machine, Outcome.CHANGED, took=2)
    assert (again.kind, again.state) == (Kind.QUICK, "one")
    tried = []
    for _ in range(LIMITS.disturbances):
        machine.finish(again, Outcome.CHANGED, now=102.1)
        again = begun(machine, 102.1)
        tried.append(again.state)
    assert tried == [*["one"] * (LIMITS.disturbances - 2), "", ""]


def test_after_a_failure_a_sync_starts_from_what_the_last_one_left(machine):
    again = again_after(machine, Outcome.FAILED, took=0.1)
    assert (again.kind, again.state) == (Kind.QUICK, "one")


def test_so_it_does_for_everybody_after_the_peer_was_away(machine, breaker):
    full(machine, KARI, at=0, took=0.1, state="one")
    breaker.unreachable(now=5)
    breaker.reachable(now=9)
    machine.sweep([KARI], now=9)
    first = begun(machine, 9)
    assert (first.kind, first.state) == (Kind.FULL, "one")


def test_what_the_peers_sync_left_is_newer(machine):
    full(machine, KARI, at=0, took=2, state="one")
    machine.learn(KARI, seconds=9, state="two", at=50)
    machine.mark(KARI, now=100)
    quick = begun(machine, 100)
    assert (quick.kind, quick.state) == (Kind.QUICK, "two")
    past = machine.past(KARI)
    assert past is not None
    assert past.seconds == 2


def test_what_is_told_late_is_older(machine):
    full(machine, KARI, at=0, took=2, state="two")
    machine.learn(KARI, seconds=9, state="one", at=1)
    machine.mark(KARI, now=100)
    job = begun(machine, 100)
    assert job.state == "two"
    machine.learn(KARI, seconds=9, state="four", at=100.3)
    # The sync was over when the peer's began; what it left was looked at for a while.
    machine.finish(job, Outcome.DONE, now=101, state="three", at=100.2)
    past = machine.past(KARI)
    assert past is not None
    assert past.state == "four"


def test_whoever_begins_anew_starts_from_what_was_left_before(machine):
    machine.learn(KARI, seconds=0.1, state="one", at=-math.inf)
    machine.sweep([KARI], now=1)
    assert begun(machine, 1).state == "one"


def test_what_a_sync_starts_from_is_not_trusted_for_ever(machine):
    full(machine, KARI, at=0, took=0.1, state="nonsense")
    machine.mark(KARI, now=10)
    now, tried = 10.0, []
    while machine.queue:
        now = machine.wake_at(now=now) or now
        job = begun(machine, now)
        tried.append(job.state)
        well = len(tried) > 1 and not job.state
        machine.finish(job, Outcome.DONE if well else Outcome.FAILED, now=now)
    assert tried == [*["nonsense"] * LIMITS.doubts, ""]


def test_whoever_has_no_state_is_synced_in_full_at_once(machine):
    full(machine, KARI, at=0, took=0.1)
    machine.mark(KARI, now=1)
    job = begun(machine, 1)
    assert (job.kind, job.state) == (Kind.FULL, "")


def test_on_an_empty_host_everybody_receives_until_that_worked_and_is_synced_at_once_then(breaker):
    machine = Machine(limits=LIMITS, breaker=breaker, empty=True)
    number = machine.sweep([KARI], now=0)
    now = 0.0
    done = Outcome.DONE
    for outcome in (Outcome.CHANGED, done, Outcome.FAILED, done, Outcome.CHANGED, done, done):
        job = begun(machine, now)
        assert (job.kind, job.state) == (Kind.FIRST, "")
        assert not machine.finish(job, outcome, now=now)
        now = machine.wake_at(now=now) or now
    assert machine.sweeps_done < number
    both_ways = begun(machine, now)
    assert both_ways.kind is Kind.FULL
    assert machine.finish(both_ways, Outcome.DONE, now=now)
    assert machine.sweeps_done == number
    machine.mark(KARI, now=now)
    assert begun(machine, now).kind is Kind.FULL


def test_whoever_receives_carries_nothing_of_this_host(breaker):
    machine = Machine(limits=LIMITS, breaker=breaker, empty=True)
    machine.mark(KARI, now=1)
    machine.finish(begun(machine, 1), Outcome.DONE, now=2)
    assert machine.since(KARI) == 1


def test_somebody_new_on_a_host_that_is_not_empty_any_more_is_synced_both_ways(breaker):
    machine = Machine(limits=LIMITS, breaker=breaker, empty=True)
    machine.empty = False
    machine.mark(KARI, now=1)
    assert begun(machine, 1).kind is Kind.FULL


def test_while_the_breaker_is_open_nothing_begins_and_nothing_is_forgotten(machine, breaker):
    machine.mark(KARI, now=0)
    breaker.unreachable(now=1)
    assert machine.next(now=2) is None
    assert machine.wake_at(now=2) is None
    machine.mark(PER, now=3)
    breaker.reachable(now=3)
    assert {begun(machine, 3).user, begun(machine, 3).user} == {KARI, PER}


def test_what_hangs_since_before_the_cut_does_not_count_but_is_not_begun_twice(machine, breaker):
    hanging = [KARI, PER]
    for user in hanging:
        machine.mark(user, now=0)
        begun(machine, 0)
    breaker.unreachable(now=5)
    breaker.reachable(now=6)
    machine.sweep([*hanging, SIRI], now=6)
    assert begun(machine, 6).user == SIRI
    assert machine.next(now=6) is None


def test_there_is_an_end_to_what_may_hang(machine, breaker):
    users = [f"user{number}" for number in range(100)]
    machine.sweep(users, now=0)
    for now in range(0, 1000, 10):
        while machine.next(now=now):
            pass
        breaker.unreachable(now=now + 1)
        breaker.reachable(now=now + 9)
        breaker.succeeded(now=now + 9)
    assert len(machine.running()) == LIMITS.parallel * HANGING


class Anything(RuleBasedStateMachine):
    """Everything that can happen, in any order, beside what is true of the two servers."""

    users = st.sampled_from([f"user{number}" for number in range(5)])

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(now=0)
        self.machine = Machine(limits=Limits(parallel=3), breaker=self.breaker)
        self.changes = 0
        # User -> number of the last change, and the last one that a full sync is known to carry.
        self.changed: dict[str, int] = {}
        self.carried: dict[str, int] = {}
        self.reached: dict[str, int] = {}
        self.jobs: list[tuple[Job, int]] = []
        self.sweeps: dict[int, dict[str, int]] = {}
        self.copies: dict[str, int] = {}

    @initialize(empty=st.booleans())
    def come(self, empty: bool) -> None:  # noqa: FBT001 - drawn
        self.machine.empty = empty

    @rule()
    def open(self) -> None:
        self.machine.empty = False

    @rule(user=users)
    def change(self, user: str) -> None:
        self.changes += 1
        self.changed[user] = self.changes
        self.machine.mark(user, now=self.now)

    @rule(seconds=st.sampled_from([0.0, 0.05, 1.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        job = self.machine.next(now=self.now)
        if job is not None:
            assert all(job.user != other.user for other, _ in self.jobs)
            assert self.breaker.state is not State.OPEN
            first = self.machine.empty and self.copies.get(job.user, 0) < COPIES
            assert (job.kind is Kind.FIRST) == first
            self.changes += 1
            self.jobs.append((job, self.changes))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome), state=st.sampled_from(["", "s"]))
    def end(self, data: st.DataObject, outcome: Outcome, state: str) -> None:
        job, began = self.jobs.pop(data.draw(st.integers(0, len(self.jobs) - 1)))
        settled = self.machine.finish(job, outcome, now=self.now, state=state)
        really = outcome is Outcome.GONE or (outcome is Outcome.DONE and job.kind is Kind.FULL)
        assert settled == really
        if job.kind is Kind.FIRST:
            before = self.copies.get(job.user, 0)
            self.copies[job.user] = before + 1 if outcome is Outcome.DONE else 0
        if really:
            self.carried[job.user] = began
        if really or (outcome is Outcome.MOVING and job.kind is Kind.FULL):
            self.reached[job.user] = began
        if outcome is Outcome.FAILED:
            self.breaker.failed(job.user, now=self.now)
        else:
            self.breaker.succeeded(now=self.now)

    @rule(chosen=st.sets(users))
    def sweep(self, chosen: set[str]) -> None:
        self.changes += 1
        number = self.machine.sweep(chosen, now=self.now)
        self.sweeps[number] = dict.fromkeys(chosen, self.changes)

    @rule(answers=st.booleans())
    def probe(self, answers: bool) -> None:  # noqa: FBT001 - drawn
        if answers:
            self.breaker.reachable(now=self.now)
        else:
            self.breaker.unreachable(now=self.now)

    @invariant()
    def nothing_dirty_is_forgotten(self) -> None:
        owed = {user for user, _ in self.machine.debts()}
        for user, change in self.changed.items():
            assert change < self.carried.get(user, 0) or user in owed

    @invariant()
    def a_sweep_that_is_done_has_reached_everybody(self) -> None:
        last = self.sweeps.get(self.machine.sweeps_done, {})
        for user, began in last.items():
            assert self.reached.get(user, 0) > began

    def teardown(self) -> None:
        """In the end, when all is well, everything is settled, and in few steps."""
        self.breaker.succeeded(now=self.now)
        for _ in range(100):
            for job, began in self.jobs:
                if self.machine.finish(job, Outcome.DONE, now=self.now, state="s"):
                    self.carried[job.user] = began
            self.jobs = []
            while (job := self.machine.next(now=self.now)) is not None:
                self.changes += 1
                self.jobs.append((job, self.changes))
            at = self.machine.wake_at(now=self.now)
            if not self.jobs and at is None:
                break
            self.now = max(self.now, at or 0.0)
        assert not list(self.machine.debts())
        assert self.machine.sweeps_done == self.machine.sweeps_begun
        for user, change in self.changed.items():
            assert self.carried[user] > change


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

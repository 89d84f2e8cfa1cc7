"""When a sync from a state was enough, and when it takes a full one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest

from replicator.compare import LOOKS, SCRIPTS, Comparison, Seen
from replicator.doveadm import DoveadmError
from replicator.gossip import GossipError, Lesson
from replicator.job import Job, Kind, Outcome, Past
from replicator.sync import Result, Thrown, sync

KARI = "kari@nordlys.example"
SAME = {"INBOX": "1", "Sent": "1", SCRIPTS: "1"}


def taking_turns(*said: Mapping[str, str]) -> Callable[[], Mapping[str, str]]:
    """Say one after the other, and the last for ever."""
    left = list(said)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


ALIKE, APART, MOVING = Seen.ALIKE, Seen.APART, Seen.MOVING


@pytest.mark.parametrize(
    ("looks", "theirs"),
    [
        ([ALIKE], [SAME]),
        ([MOVING, ALIKE], [SAME | {"INBOX": "2"}, SAME]),
        # Each was the same once; both at a time never.
        ([MOVING, ALIKE], [SAME | {"INBOX": "2"}, SAME | {"Sent": "2"}]),
        # Made since the first look: somebody's next change.
        ([MOVING, ALIKE], [SAME | {"INBOX": "2"}, SAME | {"Drafts": "1"}]),
        # Another thing each time.
        ([MOVING, MOVING, ALIKE], [*(SAME | {"INBOX": each} for each in "23"), SAME]),
        # The same two things after a sync has gone over them.
        ([MOVING, MOVING, APART], [SAME | {"INBOX": each} for each in "233"]),
        ([MOVING, APART], [{"INBOX": "1", SCRIPTS: "1"}]),
        ([MOVING, APART], [SAME | {"Drafts": "1"}]),
        # No sync from a state carries those.
        ([APART], [SAME | {SCRIPTS: "2"}]),
    ],
)
def test_each_folder_has_to_be_the_same_once(looks, theirs):
    looking = Comparison(mine=lambda: SAME, theirs=taking_turns(*theirs))
    assert [looking.look() for _ in looks] == looks


def test_what_is_apart_is_named_and_not_what_moves():
    looking = Comparison(
        mine=lambda: SAME,
        theirs=taking_turns(*(SAME | {"INBOX": "2", "Sent": each} for each in "34")),
    )
    looking.look()
    assert looking.look() is APART
    assert looking.apart == {"INBOX"}


class Dovecot:
    """Says which syncs it was asked for."""

    def __init__(self, *, fails_after: int = 1000) -> None:
        self.asked: list[str] = []
        self.fails_after = fails_after

    def sync(self, user: str, *, state: str = "") -> str:
        assert user == KARI
        self.asked.append(state or "full")
        if len(self.asked) > self.fails_after:
            raise DoveadmError("no route to the peer", code=75)
        return f"after {len(self.asked)}"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replicator.sync.held", lambda _doveadm, _user: SAME)


def job(kind: Kind = Kind.FULL, state: str = "before") -> Job:
    return Job(user=KARI, kind=kind, state=state, started=0.0, sweep=0)


class Peer:
    """Says what somebody has there, one after the other, and the last for ever."""

    def __init__(self, *said: Mapping[str, str] | Exception) -> None:
        self.left = list(said)
        self.told: list[str] = []

    def held(self, user: str) -> Mapping[str, str]:
        assert user == KARI
        one = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(one, Exception):
            raise one
        return one

    def tell(self, lesson: Lesson) -> None:
        self.told.append(lesson.state)


def made(dovecot: Dovecot, given: Job, *, peer: Peer, newest: Past | None = None) -> Result:
    return sync(dovecot, given, thrown=Thrown(), gossip=peer, newest=lambda _user: newest)  # type: ignore[arg-type] # played


OTHER = SAME | {"INBOX": "2"}


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ([SAME], ["before"]),
        ([OTHER, SAME], ["before", "after 1"]),
        ([OTHER], ["before", "after 1", "full"]),
        ([SAME | {SCRIPTS: "2"}], ["before", "full"]),
        ([GossipError("it is of yesterday", reached=True)], ["before", "full"]),
    ],
)
def test_a_full_sync_is_made_only_if_something_never_was_the_same(said, asked):
    dovecot, there = Dovecot(), Peer(*said)
    result = made(dovecot, job(), peer=there)
    assert dovecot.asked == asked
    assert (result.outcome, result.state) == (Outcome.DONE, f"after {len(asked)}")
    # At once, for the peer to start from.
    assert there.told == [f"after {done}" for done in range(1, 1 + len(asked))]


def test_whoever_goes_on_changing_theirs_is_not_synced_in_full():
    dovecot = Dovecot()
    there = Peer(*(SAME | {"INBOX": f"another {look}"} for look in range(LOOKS)))
    result = made(dovecot, job(), peer=there)
    assert dovecot.asked == ["before", *(f"after {done}" for done in range(1, LOOKS))]
    assert (result.outcome, result.state) == (Outcome.MOVING, f"after {LOOKS}")


def test_what_the_peer_has_left_meanwhile_is_started_from():
    dovecot = Dovecot()
    theirs = Past(seconds=1.0, ended=0.0, state="the peer's", at=math.inf)
    made(dovecot, job(), peer=Peer(OTHER, SAME), newest=theirs)
    assert dovecot.asked == ["the peer's", "the peer's"]


def test_if_a_sync_fails_between_two_looks_nothing_is_settled():
    dovecot = Dovecot(fails_after=1)
    result = made(dovecot, job(), peer=Peer(OTHER))
    assert dovecot.asked == ["before", "after 1"]
    assert result.outcome is Outcome.FAILED


def test_a_peer_that_has_left_is_asked_again_later_and_never_synced_in_full_for_that():
    dovecot = Dovecot()
    result = made(dovecot, job(), peer=Peer(GossipError("no route", reached=False)))
    assert dovecot.asked == ["before"]
    assert (result.outcome, result.reached) == (Outcome.FAILED, False)


@pytest.mark.parametrize(
    ("given", "asked"), [(job(state=""), ["full"]), (job(kind=Kind.QUICK), ["before"])]
)
def test_without_a_state_or_when_it_has_to_be_quick_nothing_is_compared(given, asked):
    dovecot = Dovecot()
    made(dovecot, given, peer=Peer(AssertionError("it was asked")))
    assert dovecot.asked == asked

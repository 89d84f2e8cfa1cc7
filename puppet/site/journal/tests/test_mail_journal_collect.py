"""What may go: never what could still be lost."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path as Directory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mail_journal.addresses import Addresses
from mail_journal.collect import ROUNDS, Case, There, Why, judge
from mail_journal.collector import PATIENCE, Collector
from mail_journal.counts import Counts
from mail_journal.entry import Head, Path, new_id
from mail_journal.errors import JournalError
from mail_journal.exchange import PeerError
from mail_journal.mailboxes import NoMailboxError
from mail_journal.postfix import Queued
from mail_journal.replayed import Replayed
from mail_journal.store import Store
from mail_journal.witness import Witness

THIS, OTHER = "a" * 32, "b" * 32
BOXES = st.frozensets(st.sampled_from(["u", "v", "w"]))


@given(
    st.builds(
        Case,
        instance=st.sampled_from([THIS, OTHER]),
        mailboxes=BOXES,
        here=BOXES,
        missed=st.integers(0, 3),
    ),
    st.sampled_from(["", THIS]),
    st.none() | st.builds(There, queued=st.booleans(), mailboxes=BOXES),
)
def test_what_goes_is_nowhere_that_it_could_be_lost(
    case: Case, instance: str, there: There | None
) -> None:
    if judge(case, instance=instance, there=there).goes:
        assert instance == case.instance
        assert there is not None
        assert not there.queued
        missing = case.mailboxes - case.here
        assert not missing & there.mailboxes
        assert not missing or case.missed + 1 >= ROUNDS


@given(BOXES, st.integers(0, 3))
def test_what_is_here_and_left_the_queue_goes_at_once(boxes: frozenset[str], missed: int) -> None:
    case = Case(instance=THIS, mailboxes=boxes, here=boxes, missed=missed)
    assert judge(case, instance=THIS, there=There(queued=False)) is Why.DONE


class Cluster:
    """Two nodes in memory: A accepts, B keeps the journal."""

    def __init__(self, directory: Directory) -> None:
        (directory / "entries").mkdir()
        (directory / "notes").mkdir()
        self.instance = THIS
        self.up = True
        self.queue: set[str] = set()
        self.at_a: dict[str, set[str]] = {}
        self.at_b: dict[str, set[str]] = {}
        self.store = Store(directory=directory / "entries", max_bytes=10**9, min_free=0)
        self.store.open(tidy=True)
        self.notes = directory / "notes"
        self.collector = Collector(
            store=self.store,
            peer=self,
            mailboxes=Boxes(self.at_b),
            addresses=lambda: ADDRESSES,
            notes=self.notes,
            counts=Counts(),
            queue=list,
        )

    def ask(self, question: Mapping[str, Any], *, seconds: float) -> Mapping[str, Any]:
        """Ask A."""
        assert seconds > 0
        if not self.up:
            raise PeerError("away", where="", reason="away", general=True)
        witness = Witness(
            instance=self.instance,
            mailboxes=Boxes(self.at_a),
            replayed=self.notes,
            queue=lambda: [Queued(queue_id=one, recipients=()) for one in self.queue],
        )
        return witness.answer(question)

    def accept(self, *recipients: str) -> str:
        """Have A accept a message; it is in A's queue, and in B's journal."""
        entry_id = new_id()
        head = Head(
            id=entry_id,
            instance=self.instance,
            queue_id=f"Q{entry_id[:8]}",
            sender=Path(address="s@far.test"),
            recipients=tuple(Path(address=one) for one in recipients),
        )
        content = head.encode() + b"\r\n"
        self.store.put(
            entry_id,
            io.BytesIO(content),
            length=len(content),
            digest=hashlib.sha256(content).hexdigest(),
        )
        self.queue.add(head.queue_id)
        return entry_id

    def leave_queue(self, entry_id: str) -> None:
        """Take it out of A's queue."""
        self.queue.discard(f"Q{entry_id[:8]}")

    def rounds(self, number: int = 1) -> None:
        """Have B look."""
        for _ in range(number):
            self.collector.round(youngest=0)

    def kept(self) -> set[str]:
        """What B's journal has."""
        return {held.head.id for held in self.store.held()}


class Boxes:
    """Mailboxes in memory."""

    def __init__(self, content: Mapping[str, set[str]]) -> None:
        self._content = content

    def ids(self, user: str, *, since: float) -> frozenset[str]:
        """Return what is in one."""
        assert since >= 0
        return frozenset(self._content.get(user, ()))


ADDRESSES = Addresses(
    domains=frozenset({"e.test"}),
    mailboxes=frozenset({"u@e.test", "v@e.test", "void@e.test"}),
    aliases={"all@e.test": ("u@e.test", "v@e.test"), "out@e.test": ("u@e.test", "x@far.test")},
    discarded=frozenset({"void@e.test"}),
)


@pytest.fixture
def cluster(tmp_path: Directory) -> Cluster:
    return Cluster(tmp_path)


def test_a_message_is_kept_until_its_mailbox_is_alike(cluster: Cluster) -> None:
    one = cluster.accept("u@e.test")
    cluster.rounds(5)
    assert cluster.kept() == {one}
    cluster.leave_queue(one)
    cluster.at_a["u@e.test"] = {one}
    cluster.rounds(5)
    assert cluster.kept() == {one}
    cluster.at_b["u@e.test"] = {one}
    cluster.rounds()
    assert cluster.kept() == set()


def test_of_an_alias_everybody_must_have_it(cluster: Cluster) -> None:
    one = cluster.accept("all@e.test")
    cluster.leave_queue(one)
    cluster.at_a |= {"u@e.test": {one}, "v@e.test": {one}}
    cluster.at_b["u@e.test"] = {one}
    cluster.rounds(5)
    assert cluster.kept() == {one}
    cluster.at_b["v@e.test"] = {one}
    cluster.rounds()
    assert cluster.kept() == set()


@pytest.mark.parametrize("recipient", ["x@far.test", "void@e.test", "nobody@e.test"])
def test_what_leads_to_no_mailbox_goes_when_it_left_the_queue(
    cluster: Cluster, recipient: str
) -> None:
    one = cluster.accept(recipient)
    cluster.rounds(5)
    assert cluster.kept() == {one}
    cluster.leave_queue(one)
    cluster.rounds()
    assert cluster.kept() == set()


def test_what_its_owner_threw_away_goes_when_it_was_looked_for_twice(cluster: Cluster) -> None:
    one = cluster.accept("u@e.test")
    cluster.leave_queue(one)
    cluster.rounds()
    assert cluster.kept() == {one}
    cluster.at_a["u@e.test"] = {one}
    cluster.rounds()
    cluster.at_a["u@e.test"] = set()
    cluster.rounds()
    assert cluster.kept() == {one}
    cluster.rounds()
    assert cluster.kept() == set()


def test_a_peer_that_is_away_or_has_other_disks_lets_nothing_go(cluster: Cluster) -> None:
    one = cluster.accept("u@e.test")
    cluster.at_b["u@e.test"] = {one}
    cluster.leave_queue(one)
    cluster.up = False
    cluster.rounds(5)
    assert cluster.collector.found[Why.UNKNOWN] == 1
    cluster.up, cluster.instance = True, OTHER
    cluster.rounds(5)
    assert cluster.collector.found[Why.ANOTHER_LIFE] == 1
    assert cluster.kept() == {one}
    Replayed(finals=frozenset({"u@e.test"}), whole=True).write(cluster.notes, one)
    cluster.rounds()
    assert cluster.kept() == set()


def test_a_mailbox_that_cannot_be_asked_lets_nothing_go(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cluster.accept("u@e.test")
    cluster.leave_queue(one)

    def ids(_: Boxes, user: str, *, since: float) -> frozenset[str]:
        raise JournalError(f"{user} {since}")

    monkeypatch.setattr(Boxes, "ids", ids)
    with pytest.raises(JournalError):
        cluster.rounds()
    assert cluster.kept() == {one}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "deliver", "sync", "expunge", "look", "cut", "mend", "replace"]),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(STEPS)
@example([("replace", 0), ("accept", 0), ("replace", 0), ("look", 0), ("look", 0)])
def test_whatever_happens_no_message_is_on_one_disk_only(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """What B's journal let go is in B's mailbox, or its owner threw it away."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    accepted: list[str] = []
    thrown_away: set[str] = set()
    a, b = cluster.at_a.setdefault("u@e.test", set()), cluster.at_b.setdefault("u@e.test", set())
    for what, which in steps:
        one = accepted[which % len(accepted)] if accepted else ""
        if what == "accept":
            accepted.append(cluster.accept("u@e.test"))
        elif what == "deliver" and f"Q{one[:8]}" in cluster.queue:
            a.add(one)
            cluster.leave_queue(one)
        elif what == "sync" and cluster.up and cluster.instance == THIS:
            a -= thrown_away
            b |= a
        elif what == "expunge" and one in a:
            a.discard(one)
            thrown_away.add(one)
        elif what == "look":
            cluster.rounds()
        elif what in {"cut", "mend"}:
            cluster.up = what == "mend"
        elif what == "replace":
            cluster.instance = new_id()  # each disk has a life of its own
            cluster.queue.clear()
            a.clear()
            accepted = [it for it in accepted if it in cluster.kept() or it in b]
    for one in accepted:
        assert one in cluster.kept() or one in b or one in thrown_away


def test_what_a_wrong_clock_hides_is_looked_for_farther_back(cluster: Cluster) -> None:
    one = cluster.accept("u@e.test")
    cluster.leave_queue(one)
    asked: list[float] = []

    def ids(_: Boxes, user: str, *, since: float) -> frozenset[str]:
        asked.append(since)
        return frozenset({one} if since > 3600 and user == "u@e.test" else ())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Boxes, "ids", ids)
        cluster.rounds()
        assert cluster.kept() == {one}
        cluster.rounds()
    assert cluster.collector.found[Why.DONE] == 1
    assert max(asked[:2]) < 3600 < asked[-1]


def test_a_copy_that_a_wrong_clock_hides_is_found_in_the_end(cluster: Cluster) -> None:
    one = cluster.accept("u@e.test")
    cluster.leave_queue(one)
    cluster.at_a["u@e.test"] = {one}
    real = Boxes.ids

    def ids(box: Boxes, user: str, *, since: float) -> frozenset[str]:
        if box._content is cluster.at_b:
            return frozenset({one} if since > 3600 else ())
        return real(box, user, since=since)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Boxes, "ids", ids)
        cluster.rounds(PATIENCE - 1)
        assert cluster.kept() == {one}
        cluster.rounds()
    assert cluster.kept() == set()


def test_a_mailbox_that_is_not_there_lets_nothing_go(cluster: Cluster) -> None:
    one = cluster.accept("u@e.test")
    cluster.leave_queue(one)

    def ids(_: Boxes, user: str, *, since: float) -> frozenset[str]:
        raise NoMailboxError(f"{user} {since}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Boxes, "ids", ids)
        cluster.rounds(5)
    assert cluster.kept() == {one}
    assert cluster.collector.found[Why.AHEAD] == 1

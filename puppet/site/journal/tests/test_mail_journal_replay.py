"""A dead peer's messages, and the return of one: each is delivered once, as far as can be told."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path as Directory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mail_journal.addresses import Addresses, AddressesError, Target
from mail_journal.entry import Head, Path, new_id
from mail_journal.errors import RefusedError
from mail_journal.mailboxes import Copy
from mail_journal.postfix import PostfixError, parse_queue
from mail_journal.rejoin import Waiting, purgeable, seen_to, surplus
from mail_journal.replay import Replay, plan
from mail_journal.replayed import Replayed
from mail_journal.store import Store

NAMES = [f"{name}@e.test" for name in "uvwx"]
FINALS = st.frozensets(st.sampled_from(NAMES))
OUTSIDE = st.frozensets(st.sampled_from(["x@far.test", "y@far.test"]))
TARGETS = st.dictionaries(
    st.sampled_from(["r1", "r2", "r3"]),
    st.builds(Target, mailboxes=FINALS, outside=OUTSIDE),
    min_size=1,
)


def reached(recipients: Sequence[Path], targets: dict[str, Target]) -> list[str]:
    """Who gets it when Postfix delivers to these; it delivers to nobody twice."""
    found: set[str] = set()
    for one in recipients:
        target = targets.get(one.address)
        found |= target.mailboxes | target.outside if target else {one.address}
    return sorted(found)


@given(TARGETS, FINALS, FINALS | OUTSIDE)
def test_everybody_who_lacks_a_message_gets_it(
    targets: dict[str, Target], here: frozenset[str], done: frozenset[str]
) -> None:
    recipients = [Path(address=one) for one in targets]
    it = plan(recipients, targets=targets, here=here, done=done)
    everybody = frozenset[str]().union(
        *(target.mailboxes | target.outside for target in targets.values())
    )
    assert everybody <= it.finals
    assert everybody <= here | done | set(reached(it.recipients, targets))


@given(TARGETS, FINALS, FINALS | OUTSIDE)
def test_nobody_gets_a_message_who_has_it(
    targets: dict[str, Target], here: frozenset[str], done: frozenset[str]
) -> None:
    recipients = [Path(address=one) for one in targets]
    it = plan(recipients, targets=targets, here=here, done=done)
    assert not (here | done) & set(reached(it.recipients, targets))


def test_an_address_is_delivered_to_as_it_was_told() -> None:
    to = Path(address="u+lists@e.test", options=("NOTIFY=NEVER",))
    targets = {to.address: Target(mailboxes=frozenset({"u@e.test"}))}
    it = plan([to], targets=targets, here=frozenset(), done=frozenset())
    assert it.recipients == (to,)


@given(TARGETS, FINALS, FINALS | OUTSIDE)
def test_of_a_peer_that_may_be_alive_only_mailboxes_get_their_mail(
    targets: dict[str, Target], here: frozenset[str], done: frozenset[str]
) -> None:
    recipients = [Path(address=one) for one in targets]
    it = plan(recipients, targets=targets, here=here, done=done, mailboxes_only=True)
    lacking = frozenset[str]().union(*(each.mailboxes for each in targets.values())) - here - done
    assert {one.address for one in it.recipients} == lacking
    outside = frozenset[str]().union(*(each.outside for each in targets.values()))
    assert it.whole == (outside <= done)
    assert not outside - done & it.finals


def test_what_an_owner_has_added_to_an_address_counts_there_too() -> None:
    to = Path(address="U+lists@e.test")
    targets = {to.address: Target(mailboxes=frozenset({"u@e.test"}), outside=frozenset({"x@f"}))}
    it = plan([to], targets=targets, here=frozenset(), done=frozenset(), mailboxes_only=True)
    assert it.recipients == (to,)
    assert not it.whole


class Way:
    """Postfix, in memory."""

    def __init__(self) -> None:
        self.got: list[tuple[str, list[str], bytes]] = []
        self.refuses = ""

    def deliver(self, head: Head, recipients: Sequence[Path], message: bytes) -> str:
        """Take a message."""
        if head.id == self.refuses:
            raise PostfixError("452 full")
        self.got.append((head.id, [one.address for one in recipients], message))
        return f"Q{len(self.got)}"


class Boxes:
    """Dovecot, in memory."""

    def __init__(self) -> None:
        self.content: dict[str, set[str]] = {}

    def ids(self, user: str, *, since: float) -> frozenset[str]:
        """Return what is in one."""
        assert since >= 0
        return frozenset(self.content.get(user, ()))


ADDRESSES = Addresses(
    domains=frozenset({"e.test"}),
    mailboxes=frozenset({*NAMES, "void@e.test"}),
    aliases={
        "all@e.test": ("u@e.test", "v@e.test"),
        "out@e.test": ("u@e.test", "x@far.test"),
        "@e.test": ("v@e.test",),
        "u@e.test": ("u@e.test",),
        "void@e.test": ("void@e.test",),
    },
    discarded=frozenset({"void@e.test"}),
)


@pytest.mark.parametrize(
    ("recipient", "mailboxes", "outside"),
    [
        ("u@e.test", {"u@e.test"}, set()),
        ("U+Lists@E.test", {"u@e.test"}, set()),
        ("all@e.test", {"u@e.test", "v@e.test"}, set()),
        ("all+x@e.test", {"u@e.test", "v@e.test"}, set()),
        ("out@e.test", {"u@e.test"}, {"x@far.test"}),
        ("somebody@e.test", {"v@e.test"}, set()),
        ("void@e.test", set(), set()),
        ("x@far.test", set(), {"x@far.test"}),
    ],
)
def test_an_address_leads_where_postfix_would_deliver(
    recipient: str, mailboxes: set[str], outside: set[str]
) -> None:
    found = ADDRESSES.target(recipient)
    assert (found.mailboxes, found.outside) == (mailboxes, outside)


@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), min_size=1).map(tuple)
    ),
    st.sampled_from(NAMES),
)
def test_aliases_that_go_in_circles_come_to_an_end(
    aliases: dict[str, tuple[str, ...]], start: str
) -> None:
    it = Addresses(
        domains=frozenset({"e.test"}), mailboxes=frozenset(NAMES), aliases=aliases
    ).target(start)
    assert it.mailboxes <= set(NAMES)


def test_tables_are_read_as_puppet_writes_them(tmp_path: Directory) -> None:
    for name, text in {
        "domains": "# Managed by Puppet.\ne.test\tours\n",
        "mailboxes": "# Managed by Puppet.\nU@e.test\there\n\nvoid@e.test\there\n",
        "aliases": "# Managed by Puppet.\nall@e.test\tu@e.test, x@far.test\n",
        "transport": "void@e.test\tdiscard:nobody reads it\nfar.test\tsmtp:[relay.test]\n",
    }.items():
        (tmp_path / name).write_text(text)
    it = Addresses.load(tmp_path, delimiter="+")
    assert it.target("all@e.test") == Target(
        mailboxes=frozenset({"u@e.test"}), outside=frozenset({"x@far.test"})
    )
    assert it.target("void@e.test") == Target()
    (tmp_path / "aliases").unlink()
    with pytest.raises(AddressesError, match="aliases"):
        Addresses.load(tmp_path, delimiter="+")


class Survivor:
    """The node that lives on."""

    def __init__(self, directory: Directory) -> None:
        (directory / "entries").mkdir()
        (directory / "notes").mkdir()
        self.notes = directory / "notes"
        self.store = Store(directory=directory / "entries", max_bytes=10**9, min_free=0)
        self.store.open(tidy=True)
        self.boxes = Boxes()
        self.way = Way()

    def accepted(self, *recipients: str, instance: str = "a" * 32) -> str:
        """Have the peer accept a message."""
        head = Head(
            id=new_id(),
            instance=instance,
            queue_id="ABCDEF",
            sender=Path(address=""),
            recipients=tuple(Path(address=one) for one in recipients),
        )
        content = head.encode() + b"the message\r\n"
        self.store.put(
            head.id,
            io.BytesIO(content),
            length=len(content),
            digest=hashlib.sha256(content).hexdigest(),
        )
        return head.id

    def replay(
        self, *, peer_instance: str = "", peer_is_dead: bool = True, apply: bool = True
    ) -> tuple[int, int, int, list[str]]:
        """See to it."""

        def way(_: ExitStack) -> Way:
            return self.way

        report = Replay(
            store=self.store,
            mailboxes=self.boxes,
            addresses=ADDRESSES,
            notes=self.notes,
            reinjector=way,
            tell=lambda _done, _of: None,
        ).run(peer_instance=peer_instance, peer_is_dead=peer_is_dead, apply=apply)
        return report.delivered, report.present, report.living, report.wrong


@pytest.fixture
def survivor(tmp_path: Directory) -> Survivor:
    return Survivor(tmp_path)


def test_what_is_missing_is_delivered_once(survivor: Survivor) -> None:
    there = survivor.accepted("u@e.test")
    missing = survivor.accepted("v@e.test")
    half = survivor.accepted("all@e.test")
    survivor.boxes.content = {"u@e.test": {there, half}}
    assert survivor.replay(apply=False) == (2, 1, 0, [])
    assert survivor.way.got == []
    assert survivor.replay() == (2, 1, 0, [])
    assert survivor.way.got == [
        (missing, ["v@e.test"], b"the message\r\n"),
        (half, ["v@e.test"], b"the message\r\n"),
    ]
    # They may be in the queue still: nothing is delivered twice.
    assert survivor.replay() == (0, 3, 0, [])
    assert len(survivor.way.got) == 2


def test_a_peer_that_may_be_alive_is_not_replaced(survivor: Survivor) -> None:
    survivor.accepted("u@e.test")
    with pytest.raises(RefusedError, match="cut off"):
        survivor.replay(peer_is_dead=False)
    assert survivor.replay(peer_is_dead=False, apply=False) == (1, 0, 0, [])
    assert survivor.way.got == []


def test_of_a_peer_that_was_rebuilt_only_the_old_life_is_replayed(survivor: Survivor) -> None:
    old = survivor.accepted("u@e.test", instance="a" * 32)
    survivor.accepted("u@e.test", instance="b" * 32)
    assert survivor.replay(peer_instance="b" * 32, peer_is_dead=False) == (1, 0, 1, [])
    assert [got[0] for got in survivor.way.got] == [old]


def test_what_postfix_does_not_take_is_tried_again(survivor: Survivor) -> None:
    bad, good = survivor.accepted("u@e.test"), survivor.accepted("v@e.test")
    survivor.way.refuses = bad
    delivered, _, _, wrong = survivor.replay()
    assert delivered == 1
    assert [line.partition(":")[0] for line in wrong] == [bad]
    survivor.way.refuses = ""
    assert survivor.replay() == (1, 1, 0, [])
    assert sorted(got[0] for got in survivor.way.got) == sorted([good, bad])


def test_a_damaged_entry_is_named_and_hides_no_other(survivor: Survivor) -> None:
    bad, good = survivor.accepted("u@e.test"), survivor.accepted("v@e.test")
    path = survivor.store.directory / bad
    path.write_bytes(path.read_bytes()[:-1])
    delivered, _, _, wrong = survivor.replay()
    assert delivered == 1
    assert "damaged" in wrong[0]
    assert [got[0] for got in survivor.way.got] == [good]


def waiting(entry_id: str, *recipients: str) -> Waiting:
    return Waiting(
        queue_id="ABCDEF",
        entry_id=entry_id,
        targets=tuple(ADDRESSES.target(one) for one in recipients),
    )


def test_only_what_was_seen_to_for_everybody_leaves_the_queue() -> None:
    one = new_id()
    queue = [
        waiting(one, "u@e.test"),
        waiting(one, "u@e.test", "v@e.test"),
        waiting(one, "x@far.test"),
        waiting("", "u@e.test"),
        waiting(one, "void@e.test"),
        waiting(one),
    ]
    found = {"u@e.test": frozenset({one})}
    assert purgeable(queue, found=found, replayed={}) == queue[:1]
    replayed = {one: frozenset({"v@e.test", "x@far.test"})}
    assert purgeable(queue, found=found, replayed=replayed) == queue[:3]


@given(
    st.lists(st.builds(Target, mailboxes=FINALS, outside=OUTSIDE), max_size=3).map(tuple),
    FINALS,
    FINALS | OUTSIDE,
)
def test_whoever_lacks_a_message_keeps_it_in_the_queue(
    targets: tuple[Target, ...], here: frozenset[str], replayed: frozenset[str]
) -> None:
    it = Waiting(queue_id="ABCDEF", entry_id=new_id(), targets=targets)
    if seen_to(it, here=here, replayed=replayed):
        for target in targets:
            assert target.mailboxes <= here | replayed
            # A mailbox here says nothing of somebody outside.
            assert target.outside <= replayed


def test_what_the_replay_noted_is_what_the_queue_asks_for(survivor: Survivor) -> None:
    one = survivor.accepted("out@e.test")
    survivor.replay()
    note = Replayed.read(survivor.notes, one)
    assert note is not None
    assert seen_to(waiting(one, "u@e.test", "x@far.test"), here=frozenset(), replayed=note.finals)


COPIES = st.lists(
    st.builds(
        Copy,
        id=st.sampled_from(["1", "2"]),
        folder=st.sampled_from(["INBOX", "Trash"]),
        uid=st.integers(1, 20),
        flags=st.sampled_from(["", "\\Seen", "\\Seen \\Flagged"]),
    ),
    unique_by=lambda copy: (copy.folder, copy.uid),
)


@given(COPIES)
def test_one_copy_stays_in_every_folder_that_has_any(copies: list[Copy]) -> None:
    extra = surplus(copies)
    stay = [copy for copy in copies if copy not in extra]
    places = [(copy.folder, copy.id) for copy in stay]
    assert sorted(places) == sorted({(copy.folder, copy.id) for copy in copies})
    for copy in extra:
        kept = next(it for it in stay if (it.folder, it.id) == (copy.folder, copy.id))
        assert len(kept.flags.split()) >= len(copy.flags.split())


def test_the_queue_is_read_as_postqueue_prints_it() -> None:
    text = (
        '{"queue_name": "deferred", "queue_id": "4jcs", "arrival_time": 1, "message_size": 1,'
        ' "forced_expire": false, "sender": "", "recipients":'
        ' [{"address": "U@e.test", "delay_reason": "x"}]}\n'
    )
    assert [one.recipients for one in parse_queue(text)] == [("u@e.test",)]
    assert parse_queue("") == []
    with pytest.raises(PostfixError):
        parse_queue("mail system is down\n")

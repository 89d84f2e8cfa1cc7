"""The ledger of mail: every message that was accepted is where it belongs, once. Pure.

Two things are judged. What was handed over must be in each right mailbox exactly once, and must
not come back. What people did to their mailboxes must be as the server last confirmed it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from lab.users.mail_books import ABSENT, Books, Place, kept
from lab.users.mail_changes import (
    State,
    placed,
)
from lab.users.mail_plan import CHANGE, MAIL, SUBMISSION
from lab.users.mail_sightings import lateness, renumbered, spread, unshown, void_numbers
from lab.verdict import Figures, Outcome, Verdict

if TYPE_CHECKING:
    from lab.history import History
    from lab.users.mail_census import Census
    from lab.users.mail_plan import MailUsers

MERGING: Final = 15.0
"""Seconds behind a fault within which two servers that were both written to are one again."""

_SHOWN: Final = 3
_TWICE: Final = "there more than once"
_FLAGS: Final = "with other flags"
_TOO_MUCH: Final = frozenset({_TWICE, "with somebody else"})


def fault(states: frozenset[State], found: State) -> str:
    """Return what is wrong with what was found of a message in one mailbox, empty when nothing."""
    if found in states:
        return ""
    counts = {len(state) for state in states}
    if len(found) < min(counts):
        return "lost"
    if len(found) > max(counts):
        return "there more than once" if max(counts) else "with somebody else"
    places = {tuple(folder for folder, _ in state) for state in states}
    if tuple(folder for folder, _ in found) not in places:
        return "in the wrong folder"
    return _FLAGS


def held(census: Census) -> dict[Place, State]:
    """Return what each mailbox has of each message."""
    found: defaultdict[Place, list[tuple[str, frozenset[str]]]] = defaultdict(list)
    for message in census.messages:
        found[message.owner, message.mark].append((message.folder, frozenset(message.flags)))
    return {place: placed(copies) for place, copies in found.items()}


def mail_balance(
    history: History,
    *,
    users: MailUsers,
    census: Census,
    subject: str,
    late: float | None = None,
    at_least: int = 1,
    unsynced: float = 0.0,
    doubled: int = 0,
    revived: int = 0,
) -> Verdict:
    """Judge whether every message is in each right mailbox exactly once.

    Args:
        history: what was tried.
        users: who tried it.
        census: what is there in the end.
        subject: what to call it.
        late: seconds from acceptance by the fleet until a reader is shown it, at most; any when
            None. What a mail server elsewhere has taken is late by its own patience as well.
        at_least: messages that must have been accepted, or nothing is known.
        unsynced: seconds before a fault in which where people had put a message may be lost; it
            must be somewhere.
        doubled: messages that people elsewhere may get more than once.
        revived: messages that people have filed and that may be where they were as well.
    """
    books = kept(history, users, unsynced=unsynced)
    faults = _of_boxes(books, held(census))
    again = faults[_TWICE] & {mark for _, mark in books.touched}
    if len(again) <= revived:
        faults[_TWICE] -= again
    abroad = list(_abroad(books, census))
    twice = {mark for mark, what in abroad if what != "lost"}
    for mark, what in (*abroad, *_returned(books, census)):
        if mark not in twice or len(twice) > doubled or what != _TWICE:
            faults[what].add(mark)
    faults["lost"] -= faults["sent back"]  # somebody was told
    void = void_numbers(history, users, seconds=unsynced)
    for mark in unshown(history, users, census, void):
        faults["never shown to whoever looks for what is new"].add(mark)
    faults["with another text"] |= {
        message.mark
        for message in census.messages
        if not message.intact and message.mark in books.sent
    }
    delays = lateness(history, books, users, void)
    if late is not None:
        ours = taken_here(history, users)
        faults[f"later than {late:g} s"] |= {
            mark for mark, delay in delays.items() if delay > late and mark in ours
        }
    accepted = [mark for mark, one in books.sent.items() if one.accepted_ns is not None]
    reasons = [
        f"{len(marks):,} {what}: {_some(sorted(marks))}" for what, marks in faults.items() if marks
    ]
    outcome = Outcome.FAIL if reasons else Outcome.OK
    if len(accepted) < at_least:
        outcome = max(outcome, Outcome.UNKNOWN)
        reasons.append(f"only {len(accepted):,} accepted, {at_least:,} needed to know")
    return Verdict(
        subject=subject,
        outcome=outcome,
        reasons=tuple(reasons),
        notes=(
            *spread(delays),
            *([f"{len(twice)} came to people elsewhere twice"] if twice else []),
            *([f"{len(again)} are also where they were filed from"] if again else []),
        ),
        figures=Figures(
            total=len(accepted),
            failed=len(set().union(*faults.values())),
            slowest=max(delays.values(), default=0.0),
        ),
    )


def changes_balance(
    history: History,
    *,
    users: MailUsers,
    census: Census,
    subject: str,
    refused: int = 0,
    unsynced: float = 0.0,
    revived: int = 0,
    overtaken: int = 0,
) -> Verdict:
    """Judge whether mailboxes are as their owners left them, and as their programs know them.

    Args:
        history: what was tried.
        users: who tried it.
        census: what is there in the end.
        subject: what to call it.
        refused: changes that a server may refuse: whoever wanted them knows.
        unsynced: seconds before a fault in which a confirmed change may be lost.
        revived: messages, folders and subscriptions that may be there although somebody has
            thrown them away, or filed them elsewhere.
        overtaken: messages whose flags may be what they were when two servers began to merge what
            they have: one that gets another number is copied, without what changes meanwhile.
    """
    books, here = kept(history, users, unsynced=unsynced), held(census)
    faults: defaultdict[str, set[str]] = defaultdict(set)
    back = {*_changed_messages(books, here, faults), *_changed_folders(books, census, faults)}
    if len(back) <= revived:
        for what in faults:
            faults[what] -= back
    late: set[str] = set()
    if faults[_FLAGS]:
        late = faults[_FLAGS] - _flagged_before(history, users, here, unsynced=unsynced)
    if len(late) <= overtaken:
        faults[_FLAGS] -= late
    if len(books.refused) > refused:
        faults["changes refused"] |= set(books.refused)
    void = void_numbers(history, users, seconds=unsynced)
    faults["numbers are not what they were"] |= set(renumbered(history, users, census, void))
    confirmed = sum(item.kind == CHANGE and item.ok is True for item in history.operations)
    reasons = [
        f"{len(found):,} {what}: {_some(sorted(found))}" for what, found in faults.items() if found
    ]
    outcome = Outcome.FAIL if reasons else Outcome.OK
    if not confirmed:
        outcome, reasons = max(outcome, Outcome.UNKNOWN), [*reasons, "nothing was changed"]
    return Verdict(
        subject=subject,
        outcome=outcome,
        reasons=tuple(reasons),
        notes=tuple(
            f"{len(found)} {what}: {_some(sorted(found))}"
            for what, found in (
                ("came back that were thrown away", back),
                ("were merged without their last flags", late),
            )
            if found
        ),
        figures=Figures(total=confirmed, failed=sum(map(len, faults.values()))),
    )


def _flagged_before(
    history: History, users: MailUsers, here: Mapping[Place, State], *, unsynced: float
) -> set[str]:
    """Return whose flags are wrong whatever became of changes during a merge."""
    faults: defaultdict[str, set[str]] = defaultdict(set)
    books = kept(history, users, unsynced=unsynced, merging=MERGING)
    list(_changed_messages(books, here, faults))
    return faults[_FLAGS]


def _changed_messages(
    books: Books, here: Mapping[Place, State], faults: defaultdict[str, set[str]]
) -> Iterator[str]:
    """Note what is wrong with messages that were changed; yield those that only came back."""
    for place, states in books.states.items():
        now = here.get(place, ABSENT)
        what = fault(states, now)
        if what and (place in books.touched or what == _FLAGS):
            whose = f"{place[1]} of {place[0]}"
            faults[what].add(whose)
            # All that has to be there is there, and more of it.
            if what in _TOO_MUCH and any(not Counter(state) - Counter(now) for state in states):
                yield whose


def _changed_folders(
    books: Books, census: Census, faults: defaultdict[str, set[str]]
) -> Iterator[str]:
    """Note which folders are not as they were left; yield those that only came back."""
    for (owner, name), allowed in books.folders.items():
        now = frozenset(
            word
            for word, all_ in (("there", census.folders), ("subscribed", census.subscribed))
            if (owner, name) in all_
        )
        if now not in allowed:
            found = f"{name} of {owner} is {' and '.join(sorted(now)) or 'not there'}"
            faults["folders are not as they were left"].add(found)
            if any(each < now for each in allowed):
                yield found


def _of_boxes(books: Books, here: Mapping[Place, State]) -> defaultdict[str, set[str]]:
    """Compare each mailbox; what its owner has changed counts here when it is gone or doubled."""
    faults: defaultdict[str, set[str]] = defaultdict(set)
    for place, states in books.states.items():
        what = fault(states, here.get(place, ABSENT))
        if what and what != _FLAGS and place[1] in books.sent:
            faults[what].add(place[1])
    for owner, mark in here:
        if mark in books.sent and (owner, mark) not in books.states:
            faults["with somebody else"].add(mark)
    return faults


def _abroad(books: Books, census: Census) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with messages that had to leave the fleet."""
    arrived = Counter(census.abroad)
    for mark, one in books.sent.items():
        for address in one.letter.abroad:
            count = arrived[address, mark]
            if count < one.copies.start:
                yield mark, "lost"
            elif count >= one.copies.stop:
                yield mark, "there more than once"


def _returned(books: Books, census: Census) -> Iterator[tuple[str, str]]:
    for mark in census.returned:
        if mark in books.sent:
            yield mark, "sent back"
    for mark, one in books.sent.items():
        if one.refused:
            yield mark, "refused for good"


def taken_here(history: History, users: MailUsers) -> frozenset[str]:
    """Return the marks of messages that the fleet itself has taken, not somebody on the way."""
    on_the_way = {who.name for who in users.correspondents if who.route == "handed in"}
    return frozenset(
        item.what.partition(" ")[0]
        for item in history.operations
        if item.kind in (MAIL, SUBMISSION) and item.ok and item.target not in on_the_way
    )


def _some(found: Sequence[str] | Iterable[str]) -> str:
    listed = list(found)
    return ", ".join(listed[:_SHOWN]) + (" ..." if len(listed) > _SHOWN else "")

"""The books of mail: what a history says must be in each mailbox. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from lab.users.mail_changes import Change, Folder, State, after, folder_after, placed
from lab.users.mail_messages import UNSURE
from lab.users.mail_plan import CHANGE, MAIL, SUBMISSION

if TYPE_CHECKING:
    from lab.history import History, Operation
    from lab.users.mail_plan import Letter, MailUsers

ABSENT: Final[State] = ()

Place = tuple[str, str]
"""A mailbox's owner, and a message's mark."""

_OWN_FAULT = "[SERVERBUG]"
"""How an IMAP server marks such an answer (RFC 5530, section 3)."""


@dataclass
class Sent:
    """What became of one message on its way in.

    Attributes:
        letter: what sort it is.
        accepted_ns: when somebody said that they had taken it; None when nobody did.
        unsure: how often it may have been taken without anybody saying so.
        refused: what was said when it was refused for good.
    """

    letter: Letter
    accepted_ns: int | None = None
    unsure: int = 0
    refused: str = ""

    @property
    def copies(self) -> range:
        """How many of it there may be in each place."""
        least = 0 if self.accepted_ns is None else 1
        return range(least, least + self.unsure + 1)


@dataclass
class Books:
    """Everything that a history says of mail.

    Attributes:
        sent: mark -> message.
        states: what may be of a message in a mailbox.
        folders: what may hold of a mailbox's folder.
        touched: places in which people changed something.
        refused: changes that the server refused.
    """

    sent: dict[str, Sent] = field(default_factory=dict)
    states: dict[Place, frozenset[State]] = field(default_factory=dict)
    folders: dict[tuple[str, str], frozenset[Folder]] = field(default_factory=dict)
    touched: set[Place] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


def kept(
    history: History, users: MailUsers, *, unsynced: float = 0.0, merging: float = 0.0
) -> Books:
    """Write the books.

    Args:
        history: what was tried.
        users: who tried it.
        unsynced: seconds before a fault in which a change that was confirmed may be lost with the
            server that confirmed it.
        merging: seconds behind the end of a fault in which one may be lost because two servers
            merge what they have.
    """
    spans = (*history.unsettled(seconds=unsynced), *history.healed(seconds=merging))
    books = Books()
    letters = {(letter.sender, letter.to): letter for letter in users.letters}
    for item in history.operations:
        if item.kind in (MAIL, SUBMISSION):
            mark, sender, to = item.what.split(" ")
            one = books.sent.setdefault(mark, Sent(letter=letters[sender, to]))
            if item.ok:
                one.accepted_ns = item.end_ns
            elif item.ok is None:
                one.unsure += item.detail.endswith(UNSURE)
            elif item.kind == MAIL:
                one.refused = item.detail
    for mark, one in books.sent.items():
        for box in one.letter.boxes:
            copy = (box.folder, frozenset(box.flags))
            books.states[box.owner, mark] = frozenset(
                placed([copy] * copies) for copies in one.copies
            )
    owners = {mover.name: mover.account.name for mover in users.movers}
    for item in history.operations:
        if item.kind == CHANGE and item.what:
            lost = any(item.end_ns in span for span in spans)
            _change(
                books, replace(item, ok=None) if lost and item.ok else item, owners[item.target]
            )
    return books


def _change(books: Books, item: Operation, owner: str) -> None:
    change = Change.parse(item.what)
    if item.ok is False:
        books.refused.append(f"{change.verb}: {item.detail}")
    # A server that ran into a fault of its own may have done some of it.
    ok = None if _OWN_FAULT in item.detail else item.ok
    if change.what:
        place = (owner, change.what)
        before = books.states.get(place, frozenset({ABSENT}))
        books.states[place] = after(before, change, ok=ok)
        books.touched.add(place)
    else:
        name = (owner, change.folder)
        known = books.folders.get(name, frozenset({frozenset()}))
        books.folders[name] = folder_after(known, change, ok=ok)

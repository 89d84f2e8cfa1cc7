"""What people do to their mailboxes, and what is then in them: pure, for players and ledger alike.

A change that the server confirmed has happened. One that it refused has not. One whose answer
never came may have happened or not: from then on there are two states, and either is right.

Shipped to the outside machine: standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

Verb = Literal[
    "append", "flag", "unflag", "copy", "move", "expunge",
    "create", "delete", "subscribe", "unsubscribe",
]  # fmt: skip

Copy = tuple[str, frozenset[str]]
"""A message's place: the folder, and its flags there."""

State = tuple[Copy, ...]
"""All copies of one message in one mailbox, in order."""

Folder = frozenset[str]
"""What holds of a folder: it is ``there``, it is ``subscribed``."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One command of one person.

    Attributes:
        verb: what it does.
        what: the message's mark; empty when it is about the folder itself.
        folder: where.
        to: into which folder, when copied or moved.
        flags: that are set or taken away, or that a new message has.
    """

    verb: Verb
    what: str = ""
    folder: str
    to: str = ""
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as the text that :meth:`parse` reads."""
        return json.dumps(
            [self.verb, self.what, self.folder, self.to, *self.flags], ensure_ascii=False
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read it back."""
        verb, what, folder, to, *flags = json.loads(text)
        return cls(verb=verb, what=what, folder=folder, to=to, flags=tuple(flags))

    def on(self, state: State) -> State:
        """Return the copies of a message after this change."""
        if self.verb == "append":
            return placed([*state, (self.folder, frozenset(self.flags))])
        here = [copy for copy in state if copy[0] == self.folder]
        rest = [copy for copy in state if copy[0] != self.folder]
        flags = frozenset(self.flags)
        if self.verb == "flag":
            here = [(folder, had | flags) for folder, had in here]
        elif self.verb == "unflag":
            here = [(folder, had - flags) for folder, had in here]
        elif self.verb == "copy":
            rest += [(self.to, had) for _, had in here]
        elif self.verb == "move":
            here = [(self.to, had) for _, had in here]
        elif self.verb == "expunge":
            here = []
        return placed([*rest, *here])

    def on_folder(self, state: Folder) -> Folder:
        """Return what holds of the folder after this change."""
        if self.verb == "create":
            return state | {"there"}
        if self.verb == "delete":
            return state - {"there"}
        if self.verb == "subscribe":
            return state | {"subscribed"}
        if self.verb == "unsubscribe":
            return state - {"subscribed"}
        return state


def placed(copies: Iterable[Copy]) -> State:
    """Return copies in an order of their own, so that equal states are equal."""
    return tuple(sorted(copies, key=lambda copy: (copy[0], sorted(copy[1]))))


def after(states: frozenset[State], change: Change, *, ok: bool | None) -> frozenset[State]:
    """Return what may be in a mailbox after a change that ended so."""
    if ok is False:
        return states
    changed = frozenset(map(change.on, states))
    return changed if ok else states | changed


def folder_after(
    states: frozenset[Folder], change: Change, *, ok: bool | None
) -> frozenset[Folder]:
    """Return what may hold of a folder after a change that ended so."""
    if ok is False:
        return states
    changed = frozenset(map(change.on_folder, states))
    return changed if ok else states | changed

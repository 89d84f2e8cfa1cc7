"""Whether a user's mail is the same on both servers, while people go on using it.

A full sync settles whatever differs, but what is expunged while it reads that very folder comes
back: it knows of no earlier sync, and keeps what it cannot account for
(``dsync_mailbox_find_common_uid``, Dovecot 2.4.1). A sync from the state that the last one left has
no such gap, and is trusted as far as it can be seen to have done its work: each folder must have
been the same on both servers at some moment since. A full sync is needed only where a folder was
not, and stayed what it was on either while another sync went over it. Whoever goes on changing
theirs is looked at again later.

Sieve scripts are carried by full syncs alone, so they are compared as well. Subscriptions are
carried by each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from replicator import digest
from replicator.doveadm import Doveadm, DoveadmError

LOOKS: Final = 3
"""How often it is looked: whoever is in the middle of something differs for a moment."""

SCRIPTS: Final = "\0scripts"
"""Sieve scripts, which are in no folder; no folder is called so."""

Held = Mapping[str, str]
"""What somebody has: a checksum for each folder."""

_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""A program that did nothing else had 36 MB after 20,000 messages, and the service may have 256."""


def held(doveadm: Doveadm, user: str) -> dict[str, str]:
    """Return what a user has on this host.

    Raises:
        DoveadmError: Dovecot does not say.
    """
    with _AT_ONCE:
        folders, messages = doveadm.status(user), doveadm.messages(user)
        try:
            found = digest.by_folder(folders=folders, messages=messages)
        except (LookupError, TypeError, ValueError) as error:
            raise DoveadmError(f"doveadm fetch: not what was asked for: {error!r}") from error
        return found | {SCRIPTS: digest.checksum(doveadm.scripts(user))}


class Seen(StrEnum):
    """What looking has shown."""

    ALIKE = "alike"
    """Everything has been the same at some look."""
    APART = "apart"
    """Something is not, and no sync from a state makes it so."""
    MOVING = "moving"
    """Something never was, and is another thing each time."""


class Comparison:
    """Several looks at what a user has, here and there, with a sync between two of them.

    Attributes:
        apart: the folders of which no sync from a state makes the same.
    """

    def __init__(self, *, mine: Callable[[], Held], theirs: Callable[[], Held]) -> None:
        """Make one that has not looked."""
        self._mine = mine
        self._theirs = theirs
        self._left: dict[str, tuple[str | None, str | None]] | None = None
        self.apart: frozenset[str] = frozenset()

    def look(self) -> Seen:
        """Look once.

        A folder that is new since the first look is somebody's next change.
        """
        theirs, mine = self._theirs(), self._mine()
        both = {name: (mine.get(name), theirs.get(name)) for name in mine.keys() | theirs.keys()}
        before = self._left
        self._left = {
            name: pair
            for name, pair in both.items()
            if pair[0] != pair[1] and (before is None or name in before)
        }
        self.apart = frozenset(
            name
            for name, pair in self._left.items()
            if name == SCRIPTS or (before is not None and before[name] == pair)
        )
        return Seen.APART if self.apart else Seen.MOVING if self._left else Seen.ALIKE

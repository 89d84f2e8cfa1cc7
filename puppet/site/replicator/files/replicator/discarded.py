"""Folders that people have thrown away, and subscriptions, until they are seen to be gone.

A sync knows what was thrown away by a log of Dovecot's, which may not say so (2.4.1, and its main
branch in August 2026):

- a folder is taken out of sight first and written down a moment later
  (``index_storage_mailbox_delete_post``); a sync that looks in between finds neither;
- the log is put aside when it has 4,096 bytes, and whoever still has it open for a minute puts the
  new one in its place with each line that is written (``mailbox_log_rotate_if_needed``): what the
  old one held is lost. :file:`replicator.lua` puts it aside before.

Then the folder is taken for one that is new on the other server, and made here again, as it was:
with the GUID that it had, which no other folder has.

Of subscriptions the later change stands, by that log, which has whole seconds; and a server that
hears of a subscription by a sync notes the time at which it did. Who unsubscribes in that second is
subscribed again by the next sync.

Folders are written down: whoever dies before they have looked looks when they are back. What was
unsubscribed is known by its name, which may mean another folder by then: it is soon forgotten.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from replicator.notes import Notes

MOST: Final = 1000
"""Folders of one user that are remembered; the oldest are forgotten first."""

UNSUBSCRIBED_SECONDS: Final = 60.0
"""For so long it is known who has unsubscribed from what: they may want it again by now, and say so
to the other server."""


class Discarded:
    """What has been thrown away, and by whom: GUIDs of folders."""

    def __init__(self, *, notes: Notes) -> None:
        """Take up what is written down.

        Raises:
            OSError: it cannot be read.
        """
        self._notes = notes
        self._folders = {
            user: [str(each) for each in folders]
            for user, folders in notes.read().items()
            if isinstance(folders, list)
        }

    def gone(self, user: str, folders: Collection[str]) -> None:
        """Take note that folders were thrown away."""
        left = [each for each in self._folders.get(user, []) if each not in folders]
        self._keep(user, [*left, *folders][-MOST:])

    def of(self, user: str) -> frozenset[str]:
        """Return what a user has thrown away."""
        return frozenset(self._folders.get(user, []))

    def settle(self, user: str, folders: Collection[str]) -> None:
        """Forget these."""
        before = self._folders.get(user, [])
        left = [each for each in before if each not in folders]
        if left != before:
            self._keep(user, left)

    def _keep(self, user: str, folders: list[str]) -> None:
        self._folders[user] = folders
        if not folders:
            del self._folders[user]
        self._notes.write(user, folders)


class Unsubscribed:
    """Who has unsubscribed from what just now: names of folders."""

    def __init__(self) -> None:
        """Make one that knows of nobody."""
        self._names: dict[str, dict[str, float]] = {}

    def gone(self, user: str, name: str, *, now: float) -> None:
        """Take note that somebody has unsubscribed."""
        names = self._names.setdefault(user, {})
        names.pop(name, None)
        names[name] = now
        if len(names) > MOST:
            del names[next(iter(names))]

    def of(self, user: str, *, now: float) -> frozenset[str]:
        """Return what a user has unsubscribed from."""
        names = self._names.get(user, {})
        return frozenset(name for name, at in names.items() if now - at <= UNSUBSCRIBED_SECONDS)

    def settle(self, user: str, names: Collection[str]) -> None:
        """Forget these."""
        known = self._names.get(user, {})
        for name in names:
            known.pop(name, None)
        if not known:
            self._names.pop(user, None)

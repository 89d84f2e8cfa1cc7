"""Folders that people have thrown away, until they are seen to be gone.

A sync knows what was thrown away by a log of Dovecot's, which may not say so (2.4.1, and its main
branch in August 2026):

- a folder is taken out of sight first and written down a moment later
  (``index_storage_mailbox_delete_post``); a sync that looks in between finds neither;
- the log is put aside when it has 4,096 bytes, and whoever still has it open for a minute puts the
  new one in its place with each line that is written (``mailbox_log_rotate_if_needed``): what the
  old one held is lost. :file:`replicator.lua` puts it aside before.

Then the folder is taken for one that is new on the other server, and made here again, as it was:
with the GUID that it had, which no other folder has.

It is written down, one file a user: whoever dies before they have looked looks when they are back.
What was written in the last moment may be lost with the power, as it may in Dovecot's log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Final

from replicator.spool import name_of, user_of

LOG = logging.getLogger("replicator")

MOST: Final = 1000
"""Folders of one user that are remembered; the oldest are forgotten first."""

_NEW: Final = ".new-"


class Discarded:
    """What has been thrown away, and by whom: GUIDs of folders."""

    def __init__(self, *, path: Path) -> None:
        """Take up what is written down in a directory that is there.

        Raises:
            OSError: it cannot be read.
        """
        self._path = path
        self._folders: dict[str, list[str]] = {}
        for file in path.iterdir():
            user = user_of(file.name)
            if user and (folders := _read(file)):
                self._folders[user] = folders

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
        name = name_of(user)
        try:
            if folders:
                self._folders[user] = folders
                new = self._path / f"{_NEW}{name}"
                new.write_text(json.dumps(folders))
                new.rename(self._path / name)
            else:
                self._folders.pop(user, None)
                (self._path / name).unlink(missing_ok=True)
        except OSError as error:
            LOG.error("what was thrown away is not written down: %s", error)  # noqa: TRY400


def _read(file: Path) -> list[str]:
    """Return what is written down; nothing where that makes no sense."""
    try:
        folders = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        LOG.warning("%s is not understood, and forgotten: %s", file, error)
        return []
    return [str(each) for each in folders] if isinstance(folders, list) else []

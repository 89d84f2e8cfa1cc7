"""Folders that people have thrown away, until they are seen to be gone.

A sync knows what was thrown away by a log of Dovecot's, which may not say so (2.4.1, and its main
branch in August 2026):

- a folder is taken out of sight first and written down a moment later
  (``index_storage_mailbox_delete_post``); a sync that looks in between finds neither;
- the log is put aside when it has 4,096 bytes, and whoever still has it open for a minute puts the
  new one in its place with each line that is written (``mailbox_log_rotate_if_needed``): what the
  old one held is lost. :file:`replicator.lua` puts it aside before.

Then the folder is taken for one that is new on the other server, and made here again, as it was:
with the GUID that it had. One that somebody has made since has another, and a later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LENGTH: Final = 16
_SECONDS: Final = slice(4, 8)
"""Where Dovecot's GUIDs hold the second in which they were made (``guid_128_generate``)."""


def made_at(guid: str) -> int:
    """Return when a GUID was made, in seconds since the epoch.

    Raises:
        ValueError: it is none of Dovecot's.
    """
    made = bytes.fromhex(guid)
    if len(made) != _LENGTH:
        raise ValueError(f"not a GUID: {guid!r}")
    return int.from_bytes(made[_SECONDS], "little")


class Discarded:
    """What has been thrown away, by whom, and when."""

    def __init__(self) -> None:
        """Make an empty one."""
        self._folders: dict[str, dict[str, int]] = {}

    def gone(self, user: str, folder: str, *, at: int) -> None:
        """Take note that a folder was thrown away, at so many seconds since the epoch."""
        self._folders.setdefault(user, {})[folder] = at

    def made(self, user: str, folder: str) -> None:
        """Take note that there is one of that name again."""
        self._folders.get(user, {}).pop(folder, None)

    def of(self, user: str) -> dict[str, int]:
        """Return what a user has thrown away, each with its time."""
        return dict(self._folders.get(user, {}))

    def settle(self, user: str, folders: Mapping[str, int]) -> None:
        """Forget these, but for what was thrown away once more since."""
        left = self._folders.get(user, {})
        for folder, at in folders.items():
            if left.get(folder) == at:
                del left[folder]
        if not left:
            self._folders.pop(user, None)

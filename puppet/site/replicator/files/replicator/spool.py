"""The spool: one file a user whose mail is to be synced.

``NAME`` is written by Dovecot when something has changed, ``.busy-NAME`` is what was there when a
sync began. A file goes when a full sync that began after it is done, so that whatever happens to
this program or this server, what was to be synced still is. Names are escaped as
``replicator.lua`` does it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

BUSY: Final = ".busy-"
_STRANGE: Final = re.compile(r"[^A-Za-z0-9@_+.-]|^\.")
_ESCAPE: Final = re.compile(r"%(?![0-9A-F]{2})")


def name_of(user: str) -> str:
    """Return the name of a user's marker."""
    return _STRANGE.sub(lambda found: _hex(found[0]), user)


def user_of(name: str) -> str | None:
    """Return whose marker it is; nobody's if no user could have such a name."""
    if _STRANGE.search(name.replace("%", "")) or _ESCAPE.search(name):
        return None
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        return None


class Spool:
    """The directory with the markers."""

    def __init__(self, *, path: Path) -> None:
        """Make one; the directory is there."""
        self.path = path

    def users(self) -> set[str]:
        """Return everybody with a marker, old or new.

        Raises:
            OSError: the directory cannot be read.
        """
        names = (entry.name.removeprefix(BUSY) for entry in self.path.iterdir())
        return {user for user in map(user_of, names) if user}

    def marked(self, name: str) -> str | None:
        """Return the user whose new marker has just been written, if it is still there.

        If it is not, a sync has begun since: the marker was opened after what it stands for.
        """
        user = user_of(name)
        return user if user and (self.path / name).exists() else None

    def begin(self, user: str) -> None:
        """Set a user's marker aside, if there is one: from here on a new one means a new change.

        Raises:
            OSError: the spool cannot be changed.
        """
        name = name_of(user)
        try:
            (self.path / name).rename(self.path / f"{BUSY}{name}")
        except FileNotFoundError:
            return

    def settle(self, user: str) -> None:
        """Remove what was set aside.

        Raises:
            OSError: the spool cannot be changed.
        """
        (self.path / f"{BUSY}{name_of(user)}").unlink(missing_ok=True)


def _hex(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())

"""What must outlive this program: a JSON file a user.

What was written in the last moments may be lost with the power, as Dovecot's own logs may.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Final

from replicator.spool import name_of, user_of

LOG = logging.getLogger("replicator")

_NEW: Final = ".new-"


class Notes:
    """A directory of such files."""

    def __init__(self, *, path: Path) -> None:
        """Make one; the directory above is there.

        Raises:
            OSError: it cannot be made.
        """
        path.mkdir(exist_ok=True)
        self._path = path

    def read(self) -> dict[str, Any]:
        """Return what is written down of each user; what makes no sense is left out.

        Raises:
            OSError: it cannot be read.
        """
        notes = {}
        for file in self._path.iterdir():
            user = user_of(file.name)
            if user:
                try:
                    notes[user] = json.loads(file.read_text(encoding="utf-8"))
                except ValueError as error:
                    LOG.warning("%s is not understood, and left out: %s", file, error)
        return notes

    def write(self, user: str, note: Any) -> None:  # noqa: ANN401 - JSON
        """Write something down of a user, in the place of what is there; nothing removes that."""
        name = name_of(user)
        try:
            if note:
                new = self._path / f"{_NEW}{name}"
                new.write_text(json.dumps(note), encoding="utf-8")
                new.rename(self._path / name)
            else:
                (self._path / name).unlink(missing_ok=True)
        except OSError as error:
            LOG.error("%s: nothing can be written down: %s", user, error)  # noqa: TRY400

"""One life of a node's disks.

What a node says about a message counts only if it is the node that accepted it: one that was
rebuilt, or whose mail is on a new disk, has no queue and no mailboxes, and would say of everything
that it is not waiting any more. So its disks carry an id, which is there as long as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from mail_journal.entry import is_id, new_id
from mail_journal.errors import CouldNotError
from mail_journal.synced import write_synced

NAME: Final = ".mail-journal-instance"


class InstanceError(CouldNotError):
    """The id of this node's disks cannot be read or written."""


def read(directory: Path) -> str:
    """Return the id that a directory carries; empty if it carries none.

    Raises:
        InstanceError: it cannot be read.
    """
    with suppress(FileNotFoundError):
        try:
            text = (directory / NAME).read_text(errors="replace").strip()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise InstanceError(f"cannot be read: {error}", where=str(directory / NAME)) from error
        return text if is_id(text) else ""
    return ""


def ensure(directories: Sequence[Path]) -> tuple[str, bool]:
    """Have all of them carry one id; a new one unless they all do already.

    Args:
        directories: one on each disk that something accepted may be on.

    Returns:
        The id, and whether it is new.

    Raises:
        InstanceError: it cannot be read or written.
    """
    found = {read(directory) for directory in directories}
    if len(found) == 1 and (same := found.pop()):
        return same, False
    made = new_id()
    for directory in directories:
        try:
            write_synced(directory / NAME, f"{made}\n".encode())
            (directory / NAME).chmod(0o644)
        except OSError as error:
            raise InstanceError(
                f"cannot be written: {error}", where=str(directory / NAME)
            ) from error
    return made, True

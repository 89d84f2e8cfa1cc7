"""What was done for a peer that died, so that it is not done again: by this node or by the peer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mail_journal.errors import CouldNotError
from mail_journal.synced import write_synced


class ReplayedError(CouldNotError):
    """The notes of a replay cannot be read or written."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What this node has taken upon itself of one message.

    Attributes:
        finals: mailboxes, and addresses outside, that are seen to.
        queue_ids: what Postfix here called the message.
        whole: whether nothing is left to do.
    """

    finals: frozenset[str]
    queue_ids: tuple[str, ...] = ()
    whole: bool = False

    @classmethod
    def read(cls, directory: Path, entry_id: str) -> Self | None:
        """Return what was noted of a message, if anything.

        Raises:
            ReplayedError: it cannot be read.
        """
        path = directory / entry_id
        try:
            document = json.loads(path.read_bytes())
            return cls(
                finals=frozenset(document["finals"]),
                queue_ids=tuple(document["queue_ids"]),
                whole=document["whole"],
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReplayedError(f"cannot be read: {error!r}", where=str(path)) from error

    def write(self, directory: Path, entry_id: str) -> None:
        """Note it.

        Raises:
            ReplayedError: it cannot be written.
        """
        document = {
            "finals": sorted(self.finals),
            "queue_ids": list(self.queue_ids),
            "whole": self.whole,
        }
        try:
            write_synced(directory / entry_id, json.dumps(document).encode())
        except OSError as error:
            raise ReplayedError(f"cannot be written: {error}", where=str(directory)) from error


def forget(directory: Path, *, kept: Iterable[str], older: float) -> None:
    """Remove notes that nobody can ask for any more.

    Args:
        directory: where they are.
        kept: entries that still exist.
        older: seconds.
    """
    existing = frozenset(kept)
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            if path.name not in existing and time.time() - path.stat().st_mtime > older:
                path.unlink()

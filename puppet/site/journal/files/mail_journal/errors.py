"""The two roots of every error, as everywhere in the project, and what the commands end with."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the commands."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    COULD_NOT = 3
    REFUSED = 4
    INTERRUPTED = 130


class JournalError(Exception):
    """Anything that is raised on purpose.

    Args:
        what: what went wrong, as one sentence without a full stop.
        where: the file, address or command concerned; empty when *what* says it.
        remedy: what the reader can do about it; empty when nothing is known.
    """

    exit_code = Exit.COULD_NOT

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the message as one line: where, what, remedy."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}. {self.remedy}" if self.remedy else head


class CouldNotError(JournalError):
    """An action could not be carried out; nothing is known about the thing acted upon."""


class CheckFailedError(JournalError):
    """A check was carried out and the answer was no."""

    exit_code = Exit.CHECK_FAILED


class RefusedError(CheckFailedError):
    """It would do harm as things stand, and was not begun."""

    exit_code = Exit.REFUSED

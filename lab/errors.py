"""The two roots of every error: *could not do* and *check failed*.

Each domain derives one class from either root. The command line turns them into one line
and an exit code; a traceback is shown only with ``--debug``.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command (``docs/operating.md`` lists them for people)."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    COULD_NOT = 3
    REFUSED = 4
    ROLLED_BACK = 5
    ROLLBACK_INCOMPLETE = 6
    INTERRUPTED = 130


class GeneralproveError(Exception):
    """Anything this project raises on purpose.

    Args:
        what: what went wrong, as one sentence without a full stop.
        where: the host, file or command concerned; empty when *what* says it.
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


class CouldNotError(GeneralproveError):
    """An action could not be carried out; nothing is known about the thing acted upon."""


class CheckFailedError(GeneralproveError):
    """A check was carried out and the answer was no."""

    exit_code = Exit.CHECK_FAILED

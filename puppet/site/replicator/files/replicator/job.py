"""One sync of one user: how it is made, how it ended, what those before it have left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How a user is synced."""

    FULL = "full"
    QUICK = "quick"
    FIRST = "first"
    """In one direction: this host's becomes what the peer's is."""


class Outcome(StrEnum):
    """How a sync ended."""

    DONE = "done"
    MOVING = "moving"
    """It worked; whether it has done all its work is not known, as people go on changing things."""
    CHANGED = "changed"
    """Something changed meanwhile, and may not be on both."""
    GONE = "gone"
    """There is no such user."""
    FAILED = "failed"


CARRIED: Final = frozenset({Outcome.DONE, Outcome.MOVING})
"""What had changed before such a sync began is on both."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One sync.

    Attributes:
        user: whose mail.
        kind: how.
        state: what it starts from, Dovecot's own, if that is known.
        started: when, in seconds.
        sweep: how many sweeps had begun before it.
    """

    user: str
    kind: Kind
    state: str
    started: float
    sweep: int


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a user's syncs have taught.

    Attributes:
        seconds: how long the last full one took.
        ended: when that ended.
        state: what the last one of any kind left, on this host or on the peer.
        at: when it was left.
    """

    seconds: float
    ended: float
    state: str
    at: float

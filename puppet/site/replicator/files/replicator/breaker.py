"""Whether it makes sense to sync with the peer at all.

A connect to a peer that has vanished hangs for half a minute. So all users share one breaker: it
opens when the peer does not answer, is tried with a probe from time to time, and is half open from
the first answer until a sync has worked. Pure: time is an argument.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """One peer's breaker.

    Attributes:
        state: how it stands.
        since: when it came to stand so, in seconds.
        opened: how often it has opened.
    """

    def __init__(
        self, *, now: float, tolerated: int = 5, first: float = 1.0, longest: float = 5.0
    ) -> None:
        """Make one that is closed.

        Args:
            now: the time in seconds, of a clock that never goes back.
            tolerated: so many users' syncs may not fail in a row, whatever the peer says to a
                probe. One user's own trouble is nobody else's.
            first: seconds until an open one is probed.
            longest: seconds between probes, which double, at most.
        """
        self._tolerated = tolerated
        self._first = first
        self._longest = longest
        self._delay = first
        self._probe_at = 0.0
        self._failed: set[str] = set()
        self.state = State.CLOSED
        self.since = now
        self.opened = 0

    def succeeded(self, *, now: float) -> bool:
        """Take note of a sync that reached the peer.

        Returns:
            Whether it closed an open breaker: a sync that was under way when it opened has
            answered the question. All users are to be swept then.
        """
        self._failed.clear()
        self._delay = self._first
        before = self.state
        if before is not State.CLOSED:
            self._become(State.CLOSED, now=now)
        return before is State.OPEN

    def failed(self, user: str, *, now: float) -> None:
        """Take note of a user's sync that failed, for whatever reason."""
        self._failed.add(user)
        if self.state is not State.OPEN and len(self._failed) >= self._tolerated:
            self._open(now=now)

    def unreachable(self, *, now: float) -> None:
        """Take note of a probe that the peer did not answer."""
        self._open(now=now)

    def reachable(self, *, now: float) -> bool:
        """Take note of a probe that the peer answered.

        Returns:
            Whether an open breaker is half open now. All users are to be swept then.
        """
        if self.state is not State.OPEN or now < self._probe_at:
            return False
        self._failed.clear()
        self._become(State.HALF_OPEN, now=now)
        return True

    def probe_at(self) -> float | None:
        """Return when the peer is to be probed next; nothing while it is not open."""
        return self._probe_at if self.state is State.OPEN else None

    def _open(self, *, now: float) -> None:
        self._probe_at = now + self._delay
        self._delay = min(self._delay * 2, self._longest)
        if self.state is not State.OPEN:
            self.opened += 1
            self._become(State.OPEN, now=now)

    def _become(self, state: State, *, now: float) -> None:
        self.state = state
        self.since = now

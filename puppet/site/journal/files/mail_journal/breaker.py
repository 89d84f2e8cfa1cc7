"""When the peer is not asked: a message waits for a peer that is away once, not each time.

The first failure opens the breaker; whoever comes then goes on at once. One thread in the
background asks the peer now and then and closes it again, so that no message is the one that tries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """Whether the peer is asked.

    Attributes:
        reason: why it is not; empty while it is.
        since: when that began, seconds of a clock that never goes back.
        tries: how often it was asked since then, in vain.
        next_try: when it is asked again.
    """

    reason: str = ""
    since: float = 0.0
    tries: int = 0
    next_try: float = 0.0

    @property
    def open(self) -> bool:
        """Whether messages go on without the peer."""
        return bool(self.reason)

    def failed(self, *, reason: str, now: float) -> Breaker:
        """Return what it is after a message, or whoever asks now and then, failed."""
        if not self.open:
            return Breaker(reason=reason, since=now, next_try=now + pause(0))
        if now < self.next_try:
            # Others that were under way when the first failed say nothing new.
            return self
        tries = self.tries + 1
        return replace(self, reason=reason, tries=tries, next_try=now + pause(tries))

    def answered(self) -> Breaker:
        """Return what it is after the peer answered whoever asks now and then."""
        return Breaker()


def pause(tries: int) -> float:
    """Return for how many seconds a peer is left alone that did not answer *tries* times."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 16))

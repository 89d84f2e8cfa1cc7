"""What happens to the pair, and when: strikes on a clock that begins with a trial. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

PAIR: Final = ("oslo", "bergen")
"""The hosts of which either may die."""

CONTROL: Final = "tromso"
"""The host that nobody needs in order to be served."""

LOSS_PERCENT: Final = 30
CLOCK_SECONDS: Final = 3600


class Kind(StrEnum):
    """What may happen to a host; the words are people's."""

    POWER = "power loss"
    FROZEN = "frozen"
    CUT = "silent cut"
    CUT_FROM = "mute"
    CUT_TO = "deaf"
    LOSS = "packet loss"
    FULL = "full mail disk"
    CLOCK = "wrong clock"
    PARTITION = "partition"
    DRAIN = "planned drain"
    WIPED = "wiped disk"


TOLD: Final[Mapping[Kind, str]] = {
    Kind.POWER: "{host} loses power",
    Kind.FROZEN: "{host} freezes",
    Kind.CUT: "{host} is cut off silently",
    Kind.CUT_FROM: "nothing that {host} sends arrives",
    Kind.CUT_TO: "nothing sent to {host} arrives",
    Kind.LOSS: f"{{host}} loses {LOSS_PERCENT} % of its packets",
    Kind.FULL: "the mail disk of {host} is full",
    Kind.CLOCK: f"the clock of {{host}} is {CLOCK_SECONDS // 3600} h off",
    Kind.PARTITION: "oslo and bergen are cut off from each other",
    Kind.DRAIN: "{host} is drained for planned work",
    Kind.WIPED: "the disk of {host} is destroyed",
}


@dataclass(frozen=True, kw_only=True, order=True)
class Strike:
    """One thing that happens to one host, and stops.

    Attributes:
        at: seconds from the beginning of the trial until it begins.
        seconds: how long it lasts; what its healing takes comes on top.
        kind: what.
        host: to whom. A partition is one of the pair: it names the first of them.
    """

    at: float = 0.0
    seconds: float
    kind: Kind
    host: str

    @property
    def end(self) -> float:
        """When it is healed, in seconds from the beginning."""
        return self.at + self.seconds

    @property
    def hits_pair(self) -> bool:
        """Whether it is one of the pair that it happens to."""
        return self.host in PAIR

    def __str__(self) -> str:
        """Return it as people read it."""
        told = TOLD[self.kind].format(host=self.host)
        return f"{told} for {self.seconds:g} s" + (f" from {self.at:g} s on" if self.at else "")

    def as_json(self) -> dict[str, object]:
        """Return plain data."""
        return {
            "at": self.at,
            "seconds": self.seconds,
            "kind": str(self.kind),
            "host": self.host,
        }

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_json` returned."""
        return cls(**{**given, "kind": Kind(given["kind"])})


def told(strikes: Iterable[Strike]) -> str:
    """Return several as one phrase, in the order in which they begin."""
    return "; ".join(map(str, sorted(strikes))) or "nothing happens"


def apart(one: Strike, other: Strike, *, rest: float = 0.0) -> bool:
    """Return whether two strikes are never in force together, with a *rest* in between."""
    return one.end + rest <= other.at or other.end + rest <= one.at

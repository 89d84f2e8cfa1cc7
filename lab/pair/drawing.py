"""What a game day is made of: rounds drawn by a seed, within what the design promises. Pure.

The promise is that either of the two may die, and that Tromsø is not needed. So:

* of the pair only one is struck at a time, and it is given time to come back and to catch up before
  the other's turn;
* a partition between them comes alone;
* Tromsø may be struck at any time, by anything.

A destroyed disk is not drawn: its healing takes minutes (``scenarios/test_return.py`` has it), and
nor is a full one, for which mail has to stand still before anybody looks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lab.pair.costs import Cost, together
from lab.pair.matrix import Cell, costs
from lab.pair.strikes import CONTROL, PAIR, Kind, Strike, apart, told

OF_THE_PAIR: Final = (
    Kind.POWER,
    Kind.FROZEN,
    Kind.CUT,
    Kind.CUT_FROM,
    Kind.CUT_TO,
    Kind.LOSS,
    Kind.CLOCK,
    Kind.DRAIN,
)
OF_CONTROL: Final = (Kind.POWER, Kind.FROZEN, Kind.CUT)

SHORTEST: Final = 3.0
LONGEST: Final = 40.0
"""How long a fault lasts at least and at most, in seconds."""

REST: Final = 30.0
"""Seconds that a host of the pair has after its healing before the other may be struck."""

BREATH: Final = 10.0
"""The same before it may be struck itself again: until it has booted."""

OVERHEAD: Final = 50.0
"""Seconds that a round takes besides its faults: users come, go on for a while, and are judged. 17
rounds took 77 s each, of which their faults were 30."""

PACES: Final = (0.5, 1.0, 1.5)
_MOST_STRIKES: Final = 2
_CHANCE_OF_CONTROL: Final = 0.3
_CHANCE_OF_PARTITION: Final = 0.12


@dataclass(frozen=True, kw_only=True)
class Round:
    """Some strikes, and the traffic that they meet.

    Attributes:
        strikes: what happens, times from the round's beginning.
        pace: of the users.
    """

    strikes: tuple[Strike, ...]
    pace: float = 1.0

    @property
    def seconds(self) -> float:
        """How long it takes, about."""
        return OVERHEAD + max((each.end for each in self.strikes), default=0.0)

    def __str__(self) -> str:
        """Return it as people read it."""
        traffic = "" if self.pace == 1.0 else f"; traffic at {self.pace:g} times the usual pace"
        return f"{told(self.strikes)}{traffic}"

    def cost(self, ttl: float) -> Cost:
        """Return what it may cost: what its strikes may, those of the control host nothing."""
        known = costs(ttl)
        return together(_while(each, known[each.kind]) for each in self.strikes if each.hits_pair)

    def cell(self, name: str, ttl: float) -> Cell:
        """Return it as a cell of that name."""
        return Cell(name=name, strikes=self.strikes, cost=self.cost(ttl))


def rounds(seed: int, minutes: float, *, kinds: Sequence[Kind] = OF_THE_PAIR) -> list[Round]:
    """Return the rounds that fit into some minutes, at least one; the same for the same seed.

    Args:
        seed: what they are drawn by.
        minutes: how long all together may take.
        kinds: what may happen to one of the pair.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    found: list[Round] = []
    left = minutes * 60
    while not found or left > 0:
        drawn = _round(chance, kinds)
        left -= drawn.seconds
        if not found or left >= 0:
            found.append(drawn)
    return found


def survivable(strikes: Sequence[Strike]) -> bool:
    """Return whether the design promises to survive these."""
    pair = [each for each in strikes if each.hits_pair]
    alone = len(pair) == 1 or all(each.kind != Kind.PARTITION for each in pair)
    return alone and all(
        apart(one, other, rest=BREATH if one.host == other.host else REST)
        for number, one in enumerate(pair)
        for other in pair[number + 1 :]
    )


def _while(strike: Strike, cost: Cost) -> Cost:
    """Return what a strike may cost that lasts as long as it does.

    What one side of a partition has taken is shown on the other when they have met again.
    """
    if strike.kind != Kind.PARTITION:
        return cost
    return replace(cost, late=max(cost.late, strike.seconds + cost.alike))


def _round(chance: random.Random, kinds: Sequence[Kind]) -> Round:
    strikes = [*_of_the_pair(chance, kinds)]
    if chance.random() < _CHANCE_OF_CONTROL or not strikes:
        strikes.append(
            Strike(
                at=round(chance.uniform(0.0, 10.0), 1),
                seconds=_length(chance),
                kind=chance.choice(OF_CONTROL),
                host=CONTROL,
            )
        )
    return Round(strikes=tuple(sorted(strikes)), pace=chance.choice(PACES))


def _of_the_pair(chance: random.Random, kinds: Sequence[Kind]) -> Iterator[Strike]:
    if chance.random() < _CHANCE_OF_PARTITION:
        yield Strike(seconds=_length(chance), kind=Kind.PARTITION, host=PAIR[0])
        return
    at, before = 0.0, ""
    for _ in range(chance.randint(0, _MOST_STRIKES)):
        host = chance.choice(PAIR)
        if before:
            at += BREATH if host == before else REST
        strike = Strike(
            at=round(at + chance.uniform(0.1, 5.0), 1),
            seconds=_length(chance),
            kind=chance.choice(kinds),
            host=host,
        )
        yield strike
        at, before = strike.end, host


def _length(chance: random.Random) -> float:
    return round(chance.uniform(SHORTEST, LONGEST), 1)

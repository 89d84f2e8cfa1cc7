"""The matrix: what may happen to the pair, and what each of it may cost. Pure.

A cell is a line of :func:`matrix`: who is struck by what, for how long, and a budget. The figures
are those of the promise (``docs/availability.md`` has the measured ones beside them).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lab.pair.costs import Cost
from lab.pair.strikes import CONTROL, PAIR, Kind, Strike, told
from lab.steps.web_ha_records import CHECK_SECONDS, LONGEST
from lab.users.mail_wire import PATIENCE

TTL: Final = float(LONGEST)
"""Seconds for which anybody may remember where a server was that is not well any more."""

CADENCE: Final = 0.25
"""Seconds from one page of a visitor to the next: what is shorter nobody can see."""

AGAIN: Final = 1.0
"""Seconds until a mail program that lost its server has connected to another one."""

WALK: Final = 4.0
"""Seconds until a resolver that asked a dead name server first has the other one's answer."""

BOOT: Final = 25.0
"""Seconds in which a host that lost power serves again."""

_FAULT: Final = 20.0
"""Seconds that a fault lasts: longer than any answer lives in a cache, else it shows less."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One thing that may happen, and what it may cost.

    Attributes:
        name: what it is called in a test's name and in the data.
        strikes: what happens.
        cost: what it may cost.
        chosen: whether continuous integration plays it; the others are slow.
    """

    name: str
    strikes: tuple[Strike, ...]
    cost: Cost
    chosen: bool = False

    @property
    def title(self) -> str:
        """What happens, for people."""
        return told(self.strikes)


def costs(ttl: float = TTL) -> dict[Kind, Cost]:
    """Return what one strike of each kind may cost.

    Args:
        ttl: time to live in seconds of the names that follow the servers' health.
    """
    first, unread = ttl + CHECK_SECONDS + CADENCE, ttl + CHECK_SECONDS + AGAIN
    # Before names lead elsewhere both sides may be written to: of what went different ways both
    # stay, under new numbers, and who wants something done to an old one is told.
    dead = Cost(
        nameless=WALK, first=first, unread=unread, unsent=first + 15.0, unsynced=1.0, refused=2
    )
    return {
        Kind.POWER: dead,
        Kind.CUT: dead,
        Kind.CUT_FROM: dead,
        # It goes on saying what it has to: whoever waits for an answer hears that, and waits on.
        Kind.CUT_TO: dead | Cost(unread=unread + PATIENCE),
        # Its kernel goes on accepting: whoever tries all addresses has no reason to go on, and a
        # mail program that came before the name led elsewhere waits for a word.
        Kind.FROZEN: dead | Cost(pages=2_000, unread=unread + PATIENCE),
        # No server is dead: what is lost is sent again, and every answer may take a while.
        Kind.LOSS: Cost(lookups=200, nameless=6.0, pages=50, first=first, unread=unread,
                        unsent=first + 15.0, refused=2),
        # A folder cannot wait for room: whoever wants one is told.
        Kind.FULL: Cost(unread=unread, refused=30),
        # Its services are started again, at both ends of it.
        Kind.CLOCK: Cost(first=first, unread=unread),
        # Both sides were written to: of what went different ways both stay, under new numbers, and
        # who wants to file what the other side has filed is told.
        Kind.PARTITION: Cost(refused=5, overtaken=3, alike=15.0),
        Kind.DRAIN: Cost(),
        # Messages are on both disks before anybody hears of them; an entry follows in a moment.
        # What it had sent to people elsewhere in its last seconds the other one sends again. After
        # minutes the resolver may wait for the dead one for longer than people wait for it.
        Kind.WIPED: dead | Cost(alike=300.0, uncopied=1.0, doubled=10, lookups=20),
    }  # fmt: skip


def matrix(ttl: float = TTL) -> tuple[Cell, ...]:
    """Return every cell.

    Args:
        ttl: as for :func:`costs`.
    """
    return (*_single(ttl), *_without_control(ttl), *_in_a_row(ttl))


_CHOSEN: Final = {
    (Kind.FROZEN, "oslo"),
    (Kind.CUT, "bergen"),
    (Kind.CUT_FROM, "bergen"),
}
"""What continuous integration plays, now on one host and now on the other.

A death, and a cut between the two, are in scenarios of their own; the others passed on a quiet
machine, and are to follow when they have passed more often.
"""


def _single(ttl: float) -> Iterator[Cell]:
    known = costs(ttl)
    for kind in Kind:
        if kind == Kind.PARTITION:
            yield Cell(
                name="partition",
                strikes=(Strike(kind=kind, host=PAIR[0], seconds=_FAULT),),
                cost=known[kind],
            )
            continue
        for host in PAIR:
            yield Cell(
                name=f"{kind}-{host}".replace(" ", "-"),
                strikes=(Strike(kind=kind, host=host, seconds=_FAULT),),
                cost=known[kind],
                chosen=(kind, host) in _CHOSEN,
            )


def _without_control(ttl: float) -> Iterator[Cell]:
    """Yield what happens while the control host is dead throughout."""
    away = Strike(kind=Kind.POWER, host=CONTROL, seconds=5.0 + _FAULT + 5.0)
    yield Cell(name="no-control", strikes=(away,), cost=Cost())
    for host in PAIR:
        yield Cell(
            name=f"no-control-{host}",
            strikes=(away, Strike(kind=Kind.POWER, host=host, at=5.0, seconds=_FAULT)),
            cost=costs(ttl)[Kind.POWER],
        )


def _in_a_row(ttl: float) -> Iterator[Cell]:
    """Yield what happens when one dies while the other is coming back: nobody serves for a while.

    Accepted messages are on a disk all the same, and both disks come back.
    """
    nobody = BOOT + 2.0
    dead = costs(ttl)[Kind.POWER]
    for host, other in (PAIR, PAIR[::-1]):
        yield Cell(
            name=f"in-a-row-{host}",
            strikes=(
                Strike(kind=Kind.POWER, host=host, seconds=_FAULT),
                Strike(kind=Kind.POWER, host=other, at=_FAULT + 1.0, seconds=_FAULT),
            ),
            cost=Cost(
                lookups=2_700,
                nameless=nobody,
                pages=1_000,
                first=dead.first + nobody,
                unread=dead.unread + nobody,
                unsent=dead.unsent + nobody,
                late=dead.late + nobody,
                refused=30,
                unsynced=dead.unsynced,
            ),
        )

"""The shortest part of something that still fails: delta debugging (Zeller, TSE 2002). Pure.

Each trial may cost minutes, and may pass by luck though the fault is there: what comes out is the
shortest that was *seen* to fail, and how far the search went is part of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Shortest(Generic[T]):
    """What was found.

    Attributes:
        items: the shortest part that was seen to fail, in its order.
        trials: how many parts were tried.
        complete: whether no part of it with one item less fails; else time was up.
    """

    items: tuple[T, ...]
    trials: int
    complete: bool

    def __str__(self) -> str:
        """Return how far the search went."""
        tried = f"{self.trials} shorter one{'s' * (self.trials != 1)} tried"
        return tried if self.complete else f"{tried}, then time was up"


def shortest(
    failing: Sequence[T], fails: Callable[[Sequence[T]], bool], *, go_on: Callable[[int], bool]
) -> Shortest[T]:
    """Return the shortest part of *failing* that can be found and still fails.

    Args:
        failing: what was seen to fail.
        fails: tries a part of it, in the same order.
        go_on: is asked before each trial, with how many there were, whether there is time for it.
    """
    items = list(failing)
    known: dict[tuple[int, ...], bool] = {}
    left = list(range(len(items)))
    pieces = 2
    while len(left) > 1:
        for part in _parts(left, pieces):
            if part not in known:
                if not go_on(len(known)):
                    return _found(items, left, known, complete=False)
                known[part] = fails([items[index] for index in part])
            if known[part]:
                pieces = 2 if len(part) * pieces <= len(left) else max(2, pieces - 1)
                left = list(part)
                break
        else:
            if pieces >= len(left):
                break
            pieces = min(len(left), pieces * 2)
    return _found(items, left, known, complete=True)


def _parts(left: Sequence[int], pieces: int) -> Iterator[tuple[int, ...]]:
    """Yield the pieces, then what is left without each of them."""
    count = len(left)
    bounds = [count * number // pieces for number in range(pieces + 1)]
    chunks = [left[low:high] for low, high in pairwise(bounds)]
    yield from (tuple(chunk) for chunk in chunks)
    if pieces > 2:  # noqa: PLR2004 - of two, each is what is left without the other
        yield from (tuple(each for each in left if each not in chunk) for chunk in chunks)


def _found(
    items: Sequence[T], left: Sequence[int], known: dict[tuple[int, ...], bool], *, complete: bool
) -> Shortest[T]:
    return Shortest(
        items=tuple(items[index] for index in left), trials=len(known), complete=complete
    )

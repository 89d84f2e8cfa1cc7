"""The same thing on several hosts at once, or one thing while others are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(action: Callable[[T], R], things: Sequence[T]) -> list[R]:
    """Return what *action* returns for each of *things*, done all at once.

    Everything is waited for. Of several errors the first in order is raised.
    """
    if not things:
        return []
    with ThreadPoolExecutor(max_workers=len(things)) as pool:
        return [done.result() for done in [pool.submit(action, thing) for thing in things]]


@contextmanager
def meanwhile(action: Callable[[], R]) -> Iterator[Future[R]]:
    """Do *action* while the block runs; it has ended when the block has.

    The block asks for its result, and gets its error there. If it does not ask, an error is raised
    at the end of the block, unless the block has one of its own.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        done = pool.submit(action)
        yield done
        done.result()

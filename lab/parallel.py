"""The same thing on several hosts at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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

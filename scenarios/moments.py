"""Moments in a step at which something happens: Ctrl-C, a fault, whatever a scenario wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from lab.console import TerminalReporter


class PulledPlug(KeyboardInterrupt):
    """Somebody pressed Ctrl-C, or the laptop's battery was empty."""


def pull_the_plug() -> NoReturn:
    """Interrupt whatever runs."""
    raise PulledPlug


class At(TerminalReporter):
    """Does something once, when a phase begins or when it begins to wait.

    Args:
        title: of the phase.
        action: what happens then.
        waiting: whether the phase acts first, and the moment is its wait for the caches.
    """

    def __init__(self, *, title: str, action: Callable[[], object], waiting: bool = False) -> None:
        super().__init__()
        self._title = title
        self._action = action
        self._waiting = waiting
        self._met = False
        self._done = False

    def say(self, text: str) -> None:
        """Print the line; if it is the phase's title, the moment may have come."""
        super().say(text)
        self._met = self._met or self._title in text
        if not self._waiting:
            self._act()

    def countdown(self, text: str, seconds: float) -> None:
        """Wait, unless the moment has come."""
        if self._waiting:
            self._act()
        super().countdown(text, seconds)

    def _act(self) -> None:
        if self._met and not self._done:
            self._done = True
            self._action()


class AtTask(TerminalReporter):
    """Does something once, when a task of that title begins.

    Args:
        title: how the task's title begins.
        action: what happens then.
    """

    def __init__(self, *, title: str, action: Callable[[], object]) -> None:
        super().__init__()
        self.said: list[str] = []
        self._title = title
        self._action = action
        self._done = False

    def say(self, text: str) -> None:
        """Print the line, and remember it."""
        self.said.append(text)
        super().say(text)

    @contextmanager
    def task(self, text: str) -> Iterator[None]:
        """Show the task; the moment comes when it has begun."""
        with super().task(text):
            if text.startswith(self._title) and not self._done:
                self._done = True
                self._action()
            yield

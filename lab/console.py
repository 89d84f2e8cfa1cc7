"""What the commands say to a person: progress, waits, results.

On a terminal a task is a live line with a spinner and the seconds so far; elsewhere (a log, a
pipe, continuous integration) it is one plain line when it ends.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Reporter(Protocol):
    """Where progress goes: a terminal, a log, or nowhere."""

    def say(self, text: str) -> None:
        """Print one line."""

    def task(self, text: str) -> AbstractContextManager[None]:
        """Show *text* while the block runs, then how many seconds it took."""

    def countdown(self, text: str, seconds: float) -> None:
        """Wait *seconds*, showing what is left; used where the protocol itself demands a wait."""


PICTURE_COLUMNS = 100


def console(*, stderr: bool = False, record: bool = False) -> Console:
    """Return a rich console: colour on a terminal only, no wrapping in a log.

    Args:
        stderr: whether it writes to standard error.
        record: whether what it prints is kept, to be saved as a picture.
    """
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=not stream.isatty() and not record,
        record=record,
        width=PICTURE_COLUMNS if record else None,
    )


def save_picture(out: Console, path: str, *, title: str) -> None:
    """Save what a recording console printed as an SVG that fetches nothing.

    Args:
        out: made with ``console(record=True)``.
        path: the file.
        title: shown above it.
    """
    offline = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    out.save_svg(path, title=title, code_format=offline)


class TerminalReporter:
    """Reports to a terminal, or line by line where there is none.

    Args:
        out: the rich console to write to.
    """

    def __init__(self, *, out: Console | None = None) -> None:
        self._out = out or console()
        self._live: Progress | None = None

    def say(self, text: str) -> None:
        """Print one line above whatever is live."""
        self._out.print(text)

    @contextmanager
    def task(self, text: str) -> Iterator[None]:
        """Show *text* while the block runs; a line with its duration afterwards.

        A task inside another is shown as a line only: one thing moves at a time.
        """
        start = time.monotonic()
        try:
            with self._moving(text, total=None):
                yield
        except BaseException:
            self._out.print(f"[red]✗[/] {text} [dim]{time.monotonic() - start:.1f} s[/]")
            raise
        self._out.print(f"[green]✓[/] {text} [dim]{time.monotonic() - start:.1f} s[/]")

    def countdown(self, text: str, seconds: float) -> None:
        """Wait *seconds*, with a live bar on a terminal."""
        if seconds <= 0:
            return
        deadline = time.monotonic() + seconds
        with self._moving(text, total=seconds) as progress:
            while (left := deadline - time.monotonic()) > 0:
                if progress is not None:
                    progress.update(progress.task_ids[0], completed=seconds - left)
                time.sleep(min(0.2, left))
        self._out.print(f"[green]✓[/] {text} [dim]{seconds:.0f} s[/]")

    @contextmanager
    def _moving(self, text: str, *, total: float | None) -> Iterator[Progress | None]:
        if self._live is not None or not self._out.is_terminal:
            yield None
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *((BarColumn(),) if total else ()),
            TimeElapsedColumn(),
        )
        self._live = Progress(*columns, console=self._out, transient=True)
        try:
            with self._live as progress:
                progress.add_task(text, total=total)
                yield progress
        finally:
            self._live = None


class SilentReporter:
    """Says nothing; waits all the same."""

    def say(self, text: str) -> None:
        """Drop *text*."""

    @contextmanager
    def task(self, text: str) -> Iterator[None]:  # noqa: ARG002 - the protocol's signature
        """Run the block."""
        yield

    def countdown(self, text: str, seconds: float) -> None:  # noqa: ARG002 - as above
        """Wait *seconds*."""
        time.sleep(max(0.0, seconds))

"""What is published of all that was measured: one trial a line, in the repository.

Records stay on the machine that made them; this outlives it, and the page is written from it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from lab.pair.measured import Measured, MeasuredError, latest, reading

PATH: Final = "docs/availability.jsonl"


def read(path: Path) -> list[Measured]:
    """Return what was published; nothing where there is no such file.

    Raises:
        MeasuredError: it is not what was written.
    """
    if not path.exists():
        return []
    with reading(path):
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Measured.of(json.loads(line)) for line in lines]


def write(path: Path, measured: Iterable[Measured]) -> None:
    """Publish trials.

    Raises:
        MeasuredError: they cannot be written.
    """
    lines = (
        json.dumps(each.as_json(), ensure_ascii=False, separators=(",", ":")) for each in measured
    )
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise MeasuredError(f"cannot be written: {error}", where=str(path)) from error


def chosen(cells: Collection[str], measured: Iterable[Measured]) -> list[Measured]:
    """Return what is worth publishing: the latest trial of each cell, and the last game day.

    Args:
        cells: the names of the matrix' cells.
        measured: everything that was measured, or had been published.
    """
    # What had been published may lie on this machine as well.
    known = [*{(each.name, each.at): each for each in measured}.values()]
    trials = latest(each for each in known if not each.day)
    return [*(trials[name] for name in cells if name in trials), *last_day(known)]


def last_day(measured: Iterable[Measured]) -> list[Measured]:
    """Return the rounds of the game day that began last; of one played twice, the second time."""
    rounds = sorted((each for each in measured if each.day), key=lambda each: each.at)
    began = [at for at, each in enumerate(rounds) if each.name.endswith("-round-1")]
    return rounds[began[-1] :] if began else []

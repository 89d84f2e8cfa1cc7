"""``docs/availability.md``: what was measured, written from the data and by nobody. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lab.pair.matrix import Cell
from lab.pair.measured import Measured, Saw, latest
from lab.pair.power import PowerLosses, section
from lab.pair.strikes import told

PATH: Final = "docs/availability.md"

_COLUMNS: Final = {
    "look-ups": "look-ups",
    "visits at any address": "pages",
    "visits at one address": "pages, one address only",
    "mail": "messages",
    "imap": "mail read",
    "alike again": "alike again",
    "both serve again": "both serve again",
}
"""What is shown of every cell: a sort of users -> its heading."""

_HEAD: Final = """\
# Availability: what was measured

<!-- Written by `./invoke availability` from the data that runs leave beside their records. -->

Oslo and Bergen serve DNS, web and mail together; either may die. This page has what users outside
saw while something happened to them, cell by cell of the matrix (`lab/pair/matrix.py`). A *gap* is
the longest span in which one user had no success. *Alike again* is how long it took, from the
moment at which healing began, until nothing was left of what differed then; *both serve again*,
until names led to both. How it is judged is in [scenarios.md](scenarios.md).
"""
_NOTHING: Final = """
**Nothing has been measured yet.** `pytest scenarios/test_failover_matrix.py` does, and
`./invoke availability` writes it down.
"""
_DAYS: Final = """
## Game days

Faults drawn at random within what the design promises to survive, one round after the other in the
same lab, without anything being put back in between.

| seed | rounds | minutes | outcome | tree |
|---|---|---|---|---|
"""


def page(
    cells: Sequence[Cell], measured: Sequence[Measured], losses: PowerLosses | None = None
) -> str:
    """Return the page.

    Args:
        cells: of the matrix.
        measured: everything that was, of any age.
        losses: of power, of a host that was alone; None where that was not measured.
    """
    known = latest(each for each in measured if not each.day)
    lines = [_HEAD]
    if not measured:
        return _HEAD + _NOTHING
    lines += ["", *_table(cells, known), "", *_missing(cells, known)]
    lines += _game_days(measured)
    lines += ["", section(losses)] if losses else []
    lines += ["", "## Cell by cell", ""]
    for cell in cells:
        if found := known.get(cell.name):
            lines += [*_in_detail(found), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(cells: Sequence[Cell], known: dict[str, Measured]) -> Iterator[str]:
    headings = ["what happens", "outcome", *_COLUMNS.values()]
    yield f"| {' | '.join(headings)} |"
    yield "|---" * len(headings) + "|"
    for cell in cells:
        if found := known.get(cell.name):
            shown = [_brief(found.saw(what)) for what in _COLUMNS]
            yield f"| {told(found.strikes)} | {found.outcome} | {' | '.join(shown)} |"


def _missing(cells: Sequence[Cell], known: dict[str, Measured]) -> Iterator[str]:
    missing = [cell.name for cell in cells if cell.name not in known]
    if missing:
        yield f"Not measured yet: {', '.join(missing)}."
    trees = sorted({found.commit for found in known.values()})
    if trees:
        yield ""
        yield f"Measured with the tree{'s' * (len(trees) > 1)} {', '.join(trees)}."


def _game_days(measured: Sequence[Measured]) -> Iterator[str]:
    days: dict[str, list[Measured]] = {}
    for each in measured:
        if each.day:
            days.setdefault(each.day, []).append(each)
    if not days:
        return
    yield _DAYS.rstrip()
    for day, rounds in days.items():
        minutes = sum(each.seconds for each in rounds) / 60
        worst = max(each.outcome for each in rounds)
        yield f"| {day} | {len(rounds)} | {minutes:.0f} | {worst} | {rounds[-1].commit} |"


def _brief(saw: Saw | None) -> str:
    """Return the figure that matters of one sort of users."""
    if saw is None:
        return "-"
    if saw.total == 1:  # it happened, or it did not
        return f"{saw.slowest:.1f} s" if not saw.failed else "never"
    gap = f", gap {saw.gap:.1f} s" if saw.gap else ""
    return f"{saw.failed:,} of {saw.total:,}{gap}"


def _in_detail(found: Measured) -> Iterator[str]:
    yield f"### {found.name}"
    yield ""
    yield f"{told(found.strikes)}. Budget: {found.budget}."
    load = f", {found.load:g} processes for each processor" if found.load else ""
    yield f"**{found.outcome}**, {found.at:%Y-%m-%d %H:%M} UTC, tree {found.commit}{load}."
    yield ""
    yield "| who | outcome | failed | gap | resolution | slowest | notes |"
    yield "|---|---|---|---|---|---|---|"
    for saw in found.saws:
        notes = "; ".join((*saw.reasons, *saw.notes)).replace("|", "\\|")
        times = " | ".join(map(_seconds, (saw.gap, saw.resolution, saw.slowest)))
        tried = f"{saw.failed:,} of {saw.total:,}"
        yield f"| {saw.what} | {saw.outcome} | {tried} | {times} | {notes} |"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value else "-"

"""A run as a picture: pure functions from a history to shapes on one axis of time.

Shapes live in a box 1000 wide and 100 high, which the page stretches; words stay outside of
it as ordinary text, so that they are as legible on a phone as on a wide screen.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lab.history import History, Mark, Operation
from lab.verdict import Figures, figures, gaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NS: Final = 1_000_000_000
WIDTH: Final = 1000
FLOOR: Final = 84
"""Where bars stand; below it runs the strip that shows the longest gap."""

_MOST_BINS: Final = 240
_MOST_TICKS: Final = 8
_NICE: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_SHOWN_GAP: Final = 4
"""A gap of so many cadences is worth a strip; shorter ones are how probes breathe."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """A fault, a step or a moment, numbered for the list beside the picture.

    Attributes:
        number: from 1, in order of time.
        kind: ``fault`` or ``step``.
        name: which.
        detail: what is worth knowing.
        at: seconds since the run began.
        seconds: how long it lasted; ``None`` for a moment.
        open: whether it never ended.
        left: where it begins, in percent of the width.
        width: how wide it is, in percent.
    """

    number: int
    kind: str
    name: str
    detail: str
    at: float
    seconds: float | None
    open: bool
    left: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One probe's operations.

    Attributes:
        figures: what they amount to.
        rate: operations a second.
        done: path of what succeeded.
        failed: path of what failed, standing on what succeeded.
        undecided: path of what nobody can tell, standing on both.
        gap: left and width of the longest gap, if it is worth a look.
    """

    figures: Figures
    rate: float
    done: str
    failed: str
    undecided: str
    gap: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Chart:
    """All lanes of one kind of operation.

    Attributes:
        kind: of the operations.
        bin: seconds that one bar covers.
        lanes: one for each probe.
    """

    kind: str
    bin: float
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The whole picture.

    Attributes:
        seconds: how long the run was.
        ticks: percent of the width, and the word there.
        bands: what happened to the fleet.
        charts: what users saw, one for each kind.
    """

    seconds: float
    ticks: tuple[tuple[float, str], ...]
    bands: tuple[Band, ...]
    charts: tuple[Chart, ...]


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """From nanoseconds to places."""

    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / _NS

    def at(self, ns: int) -> float:
        """Return seconds since the beginning."""
        return (ns - self.start_ns) / _NS

    def place(self, ns: int, *, of: float) -> float:
        """Return a moment's place on an axis of some width, within its ends."""
        share = (ns - self.start_ns) / max(self.end_ns - self.start_ns, 1)
        return round(of * min(max(share, 0.0), 1.0), 2)


def timeline(history: History) -> Timeline:
    """Draw a history."""
    moments = [
        *(item.start_ns for item in history.operations),
        *(item.end_ns for item in history.operations),
        *(item.at_ns for item in history.marks),
    ]
    axis = _Axis(start_ns=min(moments, default=0), end_ns=max(moments, default=0))
    by_kind: dict[str, dict[str, list[Operation]]] = {}
    for item in history.operations:
        by_kind.setdefault(item.kind, {}).setdefault(item.target, []).append(item)
    return Timeline(
        seconds=axis.seconds,
        ticks=_ticks(axis),
        bands=_bands(history.marks, axis),
        charts=tuple(_chart(kind, by_kind[kind], axis) for kind in sorted(by_kind)),
    )


def _nice(least: float) -> float:
    """Return the first round number of seconds that is not less."""
    return next((step for step in _NICE if step >= least), _NICE[-1])


def _ticks(axis: _Axis) -> tuple[tuple[float, str], ...]:
    step = _nice(axis.seconds / _MOST_TICKS)
    count = int(axis.seconds / step) if axis.seconds else 0
    return tuple(
        (round(100 * number * step / axis.seconds, 2), clock(number * step))
        for number in range(count + 1)
        if axis.seconds
    )


def clock(seconds: float) -> str:
    """Say a moment of a run: ``0.5``, ``45 s``, ``2:05``, ``1:00:05``."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _bands(marks: Iterable[Mark], axis: _Axis) -> tuple[Band, ...]:
    """Pair the beginnings with the ends; what never ended lasts until the run's end."""
    found: list[tuple[Mark, Mark | None]] = []
    running: dict[tuple[str, str], list[int]] = {}
    for mark in marks:
        if mark.kind in {"probe", "memory"}:
            continue
        before = running.setdefault((mark.kind, mark.name), [])
        if mark.phase == "end" and before:
            index = before.pop()
            found[index] = (found[index][0], mark)
            continue
        if mark.phase == "start":
            before.append(len(found))
        found.append((mark, None))
    return tuple(
        _band(number, start, end, axis) for number, (start, end) in enumerate(found, start=1)
    )


def _band(number: int, start: Mark, end: Mark | None, axis: _Axis) -> Band:
    until = start.at_ns if start.phase != "start" else end.at_ns if end else axis.end_ns
    left = axis.place(start.at_ns, of=100)
    return Band(
        number=number,
        kind=start.kind,
        name=start.name,
        detail=start.detail,
        at=axis.at(start.at_ns),
        seconds=(until - start.at_ns) / _NS if start.phase == "start" else None,
        open=start.phase == "start" and end is None,
        left=left,
        width=round(axis.place(until, of=100) - left, 2),
    )


def _chart(kind: str, by_target: Mapping[str, Sequence[Operation]], axis: _Axis) -> Chart:
    told = {name: figures(name, by_target[name]) for name in sorted(by_target)}
    slowest = max(item.cadence for item in told.values())
    width = _nice(max(axis.seconds / _MOST_BINS, 4 * slowest))
    return Chart(
        kind=kind,
        bin=width,
        lanes=tuple(_lane(told[name], by_target[name], axis, bin_seconds=width) for name in told),
    )


def _lane(
    told: Figures, operations: Sequence[Operation], axis: _Axis, *, bin_seconds: float
) -> Lane:
    """Draw one probe. A bar is full at the probe's usual pace and lower where it asked less."""
    counts: dict[bool | None, Counter[int]] = {True: Counter(), False: Counter(), None: Counter()}
    for item in operations:
        counts[item.ok][int(axis.at(item.start_ns) / bin_seconds)] += 1
    totals = counts[True] + counts[False] + counts[None]
    # Beats fall into bins unevenly; a fifth less than usual is still full.
    usual = 0.8 * statistics.median(totals.values())
    paths: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    step = WIDTH * bin_seconds / max(axis.seconds, bin_seconds)
    for index, total in sorted(totals.items()):
        whole = (index + 1) * bin_seconds <= axis.seconds  # the last one seldom is
        height = FLOOR * (min(1.0, total / usual) if whole else 1.0) / total
        top = float(FLOOR)
        for ok in (True, False, None):
            tall = height * counts[ok][index]
            if tall:
                top -= tall
                wide = min(step, WIDTH - index * step)
                paths[ok].append(
                    f"M{index * step:.1f} {top:.1f}h{wide:.1f}v{tall:.1f}h-{wide:.1f}z"
                )
    longest = max(gaps(operations), key=lambda gap: gap.seconds)
    left = axis.place(longest.start_ns, of=WIDTH)
    worth = longest.seconds > _SHOWN_GAP * max(told.cadence, 0.01)
    return Lane(
        figures=told,
        rate=1 / told.cadence if told.cadence else 0.0,
        done="".join(paths[True]),
        failed="".join(paths[False]),
        undecided="".join(paths[None]),
        gap=(left, round(axis.place(longest.end_ns, of=WIDTH) - left, 2)) if worth else None,
    )

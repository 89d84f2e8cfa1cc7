"""What a history says: pure functions from operations to figures, and to one of three outcomes.

*Fail* ranks over *unknown*, *unknown* over *ok*. Whoever saw nothing knows nothing: no data,
a probe cut short or a checker that crashed is *unknown*, and unknown never passes.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lab.history import History, Operation

_NS = 1_000_000_000

Finding = tuple["Outcome", str]
"""What one look at the figures found, and why it is not ok."""


class Outcome(IntEnum):
    """How a judgement ends; the worst of several is the greatest."""

    OK = 0
    UNKNOWN = 1
    FAIL = 2

    def __str__(self) -> str:
        """Return the word people read."""
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a run may cost its users.

    Attributes:
        failed: operations that may fail.
        gap: longest span in seconds in which nothing may succeed; ``None`` for any.
        at_least: operations that must have succeeded, or nothing is known.
    """

    failed: int = 0
    gap: float | None = None
    at_least: int = 1

    def __str__(self) -> str:
        """Return it as a phrase."""
        gap = "" if self.gap is None else f", no gap over {self.gap:g} s"
        return f"at most {self.failed:,} failed of at least {self.at_least:,}{gap}"


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A span in which no operation of one target succeeded.

    Attributes:
        start_ns: the success before it, or when watching began.
        end_ns: the success after it, or when watching ended.
    """

    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / _NS


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one target's operations, or all of a kind, amount to.

    Attributes:
        target: the probe; empty for all of them.
        total: operations.
        failed: those that failed.
        undecided: those of which nobody can tell.
        gap: longest span without a success in seconds; of several targets the worst.
        cadence: median time between two operations of one target in seconds.
        resolution: longest such time in seconds: what is shorter may have gone unseen.
        slowest: longest operation that succeeded, in seconds.
    """

    target: str = ""
    total: int = 0
    failed: int = 0
    undecided: int = 0
    gap: float = 0.0
    cadence: float = 0.0
    resolution: float = 0.0
    slowest: float = 0.0

    @property
    def succeeded(self) -> int:
        """Operations that did what the user wanted."""
        return self.total - self.failed - self.undecided


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A judgement, with what it rests on.

    Attributes:
        subject: what was judged, for people.
        outcome: ok, unknown or fail.
        reasons: why it is not ok, worst first; empty when it is.
        budget: what was allowed; ``None`` when something else was judged.
        figures: of all targets together.
        targets: of each.
        notes: what else is worth knowing, whatever the outcome.
    """

    subject: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    budget: Budget | None = None
    figures: Figures = field(default_factory=Figures)
    targets: tuple[Figures, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it on one line."""
        told = (
            f"{self.figures.failed:,} failed of {self.figures.total:,},"
            f" longest gap {self.figures.gap:.2f} s (resolution {self.figures.resolution:.2f} s)"
        )
        why = f": {'; '.join(self.reasons)}" if self.reasons else ""
        return f"{self.subject}: {self.outcome}, {told}{why}"


def worst(verdicts: Iterable[Verdict]) -> Outcome:
    """Return the outcome of several together; of none at all it is unknown."""
    return max((verdict.outcome for verdict in verdicts), default=Outcome.UNKNOWN)


def guarded(subject: str, checker: Callable[[], Verdict]) -> Verdict:
    """Run a checker; one that crashes knows nothing."""
    try:
        return checker()
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known
        reason = f"the checker crashed: {type(error).__name__}: {error}"
        return Verdict(subject=subject, outcome=Outcome.UNKNOWN, reasons=(reason,))


def broken_off(subject: str, error: BaseException) -> Verdict:
    """Return the judgement of what did not come to its end: it fails, whatever users saw."""
    said = str(error) or type(error).__name__
    return Verdict(subject=subject, outcome=Outcome.FAIL, reasons=(f"it ended early: {said}",))


def judge(history: History, *, subject: str, kind: str, budget: Budget) -> Verdict:
    """Judge all operations of a kind.

    Args:
        history: what was seen.
        subject: what to call it.
        kind: of the operations.
        budget: what is allowed.

    Returns:
        A gap is looked for in each target by itself, so that one that works cannot hide
        another that does not.
    """
    by_target: dict[str, list[Operation]] = {name: [] for name in history.probes(kind)}
    for operation in history.operations:
        if operation.kind == kind:
            by_target.setdefault(operation.target, []).append(operation)
    targets = tuple(figures(name, by_target[name]) for name in sorted(by_target))
    total = _together(targets)
    findings = [
        *_of_counts(total, budget),
        *_of_gaps(by_target, budget),
        *_of_probes(history, kind, targets),
    ]
    findings.sort(key=lambda finding: -finding[0])
    return Verdict(
        subject=subject,
        outcome=max((outcome for outcome, _ in findings), default=Outcome.OK),
        reasons=tuple(reason for _, reason in findings),
        budget=budget,
        figures=total,
        targets=targets,
    )


def figures(target: str, operations: Sequence[Operation]) -> Figures:
    """Count one target's operations; they are in order of their start."""
    waits = [(after.start_ns - before.start_ns) / _NS for before, after in pairwise(operations)]
    took = [(item.end_ns - item.start_ns) / _NS for item in operations if item.ok]
    return Figures(
        target=target,
        total=len(operations),
        failed=sum(item.ok is False for item in operations),
        undecided=sum(item.ok is None for item in operations),
        gap=max((gap.seconds for gap in gaps(operations)), default=0.0),
        cadence=statistics.median(waits) if waits else 0.0,
        resolution=max(waits, default=0.0),
        slowest=max(took, default=0.0),
    )


def gaps(operations: Sequence[Operation]) -> Iterator[Gap]:
    """Yield the spans between one success of a target and the next.

    A success counts when it is complete: that is when the user had the answer. Before the
    first and after the last, the span reaches to where watching began and ended.
    """
    if not operations:
        return
    began = min(item.start_ns for item in operations)
    ended = max(item.end_ns for item in operations)
    done = sorted(item.end_ns for item in operations if item.ok)
    for start, end in pairwise([began, *done, ended]):
        yield Gap(start_ns=start, end_ns=end)


def stalls(history: History, *, kind: str, seconds: float) -> tuple[str, ...]:
    """Return a note on the operations that succeeded late; nothing when there were none.

    Args:
        history: what was seen.
        kind: of the operations.
        seconds: what is late.
    """
    took = [
        (item.end_ns - item.start_ns) / _NS
        for item in history.operations
        if item.kind == kind and item.ok
    ]
    late = [each for each in took if each > seconds]
    return (f"{len(late):,} stalled, {max(late):.1f} s at most",) if late else ()


def waited(gap: Gap, operations: Iterable[Operation]) -> float:
    """Return for how long somebody had been waiting when the gap ended, in seconds.

    It is about the gap's length when the service was away, and about nothing when it was the
    probe that slept.
    """
    since = [
        max(item.start_ns, gap.start_ns)
        for item in operations
        if item.start_ns < gap.end_ns and item.end_ns > gap.start_ns
    ]
    return (gap.end_ns - min(since, default=gap.end_ns)) / _NS


def _together(targets: Sequence[Figures]) -> Figures:
    """Sum the counts, take the worst of the times."""
    return Figures(
        total=sum(item.total for item in targets),
        failed=sum(item.failed for item in targets),
        undecided=sum(item.undecided for item in targets),
        gap=max((item.gap for item in targets), default=0.0),
        cadence=max((item.cadence for item in targets), default=0.0),
        resolution=max((item.resolution for item in targets), default=0.0),
        slowest=max((item.slowest for item in targets), default=0.0),
    )


def _of_counts(total: Figures, budget: Budget) -> Iterator[Finding]:
    """What the numbers alone say."""
    if total.failed > budget.failed:
        yield Outcome.FAIL, f"{total.failed:,} failed, {budget.failed:,} allowed"
    elif total.failed + total.undecided > budget.failed:
        yield Outcome.UNKNOWN, f"{total.undecided:,} undecided"
    if not total.total:
        yield Outcome.UNKNOWN, "nothing was seen"
    elif 0 < total.succeeded < budget.at_least:
        reason = f"only {total.succeeded:,} succeeded, {budget.at_least:,} needed to know"
        yield Outcome.UNKNOWN, reason


def _of_gaps(by_target: Mapping[str, Sequence[Operation]], budget: Budget) -> Iterator[Finding]:
    """What the gaps say: the longest that users saw, the longest of a probe asleep."""
    if budget.gap is None:
        return
    seen: dict[str, float] = {}
    unseen: dict[str, float] = {}
    for name, operations in by_target.items():
        for gap in gaps(operations):
            if gap.seconds > budget.gap:
                found = seen if waited(gap, operations) > budget.gap else unseen
                found[name] = max(found.get(name, 0.0), gap.seconds)
    for outcome, found, what in (
        (Outcome.FAIL, seen, "nothing succeeded"),
        (Outcome.UNKNOWN, unseen, "hardly anybody asked"),
    ):
        if found:
            name = max(found, key=lambda key: found[key])
            others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            yield (
                outcome,
                f"{what} for {found[name]:.2f} s at {name}{others}, {budget.gap:g} s allowed",
            )


def _of_probes(history: History, kind: str, targets: Iterable[Figures]) -> Iterator[Finding]:
    """What is to be said of the watching itself."""
    blind = [item.target for item in targets if not item.succeeded]
    for names, what in (
        (blind, "nothing ever succeeded at"),
        (sorted(history.cut_short(kind)), "the history was cut short at"),
    ):
        if names:
            yield Outcome.UNKNOWN, f"{what} {', '.join(names)}"

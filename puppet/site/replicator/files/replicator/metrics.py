"""What Prometheus is told, in its text format.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from replicator.job import Kind, Outcome
from replicator.report import Report

BUCKETS: Final = (0.05, 0.1, 0.2, 0.4, 1.0, 2.0, 5.0, 15.0, 60.0)

Labels = Mapping[str, str]


class Histogram:
    """How often something took how long."""

    def __init__(self) -> None:
        """Make an empty one."""
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    def samples(self, name: str, labels: Labels) -> Iterable[str]:
        """Return its lines."""
        total = 0
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self._counts, strict=True):
            total += count
            yield _sample(f"{name}_bucket", total, {**labels, "le": bound})
        yield _sample(f"{name}_sum", self._sum, labels)
        yield _sample(f"{name}_count", total, labels)


class Metrics:
    """What has been counted since the start."""

    def __init__(self) -> None:
        """Count from nothing."""
        self._syncs: Counter[tuple[Kind, Outcome]] = Counter()
        self._seconds = {kind: Histogram() for kind in Kind}
        self._lag = Histogram()
        self._came_back = 0

    def came_back(self, folders: int) -> None:
        """Count folders that had come back, and were taken away again."""
        self._came_back += folders

    def synced(self, kind: Kind, outcome: Outcome, *, seconds: float, lag: float | None) -> None:
        """Count a sync.

        Args:
            kind: how.
            outcome: how it ended.
            seconds: how long it took.
            lag: how old the oldest change was that it has carried, in seconds.
        """
        self._syncs[kind, outcome] += 1
        self._seconds[kind].observe(seconds)
        if lag is not None:
            self._lag.observe(lag)

    @property
    def failures(self) -> int:
        """How many syncs have failed."""
        return sum(self._syncs[kind, Outcome.FAILED] for kind in Kind)

    def render(self, report: Report) -> str:
        """Return everything, with what the report says of this moment."""
        lines: list[str] = []

        def family(name: str, kind: str, about: str, samples: Iterable[str]) -> None:
            lines.extend((f"# HELP {name} {about}", f"# TYPE {name} {kind}", *samples))

        def gauge(name: str, about: str, value: float) -> None:
            family(name, "gauge", about, [_sample(name, value, {})])

        gauge("replicator_queue", "Users who wait for a sync.", report.queue)
        gauge("replicator_running", "Syncs under way.", len(report.running))
        gauge("replicator_lag_seconds", "Age of the oldest change not yet synced.", report.lag)
        name = "replicator_user_lag_seconds"
        lagging = [_sample(name, user.lag, {"user": user.user}) for user in report.worst]
        family(name, "gauge", "The same of the users who are worst off.", lagging)
        gauge("replicator_breaker_open", "1 while nothing is sent.", report.breaker == "open")
        name = "replicator_breaker_opened_total"
        family(name, "counter", "How often it has opened.", [_sample(name, report.opened, {})])
        gauge("replicator_unswept", "Users that the sweep has still to reach.", report.unswept)
        gauge("replicator_sweep_seconds", "How long the last sweep took.", report.sweep_seconds)
        about = "When the last sweep ended."
        gauge("replicator_sweep_timestamp_seconds", about, report.sweep_ended)
        name = "replicator_syncs_total"
        counted = [
            _sample(name, self._syncs[kind, outcome], {"kind": kind, "outcome": outcome})
            for kind in Kind
            for outcome in Outcome
        ]
        family(name, "counter", "Syncs that have ended.", counted)
        name = "replicator_sync_seconds"
        samples = [
            line for kind in Kind for line in self._seconds[kind].samples(name, {"kind": kind})
        ]
        family(name, "histogram", "How long syncs took.", samples)
        name = "replicator_synced_lag_seconds"
        family(name, "histogram", "How old changes were when synced.", self._lag.samples(name, {}))
        name = "replicator_folders_came_back_total"
        about = "Folders and subscriptions that came back and were taken away again."
        family(name, "counter", about, [_sample(name, self._came_back, {})])
        return "\n".join(lines) + "\n"


def _sample(name: str, value: float, labels: Labels) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {float(value):.15g}" if inner else f"{name} {float(value):.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

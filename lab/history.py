"""One history of a run: what users tried, what was done to the fleet, and when.

Users, faults and steps write JSON lines, each into a file of its own, so that no two writers
ever share one; readers merge. Times are nanoseconds of the monotonic clock, which a laptop
and the containers on it share.

This module is shipped to the outside machine with the probes: standard library only.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self

from lab.errors import CheckFailedError, CouldNotError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

_NS = 1_000_000_000

Phase = Literal["start", "end", "at"]
"""Whether a mark begins something, ends it, or is a moment by itself."""


class HistoryError(CouldNotError):
    """A history could not be written or read."""


class HistoryCheckError(CheckFailedError):
    """A history holds something that is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One thing a user tried.

    Attributes:
        kind: what was tried, such as ``lookup``.
        target: the probe that tried it; a gap is one of a single target.
        what: what it asked for, such as a name and a type.
        start_ns: when it was asked.
        end_ns: when the outcome was known.
        ok: whether the user got what they should; ``None`` when nobody can tell.
        detail: why not, or what is worth knowing.
    """

    kind: str
    target: str
    start_ns: int
    end_ns: int
    ok: bool | None
    what: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """Something that happened to the fleet or to the watching itself.

    Attributes:
        kind: ``fault``, ``step``, ``probe`` or ``memory``, what the users took of it, in bytes.
        name: which one. A probe's is the *target* of its operations.
        phase: whether it begins, ends, or is a moment.
        at_ns: when.
        detail: what is worth knowing; for a probe the *kind* of its operations.
    """

    kind: str
    name: str
    phase: Phase
    at_ns: int
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class History:
    """Everything that was written, in order of time.

    Attributes:
        operations: by start.
        marks: by time.
    """

    operations: tuple[Operation, ...] = ()
    marks: tuple[Mark, ...] = ()

    @classmethod
    def of(cls, records: Iterable[Operation | Mark]) -> Self:
        """Make a history of records in any order."""
        operations: list[Operation] = []
        marks: list[Mark] = []
        for record in records:
            if isinstance(record, Operation):
                operations.append(record)
            else:
                marks.append(record)
        return cls(
            operations=tuple(sorted(operations, key=lambda item: (item.start_ns, item.target))),
            marks=tuple(sorted(marks, key=lambda item: (item.at_ns, item.name))),
        )

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Merge every ``*.jsonl`` of a directory.

        Raises:
            HistoryError: a file cannot be read.
            HistoryCheckError: a line is no record. Only an unfinished last line is forgiven,
                because that is what a writer killed in the middle leaves.
        """
        records: list[Operation | Mark] = []
        for path in sorted(directory.glob("*.jsonl")):
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                raise HistoryError(f"cannot be read: {error}", where=str(path)) from error
            records += parse(text, name=path.name)
        return cls.of(records)

    def between(self, start_ns: int, end_ns: int) -> History:
        """Return the operations that began in a span, and all marks."""
        inside = (item for item in self.operations if start_ns <= item.start_ns < end_ns)
        return History(operations=tuple(inside), marks=self.marks)

    def unsettled(self, *, seconds: float, behind: float = 0.0) -> tuple[range, ...]:
        """Return the spans at faults in which what a server said may be lost with it.

        Args:
            seconds: how long they are before the fault; no span at all when 0.
            behind: and behind it.
        """
        if not seconds:
            return ()
        faults = (
            each.at_ns for each in self.marks if (each.kind, each.phase) == ("fault", "start")
        )
        before, after = round(seconds * _NS), round(behind * _NS)
        return tuple(range(at - before, at + 1 + after) for at in faults)

    def healed(self, *, seconds: float) -> tuple[range, ...]:
        """Return the spans behind the ends of faults, so many seconds long; none when 0."""
        if not seconds:
            return ()
        ends = (each.at_ns for each in self.marks if (each.kind, each.phase) == ("fault", "end"))
        return tuple(range(at, at + round(seconds * _NS) + 1) for at in ends)

    def probes(self, kind: str) -> frozenset[str]:
        """Return the probes of a kind that began, whether or not they saw anything."""
        return frozenset(mark.name for mark in self._probe_marks(kind, "start"))

    def cut_short(self, kind: str) -> frozenset[str]:
        """Return the probes of a kind that began and never said that they stopped."""
        ended = {mark.name for mark in self._probe_marks(kind, "end")}
        return self.probes(kind) - ended

    def memory(self) -> int:
        """Return how much memory the users took at most, in bytes; 0 when nobody said."""
        return max((int(each.detail) for each in self.marks if each.kind == "memory"), default=0)

    def _probe_marks(self, kind: str, phase: Phase) -> Iterable[Mark]:
        return (
            mark
            for mark in self.marks
            if (mark.kind, mark.detail, mark.phase) == ("probe", kind, phase)
        )


class HistoryWriter:
    """Appends to a history; its file belongs to it alone.

    Args:
        directory: where the history's files lie; made if missing.
        name: of the writer. A second writer of that name gets a file of its own.
        buffered: keep lines until :meth:`flush` is called. Otherwise each is out at once.
    """

    def __init__(self, *, directory: Path, name: str, buffered: bool = False) -> None:
        self._buffered = buffered
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.path = _claim(directory, name)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            where = str(directory / name)
            raise HistoryError(f"cannot be written: {error}", where=where) from error

    def add(self, record: Operation | Mark) -> None:
        """Append one record."""
        self._file.write(line(record))
        if not self._buffered:
            self._file.flush()

    def mark(self, kind: str, name: str, phase: Phase = "at", *, detail: str = "") -> None:
        """Append a mark of this moment."""
        now = time.monotonic_ns()
        self.add(Mark(kind=kind, name=name, phase=phase, at_ns=now, detail=detail))

    @contextmanager
    def span(self, kind: str, name: str, *, detail: str = "") -> Iterator[None]:
        """Mark where something begins and, however the block is left, where it ends."""
        self.mark(kind, name, "start", detail=detail)
        try:
            yield
        finally:
            self.mark(kind, name, "end", detail=detail)

    def flush(self) -> None:
        """Hand buffered lines to the kernel."""
        self._file.flush()

    def close(self) -> None:
        """Flush and end."""
        self._file.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def line(record: Operation | Mark) -> str:
    """Return a record as its line of JSON."""
    shape = "operation" if isinstance(record, Operation) else "mark"
    return json.dumps({"is": shape, **asdict(record)}, separators=(",", ":")) + "\n"


def parse(text: str, *, name: str) -> list[Operation | Mark]:
    """Return the records of one file.

    Args:
        text: the file's content.
        name: its name, for errors.

    Raises:
        HistoryCheckError: a line other than an unfinished last one is no record.
    """
    *whole, _unfinished = text.split("\n")
    records: list[Operation | Mark] = []
    for number, content in enumerate(whole, start=1):
        try:
            records.append(_record(json.loads(content)))
        except (ValueError, TypeError) as error:
            raise HistoryCheckError(f"no record: {error}", where=f"{name}:{number}") from error
    return records


def _record(data: Any) -> Operation | Mark:  # noqa: ANN401 - whatever JSON holds
    """Make a record of what JSON says, or raise TypeError or ValueError."""
    shapes: dict[object, type[Operation | Mark]] = {"operation": Operation, "mark": Mark}
    shape = shapes.get(data.pop("is", None)) if isinstance(data, dict) else None
    if shape is None:
        raise ValueError("neither an operation nor a mark")
    for field in fields(shape):
        if field.name in data and not isinstance(data[field.name], _TYPES[field.name]):
            raise TypeError(f"{field.name} is {data[field.name]!r}")
    return shape(**data)


_TYPES: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "target": (str,),
    "what": (str,),
    "name": (str,),
    "phase": (str,),
    "detail": (str,),
    "start_ns": (int,),
    "end_ns": (int,),
    "at_ns": (int,),
    "ok": (bool, type(None)),
}


def _claim(directory: Path, name: str) -> Path:
    """Create the first free of ``name.jsonl``, ``name-2.jsonl`` and so on."""
    number = 1
    while True:
        path = directory / (f"{name}.jsonl" if number == 1 else f"{name}-{number}.jsonl")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return path

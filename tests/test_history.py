"""Writing and reading a history: several writers, one killed in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.history import History, HistoryCheckError, HistoryWriter, Mark, Operation, line, parse

operations = st.builds(
    Operation,
    kind=st.sampled_from(["lookup", "request"]),
    target=st.text(max_size=8),
    start_ns=st.integers(0, 10**12),
    end_ns=st.integers(0, 10**12),
    ok=st.sampled_from([True, False, None]),
    what=st.text(max_size=8),
    detail=st.text(max_size=8),
)
marks = st.builds(
    Mark,
    kind=st.sampled_from(["fault", "step", "probe"]),
    name=st.text(max_size=8),
    phase=st.sampled_from(["start", "end", "at"]),
    at_ns=st.integers(0, 10**12),
    detail=st.text(max_size=8),
)
records = st.lists(operations | marks, max_size=20)

ONE = Operation(kind="lookup", target="a", start_ns=1, end_ns=2, ok=True)


@given(records)
def test_what_is_written_is_read(written: list[Operation | Mark]) -> None:
    assert parse("".join(map(line, written)), name="x") == written


@given(records, st.integers(1, 30))
def test_only_the_last_line_may_be_unfinished(written: list[Operation | Mark], cut: int) -> None:
    text = "".join(map(line, [*written, ONE]))
    assert parse(text[: -min(cut, len(line(ONE)))], name="x") == written


@given(records)
def test_order_of_writing_does_not_matter(written: list[Operation | Mark]) -> None:
    backwards = History.of(reversed(written))
    assert sorted(backwards.operations, key=repr) == sorted(
        History.of(written).operations, key=repr
    )
    assert [m.at_ns for m in backwards.marks] == sorted(m.at_ns for m in backwards.marks)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("{", "no record"),
        ("3", "neither an operation nor a mark"),
        ('{"is":"sleep"}', "neither an operation nor a mark"),
        ('{"is":"mark","kind":"fault"}', "missing"),
        (line(ONE).replace("true", '"yes"').strip(), "ok is 'yes'"),
        (line(ONE).replace('"a"', '"a","colour":1').strip(), "colour"),
    ],
)
def test_a_broken_line_is_named(broken: str, why: str) -> None:
    with pytest.raises(HistoryCheckError, match=rf"^x:2: .*{why}"):
        parse(line(ONE) + broken + "\n", name="x")


def test_a_real_writer_killed_in_the_middle(tmp_path: Path) -> None:
    program = (
        "import os; from pathlib import Path; from lab.history import *\n"
        f"w = HistoryWriter(directory=Path({str(tmp_path)!r}), name='w', buffered=True)\n"
        "for n in range(9999): w.add(Operation(kind='k',target='t',start_ns=n,end_ns=n,ok=True))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], check=False)
    assert run.returncode == -9
    text = (tmp_path / "w.jsonl").read_text(encoding="utf-8")
    assert text
    seen = History.read(tmp_path).operations
    assert [item.start_ns for item in seen] == list(range(text.count("\n")))


def test_writers_never_share_a_file(tmp_path: Path) -> None:
    writers = [HistoryWriter(directory=tmp_path, name="laptop") for _ in range(3)]
    for number, writer in enumerate(writers):
        writer.mark("step", str(number), "start", detail="x")
        writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "laptop-2.jsonl",
        "laptop-3.jsonl",
        "laptop.jsonl",
    ]
    assert [mark.name for mark in History.read(tmp_path).marks] == ["0", "1", "2"]


def test_probes_that_never_said_goodbye() -> None:
    history = History.of(
        [
            Mark(kind="probe", name="udp", phase="start", at_ns=1, detail="lookup"),
            Mark(kind="probe", name="tcp", phase="start", at_ns=1, detail="lookup"),
            Mark(kind="probe", name="web", phase="start", at_ns=1, detail="request"),
            Mark(kind="probe", name="tcp", phase="end", at_ns=2, detail="lookup"),
        ]
    )
    assert history.probes("lookup") == {"udp", "tcp"}
    assert history.cut_short("lookup") == {"udp"}


def test_between() -> None:
    history = History.of([Operation(**{**_fields(ONE), "start_ns": n}) for n in range(5)])
    assert [item.start_ns for item in history.between(1, 3).operations] == [1, 2]


def _fields(record: Operation) -> dict[str, object]:
    data = json.loads(line(record))
    del data["is"]
    return dict(data)

"""What several hosts append to one file is on all of them in the end, whatever happens between."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SCRIPT = Path(__file__).parents[1] / "puppet/site/profile/files/web/web_lines.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("web_lines", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


web_lines = load()


class Node:
    """A host with a guest book.

    Args:
        name: of the host.
        directory: where it keeps everything.
    """

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.book = directory / name / "entries.txt"
        self.journals = directory / name / "journals"
        self.book.parent.mkdir()
        self.restart()

    def restart(self) -> None:
        """Start the service anew."""
        self.service = web_lines.Book(file=self.book, journals=self.journals, host=self.name)

    def write(self, text: str) -> None:
        """Append as PHP does."""
        with self.book.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(text)

    def turn(self) -> int:
        """Let the service look once."""
        return self.service.turn()

    def send(self, other: Node) -> None:
        """Bring the own journal to another host, as something that replaces whole files does."""
        source = self.journals / f"{self.name}.lines"
        if source.exists():
            other.journals.mkdir(exist_ok=True)
            shutil.copy2(source, other.journals / ".new")
            (other.journals / ".new").rename(other.journals / source.name)

    def lines(self) -> list[str]:
        """Return what a reader sees."""
        return self.book.read_text().splitlines() if self.book.exists() else []


@pytest.fixture
def oslo(tmp_path: Path) -> Node:
    return Node("oslo", tmp_path)


@pytest.fixture
def bergen(tmp_path: Path) -> Node:
    return Node("bergen", tmp_path)


def settle(*nodes: Node) -> None:
    for _ in range(3):
        for node in nodes:
            node.turn()
        for node in nodes:
            for other in nodes:
                if other is not node:
                    node.send(other)


def test_a_host_that_comes_later_gets_everything_in_its_order(oslo: Node, bergen: Node) -> None:
    oslo.write("1\n2\n3\n")
    settle(oslo, bergen)
    assert bergen.lines() == ["1", "2", "3"]


def test_what_both_wrote_while_they_were_apart_is_on_both_once(oslo: Node, bergen: Node) -> None:
    oslo.write("before\n")
    settle(oslo, bergen)
    oslo.write("in Oslo\n")
    bergen.write("in Bergen\n")
    oslo.turn()
    bergen.turn()
    settle(oslo, bergen)
    assert sorted(oslo.lines()) == sorted(bergen.lines()) == ["before", "in Bergen", "in Oslo"]


def test_alike_lines_of_one_host_are_as_many_on_the_other(oslo: Node, bergen: Node) -> None:
    oslo.write("again\nagain\n")
    settle(oslo, bergen)
    oslo.write("again\n")
    settle(oslo, bergen)
    assert oslo.lines() == bergen.lines() == ["again"] * 3


def test_nobody_sends_back_what_came_from_elsewhere(oslo: Node, bergen: Node) -> None:
    oslo.write("1\n")
    settle(oslo, bergen)
    assert not (bergen.journals / "bergen.lines").exists()


def test_nothing_changed_is_nothing_done(oslo: Node) -> None:
    oslo.write("1\n")
    assert oslo.turn() == 1
    assert oslo.turn() == 0
    before = oslo.book.stat()
    assert oslo.turn() == 0
    assert oslo.book.stat() == before


def test_a_line_without_its_end_waits_for_it(oslo: Node, bergen: Node) -> None:
    oslo.write("whole\nhal")
    settle(oslo, bergen)
    assert bergen.lines() == ["whole"]
    oslo.write("f\n")
    settle(oslo, bergen)
    assert bergen.lines() == ["whole", "half"]


def test_what_a_dead_program_left_unfinished_spoils_no_other_line(oslo: Node, bergen: Node) -> None:
    bergen.write("torn")
    oslo.write("1\n")
    settle(oslo, bergen)
    assert bergen.lines() == ["torn", "1"]
    settle(oslo, bergen)
    assert sorted(oslo.lines()) == ["1", "torn"]


def test_a_journal_laid_aside_as_a_conflict_counts(oslo: Node, bergen: Node) -> None:
    bergen.write("1\n")
    bergen.turn()
    aside = oslo.journals / "bergen.sync-conflict-20261129-160000-ABCDEFG.lines"
    aside.parent.mkdir()
    shutil.copy(bergen.journals / "bergen.lines", aside)
    oslo.turn()
    assert oslo.lines() == ["1"]


def test_a_host_that_lost_everything_gets_its_own_lines_back(oslo: Node, bergen: Node) -> None:
    oslo.write("of Oslo\n")
    bergen.write("of Bergen\n")
    settle(oslo, bergen)
    shutil.rmtree(bergen.book.parent)
    bergen.book.parent.mkdir()
    bergen.restart()
    bergen.write("new\n")
    # What is left of it came back from the other host.
    bergen.journals.mkdir()
    for path in oslo.journals.glob("*.lines"):
        shutil.copy(path, bergen.journals / path.name)
    settle(oslo, bergen)
    assert sorted(bergen.lines()) == sorted(oslo.lines()) == ["new", "of Bergen", "of Oslo"]


def test_a_book_that_became_shorter_is_made_whole_again(oslo: Node, bergen: Node) -> None:
    oslo.write("1\n2\n")
    settle(oslo, bergen)
    bergen.book.write_text("1\n")
    settle(oslo, bergen)
    assert bergen.lines() == ["1", "2"]


def test_programs_wait_for_it_and_it_for_programs(oslo: Node) -> None:
    oslo.write("1\n")
    with oslo.book.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        turning = threading.Thread(target=oslo.turn)
        turning.start()
        time.sleep(0.1)
        assert not (oslo.journals / "oslo.lines").exists()
        file.write("2\n")
    turning.join(10)
    assert (oslo.journals / "oslo.lines").read_text() == "1\n2\n"


def test_where_there_is_no_room_nothing_is_half_there(tmp_path: Path) -> None:
    path = tmp_path / "book"
    path.write_bytes(b"1\n")
    script = f"""
import resource, signal, sys
sys.dont_write_bytecode = True
sys.path.insert(0, {str(SCRIPT.parent)!r})
import web_lines
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
with web_lines.locked(web_lines.Path({str(path)!r})) as descriptor:
    web_lines.append(descriptor, [b"x" * 40] * 5)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert b"File too large" in done.stderr
    assert path.read_bytes() == b"1\n"


def test_it_says_how_it_is_called() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "oslo"], capture_output=True, check=False)
    assert (done.returncode, done.stderr.split()[0]) == (2, b"usage:")


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["write", "turn", "send", "restart", "tear"]),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_whatever_happens_nothing_is_lost_and_both_are_alike(
    events: list[tuple[str, bool, int]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        oslo, bergen = Node("oslo", Path(directory)), Node("bergen", Path(directory))
        written = {node: Counter[str]() for node in (oslo, bergen)}
        for number, (what, left, text) in enumerate(events):
            node, other = (oslo, bergen) if left else (bergen, oslo)
            match what:
                case "write":
                    # Some are alike on one host, none on both.
                    node.write(f"{node.name} {text}\n")
                    written[node][f"{node.name} {text}"] += 1
                case "tear":
                    # Power was lost before the journal was on disk.
                    journal = node.journals / f"{node.name}.lines"
                    if journal.exists():
                        os.truncate(journal, journal.stat().st_size * (number % 3) // 3)
                case "turn":
                    node.turn()
                case "send":
                    node.send(other)
                case "restart":
                    node.restart()
        settle(oslo, bergen)
        settle(oslo, bergen)
        wanted = written[oslo] | written[bergen]
        for node in (oslo, bergen):
            assert Counter(each for each in node.lines()) == wanted

"""What is on the old server alone, the files of its backup, and who makes it anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.console import SilentReporter
from lab.fleet import Fleet
from lab.operator import manifest, reinstall
from lab.operator.backup import taken
from lab.operator.leftovers import Copied, Late, compared
from lab.operator.manifest import Entry
from lab.operator.old_mail import SERVING
from lab.operator.reinstall import (
    RELEASE,
    Machine,
    ManualReinstaller,
    NoReinstaller,
    ReinstallCheckError,
    ReinstallError,
    instructions,
)
from lab.operator.ssh import Ssh, SshError
from lab.steps.wipe_remains import Remains, refusals, told

FILE = Entry(kind="f", mode="644", owner="0:0", written=50, touched=50, digest="a" * 64)


def stored(written: int, digest: str) -> Entry:
    return replace(FILE, written=written, digest=digest)


def test_what_was_written_on_the_old_server_after_it_moved_is_late() -> None:
    old = {"same": stored(1, "a"), "new": stored(9, "b"), "changed": stored(9, "c")}
    new = {"same": stored(1, "a"), "changed": stored(1, "d")}
    assert compared(old, new, moment=5) == Copied(alike=1, late=("changed", "new"))


def test_what_was_changed_or_removed_where_it_is_now_is_not() -> None:
    old = {"entries": stored(1, "a"), "removed": stored(2, "b")}
    new = {"entries": stored(9, "c"), "another": stored(9, "d")}
    assert compared(old, new, moment=5) == Copied(since=2)


def test_a_nightly_copy_of_what_moved_is_no_news() -> None:
    old = {"entries": stored(1, "a"), "entries.bak": stored(9, "a")}
    new = {"entries": stored(9, "c"), "entries.bak": stored(1, "b")}
    assert compared(old, new, moment=5).late == ()


def test_what_would_be_lost_is_named_with_what_to_do() -> None:
    late = Late(directory="/var/vmail/x/kari/Maildir", count=2, example="new/1.a")
    remains = Remains(
        mode=SERVING,
        queued=3,
        late=(late,),
        copies={"the data of kunder": Copied(late=("a", "b", "c", "d"))},
        names=True,
    )
    said = list(refusals(remains, "bergen"))
    assert said[0].startswith("a name server runs on bergen")
    assert said[1].startswith("the mail server on bergen is serving")
    assert said[2].startswith("3 messages wait in the queue of bergen: `postqueue -p`")
    assert "2 messages came into /var/vmail/x/kari/Maildir on bergen" in said[3]
    assert (
        "the data of kunder was changed on bergen after it had moved: a, b, c and 1 more"
        in (said[4])
    )


def test_nothing_is_refused_when_all_has_moved_and_jobs_are_said_aloud() -> None:
    remains = Remains(gone=4, copies={"x": Copied(alike=7, since=1)}, jobs=("/etc/cron.d/x: cp",))
    assert list(refusals(remains, "bergen")) == []
    said = " ".join(told(remains, "bergen"))
    assert "7 files" in said
    assert "4 messages" in said
    assert "/etc/cron.d/x: cp" in said


def test_a_listing_is_read_back_whatever_names_are_made_of() -> None:
    head = b"f\x00644\x000:5\x0050.25\x0060.5\x00\x00a b\n\xe6\x00"
    head += b"l\x00777\x000:0\x001.0\x002.0\x00to here\x00link\x00"
    text = head + b"==\x00" + b"e" * 64 + b"  ./a b\n\xe6\x00"
    found = manifest.read(text)
    assert found["a b\n\udce6"] == replace(
        FILE, owner="0:5", written=50, touched=60, digest="e" * 64
    )
    assert found["link"].target == "to here"


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (None, "missing"),
        (replace(FILE, digest="b" * 64), "another content"),
        (replace(FILE, mode="600"), "mode 600 instead of 644"),
        (replace(FILE, owner="5:0"), "belongs to 5:0 instead of 0:0"),
        (replace(FILE, written=51), "another time"),
        (replace(FILE, kind="d", digest=""), "d instead of f"),
    ],
)
def test_what_came_back_otherwise_is_wrong_unless_it_changed_meanwhile(
    other: Entry | None, why: str
) -> None:
    copy = {"x": other} if other else {}
    assert manifest.compare({"x": FILE}, copy, begun=60).wrong == (f"/x: {why}",)
    assert manifest.compare({"x": FILE}, copy, begun=50).changed == ("x",)


def test_what_came_back_as_it_was_is_counted_and_sockets_are_not_compared() -> None:
    link = Entry(kind="l", mode="777", owner="0:0", written=1, touched=1, target="x")
    own = {"x": FILE, "link": link, "socket": replace(FILE, kind="s"), "": FILE}
    found = manifest.compare(own, {"x": replace(FILE, touched=99), "link": link}, begun=60)
    assert (found.alike, found.wrong, found.changed) == (2, (), ())


def test_a_backup_is_read_from_what_restic_says() -> None:
    summary = json.dumps(
        {
            "message_type": "summary",
            "total_files_processed": 41_234,
            "total_bytes_processed": 712_000_000,
            "data_added": 650_000_000,
            "total_duration": 31.4,
            "snapshot_id": "d2a1",
        }
    )
    found = taken(summary, begun=7)
    assert str(found) == "41,234 files, 712 MB, 650 MB of it sent anew, in 31 s"
    assert (found.snapshot, found.begun) == ("d2a1", 7)


class Said(SilentReporter):
    """Remembers what a person is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """Remember it."""
        self.lines.append(text)


@pytest.fixture
def by_hand(tmp_path: Path) -> Callable[..., ManualReinstaller]:
    def make(report: Said, timeout: float = 5.0) -> ManualReinstaller:
        fleet = Fleet.load()
        return ManualReinstaller(
            ssh=Ssh(config=None, control_dir=tmp_path / "ssh"),
            fleet=fleet,
            site=fleet.site("production"),
            operators=lambda: ["ssh-ed25519 AAAA ada"],
            report=report,
            timeout=timeout,
            poll=0.01,
        )

    return make


def test_a_person_is_told_what_to_do_and_the_new_host_is_waited_for(
    by_hand: Callable[..., ManualReinstaller], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(
        [
            Machine(system="debian-12", identity="old"),
            SshError("no SSH connection"),
            Machine(system="debian-12", identity="new"),
            Machine(system=RELEASE, identity="newer"),
        ]
    )

    def look(*_: object) -> Machine:
        said = next(answers)
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setattr(reinstall, "look", look)
    report = Said()
    by_hand(report).reinstall(Fleet.load().legacy, identity="old")
    text = "\n".join(report.lines)
    assert "At OVH, Gravelines, let bergen (198.51.100.20, 2001:db8:20::20)" in text
    assert "ssh-ed25519 AAAA ada" in text
    assert "ssh-keygen -R 198.51.100.20" in text
    assert next(answers, None) is None


def test_the_wait_ends_and_says_what_answers(
    by_hand: Callable[..., ManualReinstaller], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Machine(system="debian-12", identity="old")
    monkeypatch.setattr(reinstall, "look", lambda *_: found)
    with pytest.raises(ReinstallCheckError, match="it is the old installation still"):
        by_hand(Said(), timeout=0.02).reinstall(Fleet.load().legacy, identity="old")


def test_without_anybody_nothing_is_made_anew() -> None:
    with pytest.raises(ReinstallError):
        NoReinstaller().reinstall(Fleet.load().legacy, identity="")


def test_the_instructions_name_the_alias_that_the_person_uses() -> None:
    lines = instructions(host="bergen", alias="b", provider="P", addresses=["1.2.3.4"], keys=[])
    assert "        ssh b true" in lines

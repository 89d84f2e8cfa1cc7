"""Markers: real files, real events."""

from __future__ import annotations

import select
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.inotify import Watch
from replicator.spool import Spool, name_of, user_of

KARI = "kari@nordlys.example"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(path=tmp_path)


@pytest.fixture
def watch(tmp_path: Path):
    watch = Watch(directory=tmp_path)
    yield watch
    watch.close()


def mark(spool: Spool, user: str) -> str:
    """Do what Dovecot does."""
    name = name_of(user)
    (spool.path / name).open("w").close()
    return name


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_user_has_a_name_of_their_own_that_is_a_file_name(user):
    name = name_of(user)
    assert user_of(name) == user
    assert name.isascii()
    assert not name.startswith(".")
    assert not set(name) & set("/\0\n%") - {"%"}


def test_an_ordinary_user_is_called_what_they_are_called():
    assert name_of(KARI) == KARI


@pytest.mark.parametrize("name", ["a/b", "a b", "%", "%zz", "%FF", ".hidden", "%2e"])
def test_what_dovecot_never_wrote_is_nobodys(name):
    assert user_of(name) is None


def test_a_marker_is_set_aside_and_goes_when_it_is_settled(spool):
    mark(spool, KARI)
    spool.begin(KARI)
    assert spool.users() == {KARI}
    assert spool.marked(KARI) is None
    spool.settle(KARI)
    assert spool.users() == set()


def test_what_comes_meanwhile_stays(spool):
    mark(spool, KARI)
    spool.begin(KARI)
    mark(spool, KARI)
    spool.settle(KARI)
    assert spool.marked(KARI) == KARI


def test_both_of_a_user_become_one(spool):
    mark(spool, KARI)
    spool.begin(KARI)
    mark(spool, KARI)
    spool.begin(KARI)
    spool.settle(KARI)
    assert spool.users() == set()


def test_where_there_is_no_marker_nothing_happens(spool):
    spool.begin(KARI)
    spool.settle(KARI)


def test_what_does_not_belong_there_is_left_alone(spool):
    (spool.path / "not a user").touch()
    (spool.path / ".hidden").touch()
    assert spool.users() == set()


def test_what_is_written_is_seen_when_it_is_closed(spool, watch):
    assert watch.read() == []
    with (spool.path / KARI).open("w"):
        assert watch.read() == []
    assert select.select([watch.fd], [], [], 5)[0]
    assert watch.read() == [KARI]


def test_setting_aside_is_seen_but_marks_nobody(spool, watch):
    mark(spool, KARI)
    watch.read()
    spool.begin(KARI)
    assert [spool.marked(name) for name in watch.read() or []] == [None]


def test_a_marker_that_is_closed_after_it_was_set_aside_marks_nobody(spool, watch):
    """Dovecot opened it after the change, and the sync began after it was set aside."""
    with (spool.path / KARI).open("w"):
        spool.begin(KARI)
        watch.read()
    assert [spool.marked(name) for name in watch.read() or []] == [None]


def test_lost_events_are_noticed(spool, watch):
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))
    if limit > 100_000:
        pytest.fail(f"the queue is too long to fill: {limit}")
    for number in range(limit + 10):
        mark(spool, f"user{number % 2}")
    answers = []
    while select.select([watch.fd], [], [], 0)[0]:
        answers.append(watch.read())
    assert answers[-1] is None


def test_a_directory_that_is_not_there_cannot_be_watched(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Watch(directory=tmp_path / "none")

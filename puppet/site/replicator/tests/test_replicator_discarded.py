"""What is remembered of folders that were thrown away, whatever happens to whoever remembers it."""

from __future__ import annotations

import pytest

from replicator.discarded import MOST, UNSUBSCRIBED_SECONDS, Discarded, Unsubscribed
from replicator.notes import Notes

KARI, PER = "kari@nordlys.example", "per/ole@nordlys.example"


@pytest.fixture
def discarded(tmp_path):
    return Discarded(notes=Notes(path=tmp_path))


def test_what_was_thrown_away_is_remembered_until_it_is_seen_to_be_gone(discarded, tmp_path):
    discarded.gone(KARI, ["a", "b"])
    discarded.gone(PER, ["c"])
    assert discarded.of(KARI) == {"a", "b"}
    discarded.settle(KARI, {"a", "b"})
    discarded.settle("nobody", {"a"})
    assert discarded.of(KARI) == frozenset()
    assert discarded.of(PER) == {"c"}
    assert Notes(path=tmp_path).read() == {PER: ["c"]}


def test_whoever_begins_anew_remembers_it(discarded, tmp_path):
    discarded.gone(KARI, ["a"])
    discarded.gone(PER, ["b", "c"])
    again = Discarded(notes=Notes(path=tmp_path))
    assert again.of(KARI) == {"a"}
    assert again.of(PER) == {"b", "c"}


def test_what_was_thrown_away_meanwhile_stays_remembered(discarded):
    discarded.gone(KARI, ["a"])
    before = discarded.of(KARI)
    discarded.gone(KARI, ["a", "b"])
    discarded.settle(KARI, before)
    assert discarded.of(KARI) == {"b"}


def test_the_oldest_are_forgotten_where_there_are_too_many(discarded):
    for number in range(MOST):
        discarded.gone(KARI, [str(number)])
    discarded.gone(KARI, ["0", "last"])
    left = discarded.of(KARI)
    assert len(left) == MOST
    assert {"0", "last"} < left
    assert "1" not in left


@pytest.mark.parametrize("note", [{}, 7, "a", {"a": "b"}])
def test_what_makes_no_sense_is_forgotten(tmp_path, note):
    notes = Notes(path=tmp_path)
    notes.write(KARI, note)
    discarded = Discarded(notes=notes)
    assert discarded.of(KARI) == frozenset()
    discarded.gone(KARI, ["a"])
    assert Discarded(notes=notes).of(KARI) == {"a"}


def test_who_has_unsubscribed_is_known_for_a_while():
    known = Unsubscribed()
    known.gone(KARI, "a", now=0)
    known.gone(KARI, "b", now=1)
    known.gone(PER, "a", now=1)
    assert known.of(KARI, now=1) == {"a", "b"}
    known.gone(KARI, "a", now=2)
    known.settle(KARI, {"b", "c"})
    known.settle("nobody", {"a"})
    assert known.of(KARI, now=2 + UNSUBSCRIBED_SECONDS) == {"a"}
    assert known.of(KARI, now=3 + UNSUBSCRIBED_SECONDS) == frozenset()
    assert known.of("nobody", now=0) == frozenset()


def test_of_what_was_unsubscribed_too_the_oldest_is_forgotten_first():
    known = Unsubscribed()
    for number in range(MOST + 1):
        known.gone(KARI, str(number), now=number / MOST)
    assert len(known.of(KARI, now=1)) == MOST
    assert "0" not in known.of(KARI, now=1)

"""The phases of step `wipe`: from what is found to what is done next, forth and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from hands import operator_in

from lab.operator import zones
from lab.operator.callers import Seen
from lab.operator.reinstall import RELEASE
from lab.operator.stage import Stage
from lab.operator.zones import Zone
from lab.steps.base import StepCheckError, StepError
from lab.steps.mail_records import before, with_records
from lab.steps.phases import ahead, behind
from lab.steps.wipe_facts import BARE, FOREIGN, GONE, OLD, Facts, state_of
from lab.steps.wipe_last import phases, refuse, where_it_is
from lab.steps.wipe_move import Move
from lab.steps.wipe_phases import Keep, Watched
from lab.steps.wipe_records import Naming, forgotten

NAMES = ("forget", "watch", "backup", "watched", "wipe", "enrol")
ORIGIN = "nordlys.example"
ZONE = zones.read(
    ORIGIN,
    """\
$TTL 20
@ SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@ NS ns-oslo
ns-oslo A 198.18.10.10
ns1 A 198.18.20.20
bergen A 198.18.20.20
""",
)
BEFORE = {ORIGIN: ZONE}
AFTER = forgotten(
    Naming(
        old=("198.18.20.20",),
        own="bergen.nordlys.example.",
        former=frozenset({"ns1.nordlys.example."}),
    ),
    BEFORE,
)
CLEAN = with_records(BEFORE, AFTER)


@pytest.fixture
def move(tmp_path: Path) -> Move:
    return Move.of(operator_in(tmp_path))


def kept(*, ago: timedelta = timedelta()) -> dict[str, object]:
    return {"snapshot": "d2a1b3c4e5", "at": (datetime.now(UTC) - ago).isoformat()}


def at(done: int) -> Facts:
    """Return the facts when the first *done* phases are."""
    zones_now: dict[str, Zone] = CLEAN if done else BEFORE
    facts = Facts(host=OLD, system="debian-12", identity="old", content=zones_now, zones=zones_now)
    if done >= 1:
        facts = replace(facts, before=before(AFTER, BEFORE), after=AFTER)
    if done >= 2:
        facts = replace(facts, watching=100)
    if done >= 3:
        facts = replace(facts, backup=kept(), clients=frozenset({"bergen"}))
    if done >= 4:
        facts = replace(facts, watched=100)
    if done >= 5:
        facts = replace(
            facts, host=BARE, system=RELEASE, identity="new", wiping="old", watching=None
        )
    if done >= 6:
        facts = replace(
            facts, enrolled=("oslo", "tromso", "bergen"), signed=True, clients=frozenset()
        )
    return facts


@pytest.mark.parametrize("done", range(len(NAMES) + 1))
def test_the_step_goes_on_from_wherever_it_stands(move: Move, done: int) -> None:
    assert tuple(each.name for each in ahead(phases(move), at(done))) == NAMES[done:]


@pytest.mark.parametrize("done", range(5))
def test_what_was_done_before_the_wipe_is_undone_last_first(move: Move, done: int) -> None:
    found = tuple(each.name for each in behind(phases(move), at(done)))
    assert found == tuple(reversed(NAMES[:done]))


def test_records_are_wanted_as_the_stage_keeps_them(move: Move) -> None:
    half = replace(at(1), content=CLEAN, zones=BEFORE)
    assert list(phases(move)[0].lacks(half)) == [
        f"{ORIGIN}: oslo does not have ns1 A as it shall be"
    ]


@pytest.mark.parametrize(
    ("facts", "next_one"),
    [
        # Bergen was restarted: nobody has counted since.
        (replace(at(4), watching=None), "watch"),
        # It was used after the watch: it begins anew.
        (replace(at(4), watched=None), "watched"),
        (replace(at(4), watching=200), "watched"),
        (replace(at(4), backup=kept(ago=timedelta(days=9))), "backup"),
        # It was interrupted while the host was being made anew.
        (replace(at(4), host=GONE, system="", identity="", wiping="old", watching=None), "wipe"),
        (replace(at(4), wiping="old"), "wipe"),
        (replace(at(5), host=FOREIGN, system="debian-12"), "wipe"),
        (replace(at(6), signed=False), "enrol"),
        (replace(at(6), clients=frozenset({"bergen"})), "enrol"),
    ],
)
def test_interrupted_it_goes_on_where_something_is_missing(
    move: Move, facts: Facts, next_one: str
) -> None:
    assert ahead(phases(move), facts)[0].name == next_one


@pytest.mark.parametrize(("ago", "times"), [(timedelta(minutes=5), 0), (timedelta(days=1), 1)])
def test_what_was_backed_up_when_a_long_watch_began_is_backed_up_again(
    move: Move, monkeypatch: pytest.MonkeyPatch, ago: timedelta, times: int
) -> None:
    taken: list[Facts] = []
    monkeypatch.setattr(Keep, "do", lambda _, facts: taken.append(facts))
    monkeypatch.setattr(Move, "ignored", lambda _: frozenset())
    monkeypatch.setattr(Move, "parents", lambda *_: {})
    monkeypatch.setattr(Stage, "update", lambda *_: None)
    watch = Mock(look=lambda: Seen(since=100, until=500))
    move.__dict__["callers"] = watch
    Watched(move=move).do(replace(at(3), backup=kept(ago=ago)))
    assert len(taken) == times
    watch.begin.assert_not_called()


def test_a_host_that_cannot_be_reached_is_not_wiped(move: Move) -> None:
    gone = replace(at(4), host=GONE, identity="", watching=None)
    assert "wipe" in {each.name for each in ahead(phases(move), gone)}
    with pytest.raises(StepError, match="cannot be reached"):
        phases(move)[1].do(gone)


def test_a_wipe_is_not_undone_and_says_where_everything_is(move: Move) -> None:
    with pytest.raises(StepError) as told:
        phases(move)[4].undo(at(5))
    assert "cannot be undone" in str(told.value)
    assert "`restic --repo /srv/backup/bergen restore d2a1b3c4 --target /somewhere`" in (
        where_it_is(move, at(5))
    )


@pytest.mark.parametrize(
    ("identity", "wiping", "system", "state"),
    [
        ("", "", "", GONE),
        ("a", "", "debian-12", OLD),
        ("a", "a", "debian-12", OLD),
        ("b", "a", RELEASE, BARE),
        ("b", "a", "debian-12", FOREIGN),
        ("", "a", "", GONE),
    ],
)
def test_what_the_host_is_follows_from_who_answers(
    identity: str, wiping: str, system: str, state: str
) -> None:
    found = state_of(identity=identity, wiping=wiping, system=system, wanted=RELEASE)
    assert found == state


def test_whatever_still_depends_is_refused_by_name() -> None:
    refuse([], "bergen")
    with pytest.raises(StepCheckError, match="bergen is still needed: one; two"):
        refuse(["one", "two"], "bergen")

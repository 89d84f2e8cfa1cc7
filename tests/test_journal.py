"""What the journal of promotions says about where things stand."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from lab.promote.journal import At, Entry, Event, JournalError, Standing, parse, standing

BEGIN = Entry(
    promotion="p2",
    event="begin",
    at="2026-11-22T21:00:00+00:00",
    who="ada@laptop",
    release="new",
    previous="old",
    hosts=("oslo", "tromso"),
)


def entry(event: Event, *, host: str = "", why: str = "", release: str = "") -> Entry:
    return Entry(promotion="p2", event=event, host=host, why=why, release=release)


def after(*entries: Entry) -> Standing:
    found = standing([BEGIN, *entries])
    assert found is not None
    return found


def test_nothing_was_ever_promoted() -> None:
    assert standing([]) is None


def test_begun_is_not_touched() -> None:
    found = after()
    assert found.open
    assert found.in_force == "old"
    assert found.touched == []
    assert found.waiting == ["oslo", "tromso"]
    assert (
        found.words() == "oslo is on old and was not touched; tromso is on old and was not touched"
    )


def test_a_host_is_touched_from_the_moment_its_deadman_is_to_be_armed() -> None:
    found = after(entry("switch", release="new"), entry("arm", host="oslo"))
    assert found.in_force == "new"
    assert found.touched == ["oslo"]
    assert found.waiting == ["oslo", "tromso"]
    assert "oslo is between old and new" in found.words()


def test_the_way_back_takes_the_last_host_first() -> None:
    found = after(
        entry("switch", release="new"),
        *(entry("arm", host="oslo"), entry("confirm", host="oslo"), entry("arm", host="tromso")),
        entry("go back", why="it hurt"),
    )
    assert found.going_back == "it hurt"
    assert found.touched == ["tromso", "oslo"]


def test_a_host_that_is_back_is_not_brought_back_again() -> None:
    found = after(
        entry("arm", host="oslo"), entry("go back", why="x"), entry("returned", host="oslo")
    )
    assert found.hosts["oslo"] is At.RETURNED
    assert found.touched == []
    assert found.words().startswith("oslo is back on old")


def test_what_ended_is_not_open() -> None:
    found = after(
        entry("arm", host="oslo"), entry("confirm", host="oslo"), entry("end", why="promoted")
    )
    assert not found.open
    assert found.result == "promoted"


def test_only_the_latest_promotion_counts() -> None:
    stray = Entry(promotion="p1", event="end", why="promoted")
    before = Entry(promotion="p1", event="begin", release="older", hosts=("oslo",))
    found = standing([before, BEGIN, stray])
    assert found is not None
    assert found.open
    assert found.begin.release == "new"


def test_half_a_line_announced_nothing() -> None:
    whole = json.dumps(asdict(BEGIN))
    assert parse(f'{whole}\n{{"promotion": "p2", "eve') == [BEGIN]
    assert parse(f'{{"promo\n{whole}\n') == [BEGIN]


@pytest.mark.parametrize("line", ['{"colour": "red"}', "[1]", "7"])
def test_a_line_that_is_no_entry_is_an_error(line: str) -> None:
    with pytest.raises(JournalError, match=":1"):
        parse(line)

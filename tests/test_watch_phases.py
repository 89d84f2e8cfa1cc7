"""The phases of step `watch`: from what is found to what is done next, forth and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hands import operator_in

from lab.operator import zones
from lab.operator.secrets import mailbox_hash
from lab.steps.mail_records import before, with_records
from lab.steps.phases import ahead, behind
from lab.steps.watch import refusals
from lab.steps.watch_facts import CENTRAL, EVERYWHERE, Facts, Watching
from lab.steps.watch_phases import phases

NAMES = ("announce", "watch")
ORIGIN = "nordlys.example"
ZONE = zones.read(
    ORIGIN,
    """\
$TTL 20
@ SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@ NS ns-oslo
ns-oslo A 198.18.10.10
""",
)
CONTENT = {ORIGIN: ZONE}


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    return Watching(operator_in(tmp_path))


def at(watching: Watching, done: int) -> Facts:
    """Return the facts when the first *done* phases are."""
    resting = {"oslo": EVERYWHERE, "tromso": EVERYWHERE + CENTRAL}
    facts = Facts(content=CONTENT, zones=CONTENT, resting=resting)
    sender = watching.sender(CONTENT)
    if done >= 1:
        named = with_records(CONTENT, sender)
        facts = replace(facts, before=before(sender, CONTENT), content=named, zones=named)
    if done >= 2:
        facts = replace(facts, watched=True, resting={}, installed=resting)
    return facts


@pytest.mark.parametrize("done", range(len(NAMES) + 1))
def test_the_step_goes_on_from_wherever_it_stands(watching: Watching, done: int) -> None:
    found = ahead(phases(watching), at(watching, done))
    assert tuple(each.name for each in found) == NAMES[done:]


@pytest.mark.parametrize("done", range(len(NAMES) + 1))
def test_the_way_back_begins_wherever_it_stands(watching: Watching, done: int) -> None:
    found = behind(phases(watching), at(watching, done))
    assert tuple(each.name for each in found) == NAMES[:done][::-1]


def test_the_sender_of_alerts_has_addresses_and_says_who_may_send(watching: Watching) -> None:
    (sets,) = watching.sender(CONTENT).values()
    assert [(each.name, each.type, each.values) for each in sets] == [
        ("tromso", "A", ("198.18.30.30",)),
        ("tromso", "AAAA", ("fd18:0:30::30",)),
        ("tromso", "TXT", ('"v=spf1 a -all"',)),
    ]


def test_what_is_left_on_a_host_is_taken_away_even_if_the_stage_forgot_it(
    watching: Watching,
) -> None:
    facts = replace(at(watching, 1), installed={"oslo": ("prometheus-node-exporter",)})
    assert behind(phases(watching), facts)[0].left(facts) == ["oslo has prometheus-node-exporter"]


def test_a_service_that_rests_is_named(watching: Watching) -> None:
    facts = replace(at(watching, 2), resting={"tromso": ("prometheus",)}, unreachable={"oslo"})
    assert list(phases(watching)[-1].lacks(facts)) == [
        "oslo cannot be reached",
        "prometheus does not run on tromso",
    ]


def test_nobody_is_watched_while_zones_change_or_hosts_are_away() -> None:
    facts = Facts(content={}, ttl_limit=20, unreachable=frozenset({"bergen"}))
    assert list(refusals(facts, domain=ORIGIN)) == [
        "bergen cannot be reached",
        "another change of the zones is under way",
        "nordlys.example is not among the zones: the sender of alerts would have no name",
    ]
    assert list(refusals(Facts(content=CONTENT), domain=ORIGIN)) == []


def test_a_mailbox_s_hash_is_the_same_every_time_and_not_the_password() -> None:
    assert mailbox_hash("a password") == mailbox_hash("a password")
    assert mailbox_hash("a password") != mailbox_hash("another")
    assert mailbox_hash("a password").startswith("{SSHA512}")

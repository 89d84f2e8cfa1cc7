"""The phases of step `dns`: from what is found to what is done next, forth and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hands import operator_in

from lab.operator import zone_changes, zones
from lab.operator.bind import BindState
from lab.operator.dns_tree import Delegation
from lab.operator.zones import Zone
from lab.steps.dns import refusals
from lab.steps.dns_facts import Before, Facts, Move, ZoneFacts
from lab.steps.dns_phases import lowered
from lab.steps.dns_primary import phases
from lab.steps.dns_server import Served
from lab.steps.phases import ahead, behind

NAMES = (
    "lower", "copy", "rename", "delegate", "take", "retire", "sign", "trust", "lengthen",
)  # fmt: skip
FORWARD, REVERSE = "nordlys.example", "20.18.198.in-addr.arpa"
OLD_NS = frozenset({"ns1.nordlys.example.", "ns2.nordlys.example."})
RUNNING = BindState(active=True, enabled=True, changed=False)
STOPPED = BindState(active=False, enabled=False, changed=True)
LIMIT = 5

TEXT = """\
$TTL 20
@       SOA ns1.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@       NS  ns1.nordlys.example.
@       NS  ns2.nordlys.example.
{more}
"""
ZONES = {
    FORWARD: zones.read(FORWARD, TEXT.format(more="ns1 A 198.18.20.20\nns2 A 198.18.20.20")),
    REVERSE: zones.read(REVERSE, TEXT.format(more="20 PTR bergen.nordlys.example.")),
}


@pytest.fixture
def move(tmp_path: Path) -> Move:
    return Move.of(operator_in(tmp_path))


def each_zone(facts: Facts, change: Callable[[str, ZoneFacts], ZoneFacts]) -> Facts:
    return replace(facts, zones={name: change(name, each) for name, each in facts.zones.items()})


def bare() -> Facts:
    glue = dict.fromkeys(sorted(OLD_NS), ("198.18.20.20", "fd18:0:20::20"))
    return Facts(
        zones={
            name: ZoneFacts(
                parent=Delegation(
                    nameservers=OLD_NS, glue=glue if name == FORWARD else {}, ttl=3600
                ),
                old=zone,
            )
            for name, zone in ZONES.items()
        },
        before={},
        bind=RUNNING,
    )


def renamed(move: Move, zone: Zone) -> Zone:
    named = zone_changes.with_nameservers(zone, move.nameservers, ttl=LIMIT)
    return zone_changes.bumped(named)


def course(move: Move) -> list[Facts]:
    """Return what is found before the first phase, and after each."""
    found = [bare()]

    def then(change: Callable[[str, ZoneFacts], ZoneFacts], **whole: object) -> None:
        found.append(replace(each_zone(found[-1], change), **whole))  # type: ignore[arg-type]

    before = {
        name: Before(
            nameservers=tuple(sorted(OLD_NS)),
            glue=each.parent.glue,
            zone=ZONES[name],
        )
        for name, each in found[0].zones.items()
    }
    then(
        lambda n, z: replace(z, old=zone_changes.bumped(zone_changes.limited(ZONES[n], ttl=LIMIT))),
        before=before,
        ttl_limit=LIMIT,
    )
    then(
        lambda _, z: replace(z, new=Served(kind="secondary", zone=z.old)),
        kinds=dict.fromkeys(ZONES, "secondary"),
    )

    def rename(_: str, each: ZoneFacts) -> ZoneFacts:
        assert each.old
        zone = renamed(move, each.old)
        return replace(each, old=zone, new=replace(each.new, zone=zone))

    then(rename)
    wanted = frozenset(move.nameservers)
    then(lambda n, z: replace(z, parent=replace(z.parent, nameservers=wanted, glue=move.glue(n))))
    content = {}
    for name, each in found[-1].zones.items():
        assert each.old
        raised = zone_changes.unlimited(each.old, ZONES[name])
        content[name] = zone_changes.bumped(
            replace(raised, soa=replace(raised.soa, mname=move.nameserver))
        )

    def take(name: str, each: ZoneFacts) -> ZoneFacts:
        limited = zone_changes.limited(content[name], ttl=LIMIT)
        return replace(each, new=Served(kind="primary", zone=limited))

    then(take, content=content, kinds=dict.fromkeys(ZONES, "primary"))
    then(lambda _, z: replace(z, old=None), bind=STOPPED)
    then(
        lambda _, z: replace(z, new=replace(z.new, signed=True, key_ttl=20)),
        signed=frozenset(ZONES),
    )
    then(lambda n, z: replace(z, parent=replace(z.parent, ds=move.ds(n), ds_ttl=3600)))
    then(lambda n, z: replace(z, new=replace(z.new, zone=content[n])), ttl_limit=None)
    return found


def to_do(move: Move, facts: Facts) -> tuple[str, ...]:
    return tuple(phase.name for phase in ahead(phases(move), facts))


def to_undo(move: Move, facts: Facts) -> tuple[str, ...]:
    return tuple(phase.name for phase in behind(phases(move), facts))


@pytest.mark.parametrize("done", range(len(NAMES) + 1))
def test_it_goes_on_from_wherever_it_stands(move: Move, done: int) -> None:
    assert to_do(move, course(move)[done]) == NAMES[done:]


@pytest.mark.parametrize("done", range(len(NAMES) + 1))
def test_it_goes_back_from_wherever_it_stands(move: Move, done: int) -> None:
    made = [name for name in NAMES[:done] if name != "lengthen"]
    assert to_undo(move, course(move)[done]) == tuple(reversed(made))


@pytest.mark.parametrize("done", range(len(NAMES)))
def test_with_one_zone_further_than_the_other_the_phase_is_done_again(
    move: Move, done: int
) -> None:
    now, later = course(move)[done : done + 2]
    between = replace(now, zones={**now.zones, REVERSE: later.zones[REVERSE]})
    assert to_do(move, between)[0] == NAMES[done]


def test_a_phase_begun_on_one_zone_only_is_undone_as_well(move: Move) -> None:
    now, later = course(move)[3:5]
    between = replace(now, zones={**now.zones, REVERSE: later.zones[REVERSE]})
    assert to_undo(move, between) == ("delegate", "rename", "copy", "lower")


def test_a_dead_old_server_is_not_taken_for_a_retired_one(move: Move) -> None:
    died = BindState(active=False, enabled=True, changed=True)
    for done, facts in enumerate(course(move)[:6]):
        dead = replace(each_zone(facts, lambda _, z: replace(z, old=None)), bind=died)
        assert "retire" in to_do(move, dead), NAMES[done]


def test_an_old_server_that_was_started_again_is_stopped_again(move: Move) -> None:
    last = course(move)[-1]
    started = each_zone(last, lambda n, z: replace(z, old=course(move)[5].zones[n].old))
    assert to_do(move, replace(started, bind=RUNNING))[0] == "retire"


def test_going_back_does_not_wait_for_a_new_host_that_is_gone(move: Move) -> None:
    facts = course(move)[4]
    gone = replace(each_zone(facts, lambda _, z: replace(z, new=Served())), reachable=False)
    assert to_undo(move, gone) == ("delegate", "rename", "copy", "lower")
    told = replace(gone, kinds=dict.fromkeys(ZONES, "absent"))
    assert "copy" not in to_undo(move, told)


def test_edits_of_the_data_are_puppets_to_make_and_undo_nothing(move: Move) -> None:
    last = course(move)[-1]
    edited = {name: zone_changes.bumped(zone) for name, zone in last.content.items()}
    facts = replace(last, content=edited)
    assert to_do(move, facts)[0] == "take"
    assert to_undo(move, facts) == to_undo(move, last)


def waits(move: Move, done: int, *, back: bool = False) -> Mapping[str, int]:
    facts = course(move)[done]
    return {
        phase.name: phase.fades(facts) if back else phase.settles(facts) for phase in phases(move)
    }


def test_each_wait_is_for_what_is_seen(move: Move) -> None:
    assert waits(move, 0)["lower"] == 20
    assert waits(move, 1)["lower"] == 20
    assert waits(move, 3)["delegate"] == 3600
    assert waits(move, 6)["sign"] == LIMIT
    assert waits(move, 9, back=True)["trust"] == 3600 + 20
    assert waits(move, 4, back=True)["rename"] == 3600


def test_times_to_live_are_lowered_to_a_quarter_within_bounds() -> None:
    assert [lowered(seconds) for seconds in (86400, 120, 20, 8)] == [60, 30, 5, 5]


def test_a_zone_as_it_should_be_is_not_refused(move: Move) -> None:
    assert refusals(bare(), move) == ()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: replace(f, bind=STOPPED), "does not run"),
        (lambda f: replace(f, zones={}), "serves no zone"),
        (
            lambda f: each_zone(
                f,
                lambda _, z: replace(
                    z, parent=replace(z.parent, nameservers=frozenset({"ns.elsewhere.example."}))
                ),
            ),
            "delegated to ns.elsewhere.example., but names others itself",
        ),
        (
            lambda f: each_zone(
                f,
                lambda _, z: replace(
                    z,
                    parent=replace(z.parent, glue={"ns2.nordlys.example.": ("203.0.113.1",)}),
                ),
            ),
            "served at 203.0.113.1 as well",
        ),
        (
            lambda f: each_zone(
                f, lambda _, z: replace(z, parent=replace(z.parent, ds=frozenset({"1 13 2 AB"})))
            ),
            "has a DS at its parent",
        ),
    ],
)
def test_what_cannot_be_moved_is_refused_with_the_reason(
    move: Move, spoil: Callable[[Facts], Facts], reason: str
) -> None:
    assert any(reason in each for each in refusals(spoil(bare()), move))

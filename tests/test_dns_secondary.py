"""A second name server joins, and the two change places: what is decided from what is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hands import operator_in

from lab.operator import zone_changes, zones
from lab.operator.dns_tree import Delegation
from lab.operator.zones import Zone
from lab.steps import dns_promotion
from lab.steps.dns_promotion import Standing
from lab.steps.dns_secondary import refusals
from lab.steps.dns_secondary_facts import ABSENT, PRIMARY, SECONDARY, Facts, Pair
from lab.steps.dns_secondary_phases import Name, phases
from lab.steps.dns_server import Served, glue
from lab.steps.phases import ahead, behind

NAMES = ("copy", "name", "delegate")
FORWARD, REVERSE = "nordlys.example", "20.18.198.in-addr.arpa"
TEXT = """\
$TTL 20
@       SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@       NS  ns-oslo.nordlys.example.
{more}
"""
OSLO = "ns-oslo A 198.18.10.10\nns-oslo AAAA fd18:0:10::10\n"
ZONES = {
    FORWARD: zones.read(FORWARD, TEXT.format(more=OSLO)),
    REVERSE: zones.read(REVERSE, TEXT.format(more="20 PTR bergen.nordlys.example.")),
}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair.of(operator_in(tmp_path))


def served(kind: str, zone: Zone) -> Served:
    return Served(kind=kind, zone=zone, signed=True, key_ttl=20)


def parents(pair: Pair, *, both: bool) -> dict[str, Delegation]:
    servers = pair.together if both else pair.alone
    return {
        name: Delegation(nameservers=frozenset(servers), glue=glue(servers, name), ttl=3600)
        for name in ZONES
    }


def course(pair: Pair) -> list[Facts]:
    """Return what is found before the first phase, and after each."""
    first = {name: served(PRIMARY, zone) for name, zone in ZONES.items()}
    found = [Facts(content=ZONES, first=first, parents=parents(pair, both=False))]
    copied = {name: served(SECONDARY, zone) for name, zone in ZONES.items()}
    found.append(replace(found[-1], second=copied, parts=pair.parts(SECONDARY)))
    named = {
        name: zone_changes.bumped(zone_changes.with_nameservers(zone, pair.together, ttl=20))
        for name, zone in ZONES.items()
    }
    found.append(
        replace(
            found[-1],
            content=named,
            first={name: served(PRIMARY, zone) for name, zone in named.items()},
            second={name: served(SECONDARY, zone) for name, zone in named.items()},
        )
    )
    found.append(replace(found[-1], parents=parents(pair, both=True)))
    return found


def to_do(pair: Pair, facts: Facts) -> tuple[str, ...]:
    return tuple(phase.name for phase in ahead(phases(pair), facts))


def to_undo(pair: Pair, facts: Facts) -> tuple[str, ...]:
    return tuple(phase.name for phase in behind(phases(pair), facts))


@pytest.mark.parametrize("done", range(len(NAMES) + 1))
def test_it_goes_on_and_back_from_wherever_it_stands(pair: Pair, done: int) -> None:
    facts = course(pair)[done]
    assert to_do(pair, facts) == NAMES[done:]
    assert to_undo(pair, facts) == NAMES[:done][::-1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: replace(s, kind=PRIMARY),
        lambda s: replace(s, signed=False),
        lambda s: replace(s, unsigned=("198.18.20.20: www A has no valid signature",)),
        lambda s: replace(s, zone=None),
        lambda s: replace(s, zone=zone_changes.with_serial(s.zone, 6)),
    ],
)
def test_nobody_is_led_to_a_server_that_is_not_right(
    pair: Pair, spoil: Callable[[Served], Served]
) -> None:
    facts = course(pair)[1]
    wrong = replace(facts, second={**facts.second, REVERSE: spoil(facts.second[REVERSE])})
    assert to_do(pair, wrong) == NAMES


def test_both_servers_are_waited_for_before_anybody_is_led_to_them(pair: Pair) -> None:
    one, two = course(pair)[1:3]
    assert to_do(pair, replace(two, second=one.second))[0] == "copy"
    assert Name(pair=pair).lacks(replace(two, second=one.second))


def test_it_ends_when_nobody_remembers_the_first_server_alone(pair: Pair) -> None:
    facts = course(pair)[2]
    assert [phase.settles(facts) for phase in phases(pair)] == [0, 0, 3600]
    assert [phase.fades(facts) for phase in phases(pair)] == [0, 3600, 3600]


def test_going_back_does_not_wait_for_a_host_that_is_gone(pair: Pair) -> None:
    gone = replace(course(pair)[1], second={}, reachable=False)
    assert to_undo(pair, gone) == ("copy",)
    assert to_undo(pair, replace(gone, parts=pair.parts(ABSENT))) == ()


def test_what_is_as_it_should_be_is_not_refused(pair: Pair) -> None:
    assert list(refusals(course(pair)[0], pair)) == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: replace(f, content={}, parents={}), "primary of no zone"),
        (lambda f: replace(f, reachable=False), "bergen cannot be reached"),
        (
            lambda f: replace(f, first={**f.first, REVERSE: Served(kind=SECONDARY)}),
            f"does not serve {REVERSE} as its primary",
        ),
        (
            lambda f: replace(
                f, first={**f.first, REVERSE: replace(f.first[REVERSE], signed=False)}
            ),
            f"does not sign {REVERSE}",
        ),
        (
            lambda f: replace(
                f,
                parents={
                    **f.parents,
                    FORWARD: replace(f.parents[FORWARD], nameservers=frozenset({"ns.x.example."})),
                },
            ),
            "delegates it to ns.x.example., not to ns-oslo.nordlys.example. alone",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused_with_the_reason(
    pair: Pair, spoil: Callable[[Facts], Facts], reason: str
) -> None:
    assert reason in "; ".join(refusals(spoil(course(pair)[0]), pair))


def standing(**served_by: dict[str, Served]) -> Standing:
    parts = {"oslo": PRIMARY, "bergen": SECONDARY}
    return Standing(parts=parts, content=ZONES, served=served_by)


def all_of(kind: str, serial: int = 7) -> dict[str, Served]:
    return {n: served(kind, zone_changes.with_serial(z, serial)) for n, z in ZONES.items()}


def test_a_secondary_that_has_everything_may_become_the_primary() -> None:
    both = standing(oslo=all_of(PRIMARY), bergen=all_of(SECONDARY))
    alone = standing(bergen=all_of(SECONDARY))
    for found in (both, alone):
        assert dns_promotion.refusals(found, "bergen") == []
        assert dns_promotion.appointed(found, "bergen") == {"oslo": SECONDARY, "bergen": PRIMARY}
    assert dns_promotion.plan(both, "bergen")[0] == "oslo becomes a secondary of bergen"
    assert "cannot be reached: before it answers again" in dns_promotion.plan(alone, "bergen")[0]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (standing(oslo=all_of(PRIMARY)), "cannot be reached"),
        (standing(oslo=all_of(PRIMARY), bergen={}), f"it does not serve {FORWARD}"),
        (
            standing(oslo=all_of(PRIMARY, 8), bergen=all_of(SECONDARY)),
            f"it has {FORWARD} as of 7, and oslo as of 8",
        ),
        (replace(standing(), parts={}), "it serves no zones"),
        (replace(standing(), parts={"oslo": PRIMARY, "bergen": ABSENT}), "oslo do"),
    ],
)
def test_one_that_lacks_something_may_not(found: Standing, reason: str) -> None:
    assert reason in "; ".join(dns_promotion.refusals(found, "bergen"))


def test_the_new_primary_is_named_in_versions_that_are_newer_than_any() -> None:
    found = standing(bergen=all_of(SECONDARY, 9))
    new = dns_promotion.renewed(found, "ns-bergen.nordlys.example.")
    assert {z.soa.mname for z in new.values()} == {"ns-bergen.nordlys.example."}
    assert {z.soa.serial for z in new.values()} == {10}
    # Run again after an interruption it changes nothing more.
    assert dns_promotion.renewed(replace(found, content=new), "ns-bergen.nordlys.example.") == new


def test_it_is_done_when_one_is_the_primary_and_the_others_have_what_it_has() -> None:
    done = standing(oslo=all_of(PRIMARY), bergen=all_of(SECONDARY))
    assert dns_promotion.faults(done, "oslo") == []
    assert dns_promotion.plan(done, "oslo") == ()
    two = standing(oslo=all_of(PRIMARY), bergen=all_of(PRIMARY))
    assert f"bergen is not secondary of {FORWARD}" in dns_promotion.faults(two, "oslo")
    late = standing(oslo=all_of(PRIMARY), bergen=all_of(SECONDARY, 6))
    assert f"bergen does not have {FORWARD} as of 7" in dns_promotion.faults(late, "oslo")
    assert "the stage does not make bergen the primary" in dns_promotion.faults(done, "bergen")

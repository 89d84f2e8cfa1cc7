"""The phases of step `web`: from what is found to what is done next, forth and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hands import operator_in

from lab.operator import zone_changes, zones
from lab.operator.apache import ApacheState
from lab.operator.zones import Zone
from lab.steps.phases import ahead, behind
from lab.steps.web import refusals
from lab.steps.web_cutover import TWO_YEARS, kept_for, phases, with_records
from lab.steps.web_facts import THERE, Facts, Installed, as_records, kept, leading
from lab.steps.web_move import Move

NAMES = ("lower", "serve", "certify", "pass", "point", "take", "lengthen")
OLD = ("198.18.20.20", "fd18:0:20::20")
LIMIT = 5
ZONE = zones.read(
    "nordlys.example",
    """\
$TTL 20
@ SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@ NS ns-oslo.nordlys.example.
@ A 198.18.20.20
@ AAAA fd18:0:20::20
web 10 A 198.18.20.20
web 10 AAAA fd18:0:20::20
mail A 198.18.20.20
www CNAME web
static CNAME www
www2 CNAME WWW.Nordlys2
www.nordlys2 A 198.18.20.20
xn--blbr-roah CNAME web
webmail CNAME www
*.kunder A 198.18.20.20
foreningen.kunder A 198.18.20.20
""",
)


@pytest.fixture
def move(tmp_path: Path) -> Move:
    return Move.of(operator_in(tmp_path))


def names(move: Move) -> list[str]:
    return [name for site in move.sites for name in site.names]


def limited(zone: Zone) -> Zone:
    return zone_changes.limited(zone, ttl=LIMIT)


def course(move: Move) -> list[Facts]:
    """Return what is found before the first phase, and after each."""
    versions = {site.name: "1" for site in move.with_content}
    content = {ZONE.origin: ZONE}
    found = [Facts(old=ApacheState(active=True), versions=versions, content=content, zones=content)]

    def then(**changes: object) -> None:
        found.append(replace(found[-1], **changes))  # type: ignore[arg-type]

    before = leading(names(move), content.values(), OLD)
    then(before=before, ttl_limit=LIMIT, zones={ZONE.origin: limited(ZONE)})
    installed = Installed(serves=True, releases=versions, origins={"foreningen": THERE})
    then(
        served=frozenset(site.name for site in move.sites),
        new=installed,
        old=ApacheState(active=True, mode="ready"),
    )
    certified = frozenset(site.name for site in move.sites if site.certified)
    then(new=replace(installed, certified=certified))
    then(old=ApacheState(active=True, mode="passing"))
    moved = with_records(ZONE, [move.moved(record) for record in before[ZONE.origin]])
    then(content={ZONE.origin: moved}, zones={ZONE.origin: limited(moved)})
    then(new=replace(found[-1].new, origins={}))
    then(ttl_limit=None, max_age=TWO_YEARS, zones={ZONE.origin: moved})
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
    made = [name for name in NAMES[:done] if name != "certify"]
    assert to_undo(move, course(move)[done]) == tuple(reversed(made))


def test_every_name_of_a_site_moves_and_no_other(move: Move) -> None:
    found = leading(names(move), [ZONE], OLD)[ZONE.origin]
    assert {(record.name, record.type) for record in found} == {
        *(("@", t) for t in ("A", "AAAA")),
        *(("web", t) for t in ("A", "AAAA")),
        ("www.nordlys2", "A"),
        ("*.kunder", "A"),
        ("foreningen.kunder", "A"),
    }
    assert as_records(kept({ZONE.origin: found})) == {ZONE.origin: found}


def test_the_next_version_of_the_zone_has_the_new_addresses(move: Move) -> None:
    found = leading(names(move), [ZONE], OLD)[ZONE.origin]
    moved = with_records(ZONE, [move.moved(record) for record in found])
    assert moved.soa.serial == 8
    values = {(r.name, r.type): r.values for r in moved.records}
    assert values["web", "AAAA"] == ("fd18:0:10::10",)
    assert values["mail", "A"] == ("198.18.20.20",)
    assert with_records(moved, [move.moved(record) for record in found]) is moved
    assert with_records(moved, found).soa.serial == 9


def test_what_may_be_remembered_is_waited_for_as_it_is_served(move: Move) -> None:
    found = course(move)
    assert kept_for(found[5]) == LIMIT
    assert kept_for(found[-1]) == 20


def test_requests_that_an_old_process_may_answer_are_not_passed_on_yet(move: Move) -> None:
    unsettled = ApacheState(active=True, mode="passing", settled=False)
    assert to_do(move, replace(course(move)[4], old=unsettled))[0] == "pass"
    back = ApacheState(active=True, mode="ready", settled=False)
    assert to_undo(move, replace(course(move)[3], old=back))[0] == "pass"


def test_a_new_host_that_cannot_be_reached_has_the_data(move: Move) -> None:
    gone = replace(course(move)[5], reachable=False, new=Installed())
    assert to_undo(move, gone)[0] == "take"


def test_without_data_on_the_new_host_it_need_not_be_reached(move: Move) -> None:
    gone = replace(course(move)[2], reachable=False, new=Installed())
    assert "take" not in to_undo(move, gone)


def test_sites_that_can_be_moved_are_not_refused(move: Move) -> None:
    assert not refusals(course(move)[0], move)


def refused(move: Move, *, without: str = "", more: str = "") -> str:
    kept_lines = [
        line for line in zones.text(ZONE).splitlines() if not (without and line.startswith(without))
    ]
    zone = zones.read(ZONE.origin, "\n".join([*kept_lines, more, ""]))
    return "; ".join(refusals(replace(course(move)[0], content={ZONE.origin: zone}), move))


def test_names_that_lead_nowhere_are_refused(move: Move) -> None:
    said = refused(move, without="web ")
    assert "no record leads www.nordlys.example to the old server" in said
    assert "nordlys2" not in said


def test_names_that_lead_elsewhere_as_well_are_refused(move: Move) -> None:
    said = refused(move, more="@ 20 IN A 198.18.99.99")
    assert said == "nordlys.example is served at 198.18.99.99 as well"


def test_names_for_which_the_authority_may_not_issue_are_refused(move: Move) -> None:
    assert not refused(move, more='@ 20 IN CAA 0 issue "letsencrypt.org"')
    said = refused(move, more='kunder 20 IN CAA 0 issue "other.example"')
    assert "above foreningen.kunder.nordlys.example do not let letsencrypt.org issue" in said


def test_an_old_server_that_does_not_run_is_refused(move: Move) -> None:
    facts = replace(course(move)[0], old=ApacheState(active=False))
    assert any("does not run" in each for each in refusals(facts, move))

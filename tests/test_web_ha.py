"""The phases of step `web_ha`, and the records that lead to whichever servers are well."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from hands import operator_in

from lab.operator import lua_records, zones
from lab.operator.replicas import device_of
from lab.operator.zones import Zone
from lab.steps.mail_records import Records, before, with_records
from lab.steps.phases import ahead, behind
from lab.steps.web_facts import as_records, kept
from lab.steps.web_ha import refusals
from lab.steps.web_ha_facts import Facts, Serving
from lab.steps.web_ha_move import Pair
from lab.steps.web_ha_phases import Point, phases
from lab.steps.web_ha_records import LONGEST, joined, sealed, together

NAMES = ("serve", "certify", "point")
OSLO = ("198.18.10.10", "fd18:0:10::10")
BERGEN = ("198.18.20.20", "fd18:0:20::20")
ORIGIN = "nordlys.example"
KEY, OTHER = "ab" * 32, "cd" * 32
ZONE = zones.read(
    ORIGIN,
    f"""\
$TTL 3600
@ SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@ NS ns-oslo.nordlys.example.
@ A 198.18.10.10
@ AAAA fd18:0:10::10
web 5 A 198.18.10.10
web 5 AAAA fd18:0:10::10
mail A 198.18.10.10
www CNAME web
www.nordlys2 A 198.18.10.10
*.kunder A 198.18.10.10
foreningen.kunder A 198.18.10.10
_443._tcp.www TLSA 3 1 1 {KEY}
_443._tcp.web TLSA 2 1 1 {KEY}
_25._tcp.mail TLSA 3 1 1 {KEY}
""",
)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair.of(operator_in(tmp_path))


def site_names(pair: Pair) -> list[str]:
    return [name for site in pair.sites for name in site.names]


def wanted(pair: Pair) -> Records:
    return together({ORIGIN: ZONE}, names=site_names(pair), first=OSLO, second=BERGEN)


def course(pair: Pair) -> list[Facts]:
    """Return what is found before the first phase, and after each."""
    releases = {site.name: "1" for site in pair.web.with_content}
    certified = frozenset(site.name for site in pair.sites if site.certified)
    alone = Serving(serves=True, releases=releases, certified=certified)
    content = {ORIGIN: ZONE}
    zones_now = dict.fromkeys(pair.names, content)
    found = [Facts(first=alone, second=Serving(), content=content, zones=zones_now)]
    both = replace(alone, together=True, replicates=True)
    found.append(
        replace(
            found[-1], first=both, second=replace(both, certified=frozenset()), hosts=pair.names
        )
    )
    found.append(replace(found[-1], second=both))
    after = wanted(pair)
    moved = with_records(content, after)
    found.append(
        replace(
            found[-1],
            before=before(after, content),
            after=after,
            content=moved,
            zones=dict.fromkeys(pair.names, moved),
        )
    )
    return found


@pytest.mark.parametrize("done", range(len(NAMES) + 1))
def test_it_goes_on_from_wherever_it_stands(pair: Pair, done: int) -> None:
    assert tuple(each.name for each in ahead(phases(pair), course(pair)[done])) == NAMES[done:]


@pytest.mark.parametrize("done", range(len(NAMES) + 1))
def test_it_goes_back_from_wherever_it_stands(pair: Pair, done: int) -> None:
    made = [name for name in NAMES[:done] if name != "certify"]
    found = behind(phases(pair), course(pair)[done])
    assert tuple(each.name for each in found) == tuple(reversed(made))


def test_nobody_waits_for_caches_on_the_way_there_and_as_long_as_they_keep_on_the_way_back(
    pair: Pair,
) -> None:
    point, facts = Point(pair=pair), course(pair)
    assert point.settles(facts[2]) == 0
    assert point.fades(facts[3]) == 20  # an absence is kept for longer than a computed answer


def test_a_server_that_serves_another_release_has_not_got_all(pair: Pair) -> None:
    facts = course(pair)[3]
    assert facts.second
    other = replace(facts.second, releases={**facts.second.releases, "nordlys": "0"})
    assert phases(pair)[0].lacks(replace(facts, second=other)) == ["bergen has another nordlys"]


def test_a_second_server_that_is_gone_does_not_keep_anybody_from_going_back(pair: Pair) -> None:
    facts = replace(course(pair)[3], second=None)
    assert [each.name for each in behind(phases(pair), facts)] == ["point", "serve"]


def test_every_name_of_a_site_leads_to_both_and_no_other(pair: Pair) -> None:
    zone = with_records({ORIGIN: ZONE}, wanted(pair))[ORIGIN]
    computed = {each.name: each for each in zone.records if each.type == lua_records.TYPE}
    assert computed.keys() == {"@", "web", "www.nordlys2", "*.kunder", "foreningen.kunder"}
    assert lua_records.answers(computed["web"].values) == {
        "A": tuple(sorted((OSLO[0], BERGEN[0]))),
        "AAAA": tuple(sorted((OSLO[1], BERGEN[1]))),
    }
    assert set(lua_records.answers(computed["www.nordlys2"].values)) == {"A"}
    left = {(each.name, each.type) for each in zone.records if each.type in {"A", "AAAA"}}
    assert left == {("mail", "A")}


def test_nobody_remembers_for_long_and_for_no_longer_than_before(pair: Pair) -> None:
    ttl = {each.name: each.ttl for each in wanted(pair)[ORIGIN] if each.values}
    assert (ttl["@"], ttl["web"]) == (LONGEST, 5)


def test_what_is_asked_is_whether_the_name_is_served(pair: Pair) -> None:
    text = {each.name: " ".join(each.values) for each in wanted(pair)[ORIGIN] if each.values}
    assert "'http://web.nordlys.example/healthz'" in text["web"]
    assert "'http://kunder.nordlys.example/healthz'" in text["*.kunder"]
    assert "selector='all',backupSelector='all',timeout=2" in text["@"]


def test_what_was_before_comes_back_as_it_was(pair: Pair) -> None:
    content: dict[str, Zone] = {ORIGIN: ZONE}
    was = before(wanted(pair), content)
    assert as_records(kept(was)) == was
    there = with_records(content, wanted(pair))
    back = with_records(there, was)[ORIGIN]
    assert back.records == ZONE.records
    assert back.soa.serial == ZONE.soa.serial + 2


def test_a_program_too_long_for_one_string_is_cut() -> None:
    label = ".".join(letter * 60 for letter in "abc")
    text = f"@ 5 SOA a. b. 1 2 3 4 5\n@ 5 NS a.\n{label} 5 A 192.0.2.1\n"
    found = together(
        {"x.example": zones.read("x.example", text)},
        names=[f"{label}.x.example"],
        first=("192.0.2.1", "::1"),
        second=("192.0.2.2", "::2"),
    )
    value = next(each for each in found["x.example"] if each.values).values[0]
    assert len(value.split('" "')) == 2
    assert max(len(each) for each in value.split('"')[1::2]) <= 250


def test_seals_of_the_sites_hold_for_both_keys_and_those_of_others_are_left_alone() -> None:
    names = {"www.nordlys.example", "web.nordlys.example", "mail.nordlys.example"}
    keys = dict.fromkeys(names, (KEY, OTHER))
    found = sealed({ORIGIN: ZONE}, names=names, keys=keys)
    assert [(each.name, each.values) for each in found[ORIGIN]] == [
        ("_443._tcp.www", (f"3 1 1 {KEY}", f"3 1 1 {OTHER}"))
    ]
    again = with_records({ORIGIN: ZONE}, found)
    assert sealed(again, names=names, keys=keys) == found


def test_records_of_several_are_put_together() -> None:
    one, other = ZONE.records[:1], ZONE.records[1:2]
    assert joined({"a": one}, {"a": other, "b": one}) == {"a": (*one, *other), "b": one}


def test_what_can_serve_together_is_not_refused(pair: Pair) -> None:
    assert list(refusals(course(pair)[0], pair)) == []


def test_what_cannot_is_told(pair: Pair) -> None:
    facts = course(pair)[0]
    zone = zones.read(ORIGIN, zones.text(ZONE) + "web 5 IN A 198.18.99.99\n")
    said = "; ".join(
        refusals(
            replace(
                facts,
                first=Serving(),
                second=None,
                content={ORIGIN: zone},
                zones={"oslo": facts.content, "bergen": {}},
                ttl_limit=5,
            ),
            pair,
        )
    )
    for each in (
        "oslo does not serve the web",
        "bergen cannot be reached",
        "bergen serves no zone",
        "another change of the zones is under way",
        "web A leads to 198.18.99.99 as well",
    ):
        assert each in said


def test_a_host_is_called_as_syncthing_calls_it() -> None:
    # From syncthing's own tests (lib/protocol/deviceid_test.go): bytes and what they become.
    plain = "P56IOI7MZJNU2IQGDREYDM2MGTMGL3BXNPQ6W5BTBBZ4TJXZWICQ"
    digest = base64.b32decode(plain + "====")
    wanted_name = "P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2"
    assert device_of(digest) == wanted_name

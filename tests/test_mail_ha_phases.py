"""The phases of step `mail_ha`: from what is found to what is done next, forth and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hands import operator_in
from test_mail_ha_records import NEW, ORIGIN, ZONE

from lab.operator import zones
from lab.operator.zones import Zone
from lab.steps.mail_ha import policies, refusals
from lab.steps.mail_ha_facts import Facts, Server
from lab.steps.mail_ha_move import Move
from lab.steps.mail_ha_phases import Join, phases
from lab.steps.mail_records import Records, before, with_records
from lab.steps.phases import ahead, behind
from lab.steps.web_facts import as_records, kept

NAMES = ("announce", "join", "certify", "seal", "lead")
FIRST = Server(serves=True)
PAIRED = Server(serves=True, paired=True, open=True)


@pytest.fixture
def move(tmp_path: Path) -> Move:
    made = Move.of(operator_in(tmp_path))
    made.__dict__["domains"] = (ORIGIN, "kunder.nordlys.example")
    return made


def served(facts: Facts, records: Records) -> Facts:
    """Return the facts when Puppet has published *records*."""
    content = with_records(facts.content, records)
    return replace(facts, content=content, zones=content)


def course(move: Move) -> list[Facts]:
    """Return what is found before the first phase, and after each."""
    content: dict[str, Zone] = {ORIGIN: ZONE}
    first = Facts(first=FIRST, second=Server(), content=content, zones=content)
    steps = (move.announced(content), move.sealed(content, key=NEW), move.led(content))
    was = {ORIGIN: tuple(each for records in steps for each in before(records, content)[ORIGIN])}
    announced = replace(first, before=as_records(kept(was)), policy=move.naming.policy_more)
    found = [first, served(announced, steps[0])]
    joined = {"together": True, "first": PAIRED, "second": replace(PAIRED, key="cc" * 32)}
    found.append(replace(found[-1], **joined))  # type: ignore[arg-type]
    certified = replace(PAIRED, certified=True, key=NEW)
    found.append(replace(found[-1], second=certified))
    found.append(served(found[-1], steps[1]))
    found.append(served(found[-1], steps[2]))
    return found


def test_each_phase_is_next_when_those_before_it_are_done(move: Move) -> None:
    for number, facts in enumerate(course(move)):
        assert [each.name for each in ahead(phases(move), facts)] == list(NAMES[number:]), number


def test_each_phase_that_was_done_is_undone_last_first(move: Move) -> None:
    undoing = [name for name in NAMES if name != "certify"]
    for number, facts in enumerate(course(move)):
        done = [name for name in undoing if name in NAMES[:number]]
        assert [each.name for each in behind(phases(move), facts)] == done[::-1], number


def test_nobody_is_led_to_a_server_whose_mailboxes_are_not_alike_yet(move: Move) -> None:
    last = course(move)[-1]
    assert last.second
    facts = replace(last, second=replace(last.second, open=False))
    assert Join(move=move).lacks(facts) == ["the mailboxes of bergen are not alike yet"]


def test_a_second_server_that_is_gone_keeps_nobody_from_going_back(move: Move) -> None:
    facts = replace(course(move)[-1], second=None)
    assert [each.name for each in behind(phases(move), facts)] == [
        name for name in NAMES[::-1] if name != "certify"
    ]


def test_what_changes_may_be_either_and_what_is_brought_comes_and_goes(move: Move) -> None:
    before_it = course(move)[0].content
    move.op.stage.read = dict  # type: ignore[method-assign]
    changing = move.changing(before_it)
    assert changing["mail2.nordlys.example.", "A"] == ()
    assert changing["_25._tcp.mail.nordlys.example.", "TLSA"] == ()
    was, led = changing["nordlys.example.", "MX"]
    assert (len(was.values), len(led.values)) == (1, 2)
    assert [each.values for each in changing["mail.nordlys.example.", "A"]] == [("198.18.10.10",)]
    assert [each.type for each in changing["mail.nordlys.example.", "LUA"]] == ["LUA"]


def test_a_server_that_can_join_is_not_refused(move: Move) -> None:
    assert list(refusals(course(move)[0], move)) == []


def test_what_is_wrong_is_told(move: Move) -> None:
    first = course(move)[0]
    text = zones.text(ZONE).replace("10 mail.nordlys.example.", "10 other.example.", 1)
    content = {ORIGIN: zones.read(ORIGIN, f"{text}mail2 20 IN A 198.18.0.1\n")}
    facts = replace(first, first=None, second=Server(serves=True), ttl_limit=3, content=content)
    assert list(refusals(facts, move)) == [
        "Postfix and Dovecot do not both run on oslo",
        "a mail server runs on bergen already",
        "another change of the zones is under way",
        "no MX record leads mail for nordlys.example to mail.nordlys.example",
        "mail2.nordlys.example is taken: it has a record of type A",
    ]


def test_the_policy_names_both() -> None:
    enforced = next(policies("x.example", "mail2.x.example"))
    assert enforced == (
        "version: STSv1\nmode: enforce\nmx: mail.x.example\nmx: mail2.x.example\nmax_age: 86400\n"
    )

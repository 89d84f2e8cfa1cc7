"""The phases of step `mail`: from what is found to what is done next, forth and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hands import operator_in

from lab.operator import zone_changes, zones
from lab.operator.mail_accounts import Account, Directory
from lab.operator.old_mail import GATHERING, HOLDING, PASSING, SERVING, OldMailState, Settings
from lab.operator.secrets import Secrets
from lab.operator.zones import Zone
from lab.steps.mail import expired, refusals
from lab.steps.mail_cutover import phases
from lab.steps.mail_facts import Facts, Installed
from lab.steps.mail_move import Move
from lab.steps.mail_records import announced, before, pointed, sealed, with_records
from lab.steps.phases import ahead, behind
from lab.steps.web_facts import as_records, kept
from lab.world.authority import Authority

NAMES = ("announce", "serve", "certify", "copy", "take", "open", "point", "seal")
LIMIT = 5
ORIGIN = "nordlys.example"
ZONE = zones.read(
    ORIGIN,
    """\
$TTL 20
@ SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@ NS ns-oslo.nordlys.example.
@ MX 10 mail
@ TXT "v=spf1 mx ip4:198.18.20.20 -all"
mail A 198.18.20.20
mail AAAA fd18:0:20::20
imap CNAME mail
kunder MX 10 mail
""",
)
KARI = Account(address="kari@nordlys.example", login="kari@nordlys.example", home="/x", hash="{A}b")
THEM = Directory(
    accounts=(KARI,),
    aliases={},
    discards=(),
    domains=(ORIGIN, "kunder.nordlys.example", "bergen.nordlys.example"),
)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    """Return secrets whose keys are made once: that takes a while."""
    return Secrets(directory=tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def move(tmp_path: Path, secrets: Secrets) -> Move:
    made = Move.of(operator_in(tmp_path, secrets=secrets))
    certificate = Authority.make("the lab").issue(["mail.nordlys.example"]).chain
    made.__dict__["directory"] = THEM
    made.__dict__["settings"] = Settings(
        delimiter="+", message_size=1000, sieve_before="", certificate=certificate
    )
    return made


def limited(zone: Zone) -> Zone:
    return zone_changes.limited(zone, ttl=LIMIT)


def served(facts: Facts, content: dict[str, Zone]) -> Facts:
    """Return the facts when Puppet has published *content*."""
    shown = {name: limited(zone) for name, zone in content.items()}
    return replace(facts, content=content, zones=shown if facts.ttl_limit else content)


def course(move: Move) -> list[Facts]:
    """Return what is found before the first phase, and after each."""
    content = {ORIGIN: ZONE}
    old = OldMailState(mode=SERVING, postfix=True, dovecot=True, ports=frozenset({25, 993}))
    first = Facts(old=old, content=content, zones=content)
    naming, found = move.naming(content), [first]
    sealing = move.sealing(first)
    steps = (announced(naming, content), pointed(naming, content), sealed(naming, content, sealing))
    merged = {ORIGIN: tuple(each for records in steps for each in records[ORIGIN])}

    def then(facts: Facts) -> None:
        found.append(facts)

    begun = replace(first, before=as_records(kept(before(merged, content))), ttl_limit=LIMIT)
    then(served(begun, with_records(content, steps[0])))
    prepared = replace(old, prepared=True, present=True)
    then(replace(found[-1], served=True, new=Installed(serves=True), old=prepared))
    then(replace(found[-1], new=Installed(serves=True, certified=True)))
    copied = Installed(serves=True, certified=True, copied=frozenset({KARI.address}))
    then(replace(found[-1], new=copied))
    passing = replace(prepared, mode=PASSING, dovecot=False)
    then(replace(found[-1], old=passing))
    then(replace(found[-1], open=True))
    then(served(found[-1], with_records(found[-1].content, steps[1])))
    last = replace(found[-1], ttl_limit=None, policy="enforce")
    then(served(last, with_records(last.content, steps[2])))
    return found


def test_each_phase_is_next_when_those_before_it_are_done(move: Move) -> None:
    for number, facts in enumerate(course(move)):
        assert [each.name for each in ahead(phases(move), facts)] == list(NAMES[number:]), number


def test_each_phase_that_was_done_is_undone_last_first(move: Move) -> None:
    undoing = [name for name in NAMES if name != "certify"]
    for number, facts in enumerate(course(move)):
        done = [name for name in undoing if name in NAMES[:number]]
        assert [each.name for each in behind(phases(move), facts)] == done[::-1], number


@pytest.mark.parametrize("mode", [HOLDING, GATHERING])
def test_a_hold_that_was_interrupted_is_neither_done_nor_forgotten(move: Move, mode: str) -> None:
    copied = course(move)[5]
    facts = replace(copied, old=replace(copied.old, mode=mode))
    assert next(iter(ahead(phases(move), facts))).name == "take"
    assert "take" in {each.name for each in behind(phases(move), facts)}


def test_a_server_that_can_be_moved_is_not_refused(move: Move) -> None:
    assert refusals(course(move)[0], move) == ()


def test_what_is_wrong_with_the_server_is_told(move: Move) -> None:
    first = course(move)[0]
    wrong = OldMailState(mode=PASSING, postfix=True, dovecot=False, ports=frozenset({110}))
    text = ZONE.origin and zones.text(ZONE).replace(
        "kunder 20 IN MX 10 mail.nordlys.example.\n", ""
    )
    content = {ORIGIN: zones.read(ORIGIN, text)}
    facts = replace(first, old=wrong, reachable=False, ttl_limit=3, content=content)
    assert list(refusals(facts, move)) == [
        "Postfix and Dovecot do not both run on bergen",
        "the mail server on bergen is passing already",
        "oslo cannot be reached",
        "another change of the zones is under way",
        "bergen offers POP3 on port 110, and oslo will not: close it there first",
        (
            "kunder.nordlys.example has no MX record: "
            "add `kunder.nordlys.example. MX 10 mail.nordlys.example.`"
        ),
    ]


def test_a_certificate_of_last_year_is_told(move: Move) -> None:
    pem = move.settings.certificate
    assert list(expired(pem, at=datetime.now(UTC), where="bergen")) == []
    [told] = expired(pem, at=datetime(2040, 1, 1, tzinfo=UTC), where="bergen")
    assert "programs complain of it today" in told
    assert list(expired("nothing", at=datetime.now(UTC), where="bergen")) == [
        "the certificate of the mail server on bergen cannot be read"
    ]

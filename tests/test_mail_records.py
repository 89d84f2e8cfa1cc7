"""The records of mail, as each phase of the move wants them."""

from __future__ import annotations

from lab.operator import zones
from lab.operator.zones import Zone
from lab.steps.mail_records import (
    Naming,
    Sealing,
    announced,
    before,
    elsewhere,
    lacking,
    longest,
    pointed,
    sealed,
    with_records,
    without_mx,
)
from lab.steps.web_facts import as_records, kept

ORIGIN = "nordlys.example"
TEXT = """\
$TTL 20
@ SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 15
@ NS ns-oslo.nordlys.example.
@ MX 10 mail
@ TXT "v=spf1 mx ip4:198.18.20.20 -all"
@ TXT "verification=abc"
mail A 198.18.20.20
mail AAAA fd18:0:20::20
imap CNAME mail
kunder MX 10 mail
lister MX 10 mail
lister TXT "v=spf1 mx -all"
bergen A 198.18.20.20
"""
ZONES = {ORIGIN: zones.read(ORIGIN, TEXT)}
NAMING = Naming(
    domain=ORIGIN,
    domains=(ORIGIN, "kunder.nordlys.example", "lister.nordlys.example", "bergen.nordlys.example"),
    names=("mail.nordlys.example", "imap.nordlys.example"),
    local="bergen.nordlys.example",
    old=("198.18.20.20", "fd18:0:20::20"),
    new=("198.18.10.10", "fd18:0:10::10"),
    dkim="A" * 392,
)


def values(zone: Zone, name: str, rdtype: str) -> tuple[str, ...]:
    return next(
        (each.values for each in zone.records if (each.name, each.type) == (name, rdtype)), ()
    )


def test_the_new_server_may_send_before_it_does() -> None:
    zone = with_records(ZONES, announced(NAMING, ZONES))[ORIGIN]
    assert values(zone, "@", "TXT") == (
        '"v=spf1 mx ip4:198.18.20.20 ip4:198.18.10.10 ip6:fd18:0:10::10 -all"',
        '"verification=abc"',
    )
    assert values(zone, "lister", "TXT") == ('"v=spf1 mx ip4:198.18.10.10 ip6:fd18:0:10::10 -all"',)
    assert values(zone, "kunder", "TXT") == ()
    assert values(zone, "bergen", "MX") == ("10 mail.nordlys.example.",)
    assert values(zone, "mta-sts", "AAAA") == ("fd18:0:10::10",)
    [key] = values(zone, "generalprove._domainkey.kunder", "TXT")
    assert key.replace('" "', "").strip('"') == f"v=DKIM1; k=rsa; p={NAMING.dkim}"
    assert all(len(piece) <= 257 for piece in key.split(" "))
    assert zone.soa.serial == 8


def test_only_what_leads_to_the_mail_server_is_pointed_elsewhere() -> None:
    assert [(str(each), each.values) for each in pointed(NAMING, ZONES)[ORIGIN]] == [
        ("mail A", ("198.18.10.10",)),
        ("mail AAAA", ("fd18:0:10::10",)),
    ]


def test_others_are_told_to_insist_on_tls() -> None:
    zone = with_records(ZONES, sealed(NAMING, ZONES, Sealing(key="ab" * 32, policy="x1")))[ORIGIN]
    assert values(zone, "_25._tcp.mail", "TLSA") == (f"3 1 1 {'ab' * 32}",)
    assert values(zone, "_mta-sts", "TXT") == ('"v=STSv1; id=x1"',)


def test_everything_can_be_taken_back() -> None:
    sealing = Sealing(key="ab" * 32, policy="x1")
    wanted = [announced(NAMING, ZONES), pointed(NAMING, ZONES), sealed(NAMING, ZONES, sealing)]
    merged = {ORIGIN: tuple(each for records in wanted for each in records[ORIGIN])}
    was = as_records(kept(before(merged, ZONES)))
    there = with_records(ZONES, merged)
    assert lacking(merged, there, where="x") == []
    assert lacking(was, there, where="x") != []
    again = with_records(there, was)
    assert zones.compare(ZONES[ORIGIN], again[ORIGIN], soa=False) == ()


def test_nothing_changes_twice() -> None:
    wanted = announced(NAMING, ZONES)
    once = with_records(ZONES, wanted)
    assert with_records(once, wanted) == once


def test_an_absence_is_remembered_as_well() -> None:
    assert longest(pointed(NAMING, ZONES), ZONES) == 20
    new = sealed(NAMING, ZONES, Sealing(key="ab" * 32, policy="x"))
    assert longest(new, ZONES) == 15


def test_domains_that_other_servers_would_not_find_are_told() -> None:
    text = TEXT.replace("kunder MX 10 mail\n", "").replace("lister MX 10 mail", "lister MX 5 other")
    odd = {ORIGIN: zones.read(ORIGIN, text)}
    assert list(without_mx(NAMING, odd)) == ["kunder.nordlys.example"]
    assert list(elsewhere(NAMING, odd)) == ["lister.nordlys.example MX 5 other.nordlys.example."]

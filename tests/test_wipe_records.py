"""Records of step `wipe`: what is forgotten with the old server, and what must not lead to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from lab.lookups import lookups
from lab.operator import zones
from lab.operator.dns_tree import Delegation
from lab.operator.tls import matches
from lab.operator.zones import Zone
from lab.steps.mail_records import before, with_records
from lab.steps.wipe_records import Naming, at_parents, forgotten, leading, seals

ORIGIN, REVERSE = "nordlys.example", "20.18.198.in-addr.arpa"
OLD = ("198.18.20.20", "fd18:0:20::20")
NAMING = Naming(
    old=OLD,
    own="bergen.nordlys.example.",
    former=frozenset({"ns1.nordlys.example.", "ns2.nordlys.example."}),
    broken=frozenset({(ORIGIN, "_443._tcp.web")}),
)
MOVED = """\
$TTL 20
@ SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@ NS ns-oslo
@ MX 10 mail
@ TXT "v=spf1 mx ip4:198.18.20.20 ip6:fd18:0:20::20 ip4:198.18.10.10 -all"
@ TXT "the old server was at ip4:198.18.20.20"
@ A 198.18.10.10
ns-oslo A 198.18.10.10
ns1 A 198.18.20.20
ns1 AAAA fd18:0:20::20
NS2 A 198.18.20.20
bergen A 198.18.20.20
bergen AAAA fd18:0:20::20
bergen MX 10 mail
bergen SSHFP 4 2 b2e5d8f1a4c7093b6e9d2c5f8a1b4e7d0c3f6a9d2e5b8c1f4a7d0b3e6c9f2a58
web A 198.18.10.10
www CNAME web
mail A 198.18.10.10
_443._tcp.web TLSA 3 1 1 8f3c2e1d0b9a78675645342312f0e1d2c3b4a5968778695a4b3c2d1e0ff1e2d3
_25._tcp.mail TLSA 3 1 1 8f3c2e1d0b9a78675645342312f0e1d2c3b4a5968778695a4b3c2d1e0ff1e2d3
_imaps._tcp SRV 0 1 993 mail
"""
BACKWARDS = """\
$TTL 20
@ SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 3 14400 3600 604800 20
@ NS ns-oslo.nordlys.example.
20 PTR mail.nordlys.example.
30 PTR pbx.nordlys.example.
"""


def known(more: str = "") -> dict[str, Zone]:
    return {
        ORIGIN: zones.read(ORIGIN, MOVED + more),
        REVERSE: zones.read(REVERSE, BACKWARDS),
    }


def parent(nameserver: str, *glue: str) -> Delegation:
    return Delegation(nameservers=frozenset({nameserver}), glue={nameserver: glue}, ttl=20)


def test_what_only_the_old_server_needed_is_forgotten() -> None:
    found = {
        (origin, each.name, each.type): each.values
        for origin, sets in forgotten(NAMING, known()).items()
        for each in sets
    }
    assert found == {
        (ORIGIN, "@", "TXT"): (
            '"the old server was at ip4:198.18.20.20"',
            '"v=spf1 mx ip4:198.18.10.10 -all"',
        ),
        (ORIGIN, "ns1", "A"): (),
        (ORIGIN, "ns1", "AAAA"): (),
        (ORIGIN, "ns2", "A"): (),
        (ORIGIN, "bergen", "SSHFP"): (),
        (ORIGIN, "_443._tcp.web", "TLSA"): (),
        (REVERSE, "20", "PTR"): ("bergen.nordlys.example.",),
    }


def test_nobody_is_asked_for_what_may_go() -> None:
    zone = known()[ORIGIN]
    moving = {
        (zone.absolute(each.name), each.type): (each,) if each.values else ()
        for each in forgotten(NAMING, known())[ORIGIN]
    }
    asked = {(each.name, each.type) for each in lookups([zone], moving=moving)}
    everything = {(each.name, each.type) for each in lookups([zone])}
    assert everything - asked == {key for key, allowed in moving.items() if not allowed}


def test_forgotten_once_there_is_nothing_more_to_forget_and_it_comes_back_as_it_was() -> None:
    was = known()
    wanted = forgotten(NAMING, was)
    now = with_records(was, wanted)
    assert forgotten(NAMING, now) == {}
    again = with_records(now, before(wanted, was))
    assert all(not zones.compare(was[name], again[name], soa=False) for name in was)


def test_a_former_name_server_that_somebody_names_still_is_not_forgotten_but_told() -> None:
    some = known("backup MX 20 ns1\n")
    assert "ns1" not in {each.name for each in forgotten(NAMING, some)[ORIGIN]}
    assert leading(NAMING, some) == [
        "backup.nordlys.example. MX 20 ns1.nordlys.example.",
        "ns1.nordlys.example. A 198.18.20.20",
        "ns1.nordlys.example. AAAA fd18:0:20::20",
    ]


def test_when_all_has_moved_nothing_leads_to_the_old_server() -> None:
    assert leading(NAMING, known()) == []


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ("old A 198.18.20.20", "old.nordlys.example. A 198.18.20.20"),
        ("*.kunder AAAA fd18:0:20::20", "*.kunder.nordlys.example. AAAA fd18:0:20::20"),
        ("lister MX 20 bergen", "lister.nordlys.example. MX 20 bergen.nordlys.example."),
        ("ftp CNAME Bergen", "ftp.nordlys.example. CNAME bergen.nordlys.example."),
        ("sub NS bergen", "sub.nordlys.example. NS bergen.nordlys.example."),
        ("_x._tcp SRV 0 0 5 bergen", "_x._tcp.nordlys.example. SRV 0 0 5 bergen.nordlys.example."),
        (
            "w HTTPS 1 . ipv4hint=198.18.20.20",
            'w.nordlys.example. HTTPS 1 . ipv4hint="198.18.20.20"',
        ),
    ],
)
def test_whatever_else_leads_to_the_old_server_is_told(record: str, told: str) -> None:
    assert [each.lower() for each in leading(NAMING, known(f"{record}\n"))] == [told.lower()]


def test_a_way_round_by_an_alias_is_told_as_well() -> None:
    some = known("ftp CNAME bergen\nlister MX 5 ftp\n")
    assert "lister.nordlys.example. MX 5 ftp.nordlys.example." in leading(NAMING, some)


def test_what_a_parent_says_is_told() -> None:
    said = {
        ORIGIN: parent("ns-oslo.nordlys.example.", "198.18.10.10"),
        "glued.example": parent("ns-oslo.nordlys.example.", "198.18.10.10", OLD[0]),
        REVERSE: parent("bergen.nordlys.example."),
    }
    assert at_parents(NAMING, known(), said) == [
        "the parent of glued.example has the address 198.18.20.20 for ns-oslo.nordlys.example.",
        f"the parent of {REVERSE} delegates it to bergen.nordlys.example.",
    ]


def test_only_services_that_begin_with_tls_can_be_asked_for_their_key() -> None:
    found = [(each.name, host, port) for _, each, host, port in seals(known())]
    assert found == [("_443._tcp.web", "web.nordlys.example", 443)]


def test_a_seal_matches_the_key_of_the_certificate_that_is_shown() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    now = datetime.now(UTC)
    shown = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    digest = shown.fingerprint(hashes.SHA256()).hex()
    assert matches(f"3 0 1 {digest[:40]} {digest[40:]}", shown)
    assert not matches(f"3 1 1 {digest}", shown)
    assert matches(f"2 0 1 {'0' * 64}", shown)

"""Questions to name servers: batches, transfers, signatures, and what goes wrong on the way."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm

from lab.operator import zones
from lab.operator.dns import Dns, DnsError, Question, answered
from lab.operator.dns_check import problems
from lab.operator.dns_tree import DnsCheckError, Tree

SERVER = "198.18.10.10"
ZONE = zones.read(
    "nordlys.example",
    """\
$TTL 20
@        SOA ns hostmaster 7 14400 3600 604800 20
@        NS  ns
ns       A   198.18.10.10
www      A   198.18.10.10
*.dev    A   198.18.10.11
long     TXT "a piece" "and another"
lab      NS  ns.lab
lab      DS  1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
ns.lab   A   198.18.10.12
""",
)
CUT = dns.name.from_text("lab.nordlys.example")
ALGORITHM = Algorithm.ECDSAP256SHA256
PRIVATE = ec.generate_private_key(ec.SECP256R1())
KEYS = dns.rrset.from_rdata(
    ZONE.origin + ".", 20, dns.dnssec.make_dnskey(PRIVATE.public_key(), ALGORITHM)
)

Answer = Callable[[dns.message.Message], Iterable[dns.message.Message]]


def records(zone: zones.Zone, name: dns.name.Name, rdtype: str) -> list[dns.rrset.RRset]:
    return [
        dns.rrset.from_text(name, each.ttl, "IN", each.type, *each.values)
        for each in zone
        if dns.name.from_text(zone.absolute(each.name)) == name and each.type == rdtype
    ]


def serving(zone: zones.Zone, *, signed: datetime | None = None) -> Answer:
    """Answer as an authoritative server of *zone*, with signatures of the day *signed*."""

    def answer(query: dns.message.Message) -> Iterable[dns.message.Message]:
        (question,) = query.question
        rdtype = dns.rdatatype.to_text(question.rdtype)
        reply = dns.message.make_response(query)
        found = records(zone, question.name, rdtype)
        below = question.name.is_subdomain(CUT) and rdtype != "DS"
        if below:
            reply.authority = records(zone, CUT, "NS")
            reply.additional = records(zone, dns.name.from_text("ns.lab.nordlys.example"), "A")
        else:
            reply.answer = found + ([signature(each, signed) for each in found] if signed else [])
        yield reply

    return answer


def signature(found: dns.rrset.RRset, day: datetime) -> dns.rrset.RRset:
    made = dns.dnssec.sign(
        found,
        PRIVATE,
        KEYS.name,
        KEYS[0],
        inception=day,
        expiration=day + timedelta(days=7),
        origin=KEYS.name,
    )
    return dns.rrset.from_rdata(found.name, found.ttl, made)


def dial(answer: Answer, *, backwards: bool = False, then: bytes = b"") -> Dns:
    """Return a client whose every connection ends at a server that says *answer*."""

    def connect(address: str, port: int, *, via: str | None = None) -> socket.socket:
        assert (address, port, via) == (SERVER, 53, None)
        near, far = socket.socketpair()
        threading.Thread(target=serve, args=(far,), daemon=True).start()
        return near

    def serve(far: socket.socket) -> None:
        with far, far.makefile("rb") as questions:
            far.settimeout(0.3)
            replies: list[bytes] = []
            try:
                while head := questions.read(2):
                    wire = questions.read(struct.unpack("!H", head)[0])
                    replies += [each.to_wire() for each in answer(dns.message.from_wire(wire))]
            except TimeoutError:
                pass
            for wire in reversed(replies) if backwards else replies:
                far.sendall(struct.pack("!H", len(wire)) + wire)
            if then:
                far.sendall(then)

    return Dns(dial=connect, timeout=2.0)


@pytest.mark.parametrize("backwards", [False, True])
def test_answers_come_in_the_order_of_the_questions(*, backwards: bool) -> None:
    names = ("ns.nordlys.example", "www.nordlys.example")
    asked = [Question(name=name, type="A") for name in names]
    replies = dial(serving(ZONE), backwards=backwards).ask(SERVER, asked)
    assert all(answered(reply, name, "A") for reply, name in zip(replies, names, strict=True))


def test_nobody_is_asked_to_ask_others() -> None:
    seen: list[int] = []

    def answer(query: dns.message.Message) -> Iterable[dns.message.Message]:
        seen.append(query.flags & dns.flags.RD)
        yield dns.message.make_response(query)

    dial(answer).query(SERVER, "nordlys.example", "SOA")
    assert seen == [0]


@pytest.mark.parametrize(
    ("answer", "then", "reason"),
    [
        (lambda _: (), b"", "the connection was closed"),
        (lambda _: (), b"\x00\x05\x00\x00cde", "not an answer"),
    ],
)
def test_half_an_answer_is_none(answer: Answer, then: bytes, reason: str) -> None:
    with pytest.raises(DnsError, match=reason):
        dial(answer, then=then).query(SERVER, "nordlys.example", "SOA")


def test_a_refused_transfer_is_said_to_be_refused() -> None:
    def refuse(query: dns.message.Message) -> Iterable[dns.message.Message]:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.REFUSED)
        yield reply

    with pytest.raises(DnsError, match="the transfer was refused: REFUSED"):
        dial(refuse).axfr(SERVER, "nordlys.example")


def test_a_transferred_zone_is_the_zone() -> None:
    def transfer(query: dns.message.Message) -> Iterable[dns.message.Message]:
        sets = [
            dns.rrset.from_text(ZONE.absolute(r.name), r.ttl, "IN", r.type, *r.values) for r in ZONE
        ]
        for part in (sets[:3], sets[3:] + sets[:1]):
            reply = dns.message.make_response(query)
            reply.answer = part
            yield reply

    assert dial(transfer).axfr(SERVER, "nordlys.example") == ZONE


def test_every_record_is_found_even_what_lies_in_a_zone_below() -> None:
    assert problems(dial(serving(ZONE)), SERVER, ZONE) == ()


def test_a_record_that_is_other_or_missing_is_named() -> None:
    kept = [each for each in ZONE.records if each.name != "long"]
    served = replace(
        ZONE, records=tuple(replace(r, ttl=60) if r.name == "www" else r for r in kept)
    )
    assert set(problems(dial(serving(served)), SERVER, ZONE)) == {
        f"{SERVER}: www A: wanted 198.18.10.10 (TTL 20), found 198.18.10.10 (TTL 60)",
        f"{SERVER}: long TXT: not served",
    }


def test_any_part_of_what_a_record_computes_is_served() -> None:
    program = "\"ifurlup('http://x/', {'198.18.10.10', '198.18.20.20'}, {selector='all'})\""
    computed = zones.record_set(
        ZONE.origin, name="www", ttl=20, rdtype="LUA", values=[f"A {program}"]
    )
    others = [each for each in ZONE.records if (each.name, each.type) != ("www", "A")]
    wanted = zones.Zone.of(ZONE.origin, ZONE.soa, [*others, computed])

    def served(*values: str) -> zones.Zone:
        www = zones.record_set(ZONE.origin, name="www", ttl=20, rdtype="A", values=values)
        return zones.Zone.of(ZONE.origin, ZONE.soa, [*others, www])

    for right in (["198.18.20.20"], ["198.18.10.10", "198.18.20.20"]):
        assert problems(dial(serving(served(*right))), SERVER, wanted) == ()
    for wrong in (["198.18.20.21"], ["198.18.20.20", "198.18.20.21"]):
        (told,) = problems(dial(serving(served(*wrong))), SERVER, wanted)
        assert "www A: wanted 198.18.10.10 198.18.20.20" in told
    assert problems(
        dial(serving(zones.Zone.of(ZONE.origin, ZONE.soa, others))), SERVER, wanted
    ) == (f"{SERVER}: www A: not served",)


def test_signatures_of_today_are_good() -> None:
    day = datetime.now(UTC) - timedelta(days=1)
    assert problems(dial(serving(ZONE, signed=day)), SERVER, ZONE, keys=KEYS) == ()


def test_expired_signatures_are_none() -> None:
    day = datetime.now(UTC) - timedelta(days=30)
    wrong = problems(dial(serving(ZONE, signed=day)), SERVER, ZONE, keys=KEYS)
    # Not the name servers of the zone below, nor their address: nobody signs those.
    assert len(wrong) == len(list(ZONE)) - 2
    assert "has no valid signature" in wrong[0]


def test_a_zone_whose_key_nobody_vouches_for_is_not_believed() -> None:
    def answer(query: dns.message.Message) -> Iterable[dns.message.Message]:
        reply = dns.message.make_response(query)
        if query.question[0].rdtype == dns.rdatatype.DNSKEY:
            reply.answer = [dns.rrset.from_rdata(".", 20, KEYS[0])]
        yield reply

    tree = Tree(dns=dial(answer), roots=[SERVER], anchors=["1 13 2 " + "AB" * 32])
    with pytest.raises(DnsCheckError, match="none of its keys is one that its parent vouches"):
        tree.keys(".")

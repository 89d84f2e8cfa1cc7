"""Visitors and writers, against a real server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from lab.history import Operation
from lab.users.probes import Plan
from lab.users.resolving import Exchange, Reply, Stub
from lab.users.visiting import Browser
from lab.users.visitors import (
    failover_visitors,
    failover_writers,
    standard_visitors,
    standard_writers,
)
from lab.users.visits import VISIT_ANY, VISIT_FIRST, Choice, Visit, Visitor, Writer
from lab.world.authority import Authority, Certificate

ADDRESS = "127.0.80.2"
HOST = "www.nordlys.example"
PAGE = b"<h1>Nordlys</h1>"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + PAGE


class Known(Stub):
    """Knows the addresses it is given.

    Args:
        addresses: all of IPv4.
    """

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses or (ADDRESS,)
        exchange = Exchange(transport="udp", timeout=1, attempts=1, port=53)
        super().__init__(servers=(), exchange=exchange)

    async def resolve(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Reply:
        """Return them, over IPv4."""
        values = self._addresses if rdtype == dns.rdatatype.A else []
        rdatas = frozenset(
            dns.rdata.from_text(dns.rdataclass.IN, rdtype, value) for value in values
        )
        return Reply(rcode="NOERROR", rdatas=rdatas, secure=False, server=str(name))


def asked(
    said: bytes,
    *,
    do: Callable[[Browser], Awaitable[Operation]],
    certificate: Certificate | None = None,
    trust: ssl.SSLContext | None = None,
    tmp_path: Path | None = None,
) -> tuple[Operation, bytes]:
    """Let a browser ask a server that says *said*; return the operation and the request."""
    requests = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(65536))
        writer.write(said)
        await writer.drain()
        writer.close()

    async def play() -> Operation:
        context = None
        if certificate and tmp_path:
            (tmp_path / "pair.pem").write_text(certificate.chain + certificate.key)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tmp_path / "pair.pem")
        async with await asyncio.start_server(serve, ADDRESS, 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            browser = Browser(
                stub=Known(),
                family="4",
                trust=trust or ssl.create_default_context(),
                timeout=5,
                ports={"http": port, "https": port},
            )
            return await do(browser)

    return asyncio.run(play()), (requests or [b""])[0]


def visit(said: bytes, *, status: int = 200, digest: str = "") -> Operation:
    page = Visit(url=f"http://{HOST}/a?b=c", status=status, digest=digest)
    return asked(said, do=lambda browser: browser.visit(page, target="v"))[0]


def test_a_page_as_it_should_be_is_a_success() -> None:
    digest = hashlib.sha256(PAGE).hexdigest()
    found = visit(OK, digest=digest)
    assert (found.ok, found.kind, found.target, found.detail) == (True, "visit", "v", "")
    assert found.end_ns > found.start_ns


def test_chunks_are_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = head + b"4\r\n<h1>\r\nc\r\nNordlys</h1>\r\n0\r\n\r\n"
    assert visit(said, digest=hashlib.sha256(PAGE).hexdigest()).ok


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (OK.replace(b"200", b"503"), "status 503, not 200"),
        (OK.replace(b"Nordlys", b"Sydlys!"), "another page than it should be"),
        (OK.replace(b"16", b"17"), "hung up in the middle"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<h", "hung up in the middle"),
        (b"", "hung up without an answer"),
        (b"SSH-2.0\r\n\r\n", "not HTTP"),
    ],
)
def test_whatever_else_comes_is_a_failure_that_says_why(said: bytes, why: str) -> None:
    found = visit(said, digest=hashlib.sha256(PAGE).hexdigest())
    assert (found.ok, found.detail) == (False, why)


def test_a_certificate_must_be_for_the_name_and_of_somebody_believed(tmp_path: Path) -> None:
    believed, other = Authority.make("believed"), Authority.make("other")
    trust = ssl.create_default_context(cadata=believed.root)

    def outcome(authority: Authority, name: str) -> tuple[bool | None, str]:
        page = Visit(url=f"https://{HOST}/")
        found, _ = asked(
            OK,
            do=lambda browser: browser.visit(page, target="v"),
            certificate=authority.issue([name]),
            trust=trust,
            tmp_path=tmp_path,
        )
        return found.ok, found.detail

    assert outcome(believed, HOST) == (True, "")
    assert outcome(other, HOST)[1].startswith("not to be believed: ")
    wrong = outcome(believed, "mail.nordlys.example")
    assert wrong[0] is False
    assert "mismatch" in wrong[1]


def test_an_entry_is_accepted_when_the_writer_is_told_so() -> None:
    def write(said: bytes) -> tuple[Operation, bytes]:
        return asked(said, do=lambda browser: browser.write(f"http://{HOST}/", target="w"))

    found, request = write(b"HTTP/1.1 303 See Other\r\nLocation: ./\r\nContent-Length: 0\r\n\r\n")
    assert (found.ok, found.kind) == (True, "entry")
    assert request.startswith(b"POST / HTTP/1.1\r\n")
    assert found.what.encode() in request
    refused, _ = write(OK)
    assert (refused.ok, refused.detail) == (False, "status 200")
    assert refused.what != found.what


def test_whom_a_name_has_no_address_for_does_not_come() -> None:
    resolver = {"4": "198.18.128.10", "6": "fd18:2::10"}
    visits = [Visit(url="http://a.example/"), Visit(url="https://b.example/x", digest="1")]
    visitors = standard_visitors(
        resolver=resolver, visits=visits, reach={"a.example": "46", "b.example": "4"}
    )
    assert {user.name: len(user.visits) for user in visitors} == {
        "http4": 1, "http6": 1, "https4": 1,
    }  # fmt: skip
    writers = standard_writers(resolver=resolver, host="a.example", families="4")
    assert {writer.name for writer in writers} == {"http4 form", "https4 form"}
    plan = Plan(visitors=visitors, writers=writers, authorities="PEM")
    assert Plan.from_json(plan.to_json()) == plan


DEAD = "127.0.80.3"
MUTE = "127.0.80.1"


def tried(choice: Choice, *addresses: str, write: bool = False) -> tuple[Operation, list[str]]:
    """Let a browser try servers, of which one answers, one hangs up, and others are not there.

    Returns:
        What came of it, and who was asked, in order.
    """
    requests: list[str] = []
    answer = b"HTTP/1.1 303 See Other\r\nContent-Length: 0\r\n\r\n" if write else OK

    def serving(address: str, said: bytes) -> Callable[..., Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            requests.append(address)
            writer.write(said)
            writer.close()

        return serve

    async def play() -> Operation:
        async with await asyncio.start_server(serving(ADDRESS, answer), ADDRESS, 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with await asyncio.start_server(serving(MUTE, b""), MUTE, port):
                browser = Browser(
                    stub=Known(*addresses),
                    family="4",
                    trust=ssl.create_default_context(),
                    timeout=5,
                    choice=choice,
                    ports={"http": port, "https": port},
                )
                if write:
                    return await browser.write(f"http://{HOST}/", target="w")
                return await browser.visit(Visit(url=f"http://{HOST}/"), target="v", kind="any")

    return asyncio.run(play()), requests


def test_who_knows_one_server_fails_with_it() -> None:
    assert tried("lowest", ADDRESS, DEAD)[0].ok
    found, _ = tried("highest", ADDRESS, DEAD)
    assert (found.ok, found.detail, found.kind) == (False, "connection refused", "any")


def test_who_tries_every_address_finds_the_one_that_answers() -> None:
    for _ in range(8):  # in any order
        found, _ = tried("any", ADDRESS, DEAD)
        assert (found.ok, found.detail) == (True, "")
    assert not tried("any", DEAD)[0].ok


def test_a_page_is_asked_for_again_and_an_entry_never_written_twice() -> None:
    orders = set()
    for _ in range(12):
        found, asked_of = tried("any", ADDRESS, MUTE)
        assert found.ok
        orders.add(tuple(asked_of))
        found, asked_of = tried("any", ADDRESS, MUTE, write=True)
        assert len(asked_of) == 1
        assert found.ok is (asked_of == [ADDRESS])
    assert (MUTE, ADDRESS) in orders


def test_for_either_of_two_servers_there_is_somebody_who_knows_no_other() -> None:
    visitor = Visitor(name="http4", family="4", resolver="x", visits=(Visit(url="http://a/"),))
    found = failover_visitors([visitor])
    assert [(each.name, each.kind) for each in found] == [
        ("http4 lowest", VISIT_FIRST),
        ("http4 highest", VISIT_FIRST),
        ("http4 any", VISIT_ANY),
    ]
    writers = [Writer(name=str(n), family="4", resolver="x", url="http://a/") for n in range(4)]
    choices = [each.choice for each in failover_writers(writers)]
    assert choices == ["lowest", "highest", "any", "lowest"]
    plan = Plan(visitors=found)
    assert Plan.from_json(plan.to_json()) == plan

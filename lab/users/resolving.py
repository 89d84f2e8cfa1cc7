"""Asking name servers: one exchange, and what is right or wrong about the answer.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.users.probes import Lookup, Probe, Transport

PAYLOAD = 1232
"""The size of UDP answers that stubs and resolvers ask for since DNS flag day 2020."""


class NoAnswerError(Exception):
    """A look-up that a user would call failed."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a look-up came back with, whoever it was asked of.

    Attributes:
        rcode: its status.
        rdatas: of the type asked for, after following aliases. They compare as the protocol
            does, whatever the case of the names in them.
        secure: whether the resolver says that it validated.
        server: who said it.
    """

    rcode: str
    rdatas: frozenset[dns.rdata.Rdata]
    secure: bool
    server: str

    @property
    def values(self) -> frozenset[str]:
        """The same as in a zone file."""
        return frozenset(rdata.to_text() for rdata in self.rdatas)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """How questions travel.

    Attributes:
        transport: what to ask over first.
        timeout: seconds for one attempt.
        attempts: how many servers, or times, to try.
        port: where servers listen.
    """

    transport: Transport
    timeout: float
    attempts: int
    port: int

    @classmethod
    def of(cls, probe: Probe) -> Exchange:
        """Return what a probe uses."""
        return cls(
            transport=probe.transport,
            timeout=probe.timeout,
            attempts=probe.attempts,
            port=probe.port,
        )

    async def ask(
        self, query: dns.message.Message, servers: Sequence[str]
    ) -> tuple[dns.message.Message, str]:
        """Ask the servers in turn until one answers.

        Returns:
            The answer and whose it is.

        Raises:
            NoAnswerError: none of the attempts was answered.
        """
        why = "no server to ask"
        for attempt in range(self.attempts):
            server = servers[attempt % len(servers)]
            try:
                async with asyncio.timeout(self.timeout):
                    return await self._once(query, server), server
            except (dns.exception.DNSException, OSError, EOFError) as error:
                why = f"{self._plainly(error)} from {server} over {self.transport}"
        raise NoAnswerError(why)

    def _plainly(self, error: Exception) -> str:
        """Say what went wrong without the addresses and numbers that asyncio adds."""
        if isinstance(error, TimeoutError):
            return f"no answer within {self.timeout:g} s"
        if isinstance(error, EOFError):
            return "connection closed"
        if isinstance(error, OSError) and error.errno:
            return os.strerror(error.errno).lower()
        return str(error) or type(error).__name__

    async def _once(self, query: dns.message.Message, server: str) -> dns.message.Message:
        if self.transport == "tcp":
            return await dns.asyncquery.tcp(query, server, port=self.port)
        answer, _ = await dns.asyncquery.udp_with_fallback(
            query, server, port=self.port, ignore_unexpected=True, ignore_errors=True
        )
        return answer


class Stub:
    """Asks a resolver, as programs do.

    Args:
        servers: the resolvers, in order of preference.
        exchange: how questions travel.
    """

    def __init__(self, *, servers: Sequence[str], exchange: Exchange) -> None:
        self._servers = tuple(servers)
        self._exchange = exchange

    async def resolve(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Reply:
        """Look a name up.

        Raises:
            NoAnswerError: nobody answered.
        """
        query = dns.message.make_query(name, rdtype, use_edns=0, payload=PAYLOAD)
        # AD in the question asks for AD in the answer without the signatures (RFC 6840 5.7).
        query.flags |= dns.flags.AD
        answer, server = await self._exchange.ask(query, self._servers)
        return reply_of(answer, server)


def reply_of(answer: dns.message.Message, server: str) -> Reply:
    """Reduce a message to what a user has from it.

    Raises:
        NoAnswerError: it is not the answer to a question.
    """
    rdatas: frozenset[dns.rdata.Rdata] = frozenset()
    if isinstance(answer, dns.message.QueryMessage) and answer.rcode() == dns.rcode.NOERROR:
        try:
            rrset = answer.resolve_chaining().answer
        except dns.exception.DNSException as error:
            raise NoAnswerError(f"senseless answer from {server}: {error}") from error
        rdatas = frozenset(rrset or ())
    return Reply(
        rcode=dns.rcode.to_text(answer.rcode()),
        rdatas=rdatas,
        secure=bool(answer.flags & dns.flags.AD),
        server=server,
    )


def fault_in(reply: Reply, lookup: Lookup) -> str:
    """Return what is wrong with a reply, empty when nothing is."""
    if reply.rcode != lookup.rcode:
        return f"{reply.rcode} from {reply.server}"
    if lookup.secure and not reply.secure:
        return f"not validated by {reply.server}"
    if lookup.rcode != "NOERROR":
        return ""
    if not reply.rdatas:
        return f"no data from {reply.server}"
    wanted = lookup.expect or lookup.among
    if wanted and reply.rdatas not in _expected(lookup) and not reply.rdatas <= _among(lookup):
        return f"wrong answer from {reply.server}: {', '.join(sorted(reply.values))}"
    return ""


@cache
def _expected(lookup: Lookup) -> tuple[frozenset[dns.rdata.Rdata], ...]:
    """Return the sets of values allowed, read once."""
    return tuple(_read(lookup.type, values) for values in lookup.expect)


@cache
def _among(lookup: Lookup) -> frozenset[dns.rdata.Rdata]:
    """Return the values of which any part is allowed, read once."""
    return _read(lookup.type, lookup.among)


def _read(rdtype: str, values: Iterable[str]) -> frozenset[dns.rdata.Rdata]:
    kind = dns.rdatatype.from_text(rdtype)
    return frozenset(dns.rdata.from_text(dns.rdataclass.IN, kind, value) for value in values)

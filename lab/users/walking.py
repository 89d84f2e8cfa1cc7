"""Walking from the root to the answer, as a resolver does, with a cache that honours TTLs.

This is how the cutover looks to the many resolvers whose caches differ: each walker holds
delegations of its own, for as long as they may be held and no longer. It keeps nothing else.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from lab.users.resolving import PAYLOAD, Exchange, NoAnswerError, Reply, reply_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import dns.rrset

MAX_STEPS: Final = 16
"""Referrals and aliases followed for one question before it is called a loop."""

MAX_DEPTH: Final = 4
"""Questions inside questions, for the addresses of name servers that came without."""


@dataclass(frozen=True, kw_only=True)
class Delegation:
    """Who answers for a zone, as far as a cache knows.

    Attributes:
        zone: its name.
        servers: addresses of one family.
        expires: on the walker's clock.
        from_child: whether the zone itself said so; that ranks over its parent's word
            (RFC 2181 5.4.1).
    """

    zone: dns.name.Name
    servers: tuple[str, ...]
    expires: float
    from_child: bool = False


class Walker:
    """A resolver that caches delegations only.

    Args:
        roots: the root's name servers, all of one family, which is the only one used.
        exchange: how questions travel.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        roots: Sequence[str],
        exchange: Exchange,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        v4 = ip_address(roots[0]).version == 4  # noqa: PLR2004 - the protocol's number
        self._family = dns.rdatatype.A if v4 else dns.rdatatype.AAAA
        root = Delegation(zone=dns.name.root, servers=tuple(roots), expires=float("inf"))
        self._known = {root.zone: root}

    async def resolve(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, *, depth: int = 0
    ) -> Reply:
        """Look a name up.

        Raises:
            NoAnswerError: the walk ended without an answer; it says where.
        """
        if depth > MAX_DEPTH:
            raise NoAnswerError(f"too many questions inside questions at {name}")
        for _ in range(MAX_STEPS):
            # A DS belongs to the parent's side of the cut (RFC 4035 3.1.4.1).
            below_cut = rdtype == dns.rdatatype.DS and name != dns.name.root
            delegation = self._closest(name.parent() if below_cut else name)
            answer, server = await self._ask(delegation, name, rdtype)
            if (referral := _referral(answer, delegation.zone, name)) is not None:
                await self._learn(referral, answer, depth=depth)
                continue
            if not answer.flags & dns.flags.AA:
                status = dns.rcode.to_text(answer.rcode())
                raise NoAnswerError(f"{server} is lame for {delegation.zone}: {status}")
            if depth == 0:
                await self._hear_child(answer, delegation)
            reply = reply_of(answer, server)
            alias = _alias(answer)
            if alias is None or reply.rdatas or reply.rcode != "NOERROR":
                return reply
            name = alias
        raise NoAnswerError(f"the walk does not end at {name}")

    def _closest(self, name: dns.name.Name) -> Delegation:
        """Return the deepest delegation on the way to a name that has not expired."""
        while True:
            found = self._known.get(name)
            if found is not None and found.expires > self._clock():
                return found
            name = name.parent()  # the root's hints never expire

    async def _ask(
        self, delegation: Delegation, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
    ) -> tuple[dns.message.Message, str]:
        query = dns.message.make_query(
            name, rdtype, flags=dns.flags.Flag(0), use_edns=0, payload=PAYLOAD
        )
        servers = random.sample(delegation.servers, len(delegation.servers))
        # Who walks is a resolver, and one of those asks every server of a zone before it gives up.
        attempts = max(self._exchange.attempts, len(servers))
        try:
            return await replace(self._exchange, attempts=attempts).ask(query, servers)
        except NoAnswerError as error:
            raise NoAnswerError(f"{error}, asked for {delegation.zone}") from error

    async def _hear_child(self, answer: dns.message.Message, delegation: Delegation) -> None:
        """Let the zone's own word on its servers replace its parent's, once.

        It does not prolong itself: when it expires the parent is asked again.
        """
        zone = delegation.zone
        own = answer.get_rrset(answer.authority, zone, dns.rdataclass.IN, dns.rdatatype.NS)
        if own is None or delegation.from_child or zone == dns.name.root:
            return
        with contextlib.suppress(NoAnswerError):  # useless as it is, the parent's word stands
            await self._learn(own, answer, depth=0, from_child=True)

    async def _learn(
        self,
        servers: dns.rrset.RRset,
        answer: dns.message.Message,
        *,
        depth: int,
        from_child: bool = False,
    ) -> None:
        """Remember who answers for a zone, for as long as the shortest TTL involved."""
        zone, now = servers.name, self._clock()
        names = [rdata.target for rdata in servers]
        addresses, ttl = _glue(answer, names, self._family)
        if not addresses:
            # Below the zone itself only the zone knows, and it is not known yet.
            outside = (n for n in names if from_child or not n.is_subdomain(zone))
            addresses, ttl = await self._addresses(outside, depth=depth), servers.ttl
        if not addresses:
            raise NoAnswerError(f"no address for any name server of {zone}")
        self._known[zone] = Delegation(
            zone=zone,
            servers=tuple(sorted(addresses)),
            expires=now + min(servers.ttl, ttl),
            from_child=from_child,
        )

    async def _addresses(self, names: Iterable[dns.name.Name], *, depth: int) -> set[str]:
        """Look up the addresses of name servers that came without."""
        found: set[str] = set()
        for name in names:
            reply = await self.resolve(name, self._family, depth=depth + 1)
            found |= reply.values
        return found


def _referral(
    answer: dns.message.Message, zone: dns.name.Name, name: dns.name.Name
) -> dns.rrset.RRset | None:
    """Return the name servers of a zone nearer to the name, if that is what was answered."""
    if answer.flags & dns.flags.AA or answer.answer or answer.rcode() != dns.rcode.NOERROR:
        return None
    nearer = (
        rrset
        for rrset in answer.authority
        if rrset.rdtype == dns.rdatatype.NS
        and rrset.name.is_subdomain(zone)
        and rrset.name != zone
        and name.is_subdomain(rrset.name)
    )
    return next(nearer, None)


def _alias(answer: dns.message.Message) -> dns.name.Name | None:
    """Return where the answer's aliases lead, if it has any."""
    aliased = any(rrset.rdtype == dns.rdatatype.CNAME for rrset in answer.answer)
    if not aliased or not isinstance(answer, dns.message.QueryMessage):
        return None
    return answer.resolve_chaining().canonical_name


def _glue(
    answer: dns.message.Message, names: Sequence[dns.name.Name], family: dns.rdatatype.RdataType
) -> tuple[set[str], int]:
    """Return the addresses that came along, and the shortest of their TTLs in seconds."""
    rrsets = [
        rrset for rrset in answer.additional if rrset.rdtype == family and rrset.name in names
    ]
    addresses = {rdata.to_text() for rrset in rrsets for rdata in rrset}
    return addresses, min((rrset.ttl for rrset in rrsets), default=0)

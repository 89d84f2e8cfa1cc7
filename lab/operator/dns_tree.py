"""The tree of zones, walked down from the root: who delegates a zone, how, and whom to believe.

No resolver is asked, so nothing found here comes out of a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DS
import dns.rrset

from lab.operator import dns_root
from lab.operator.dns import Dns, DnsCheckError, DnsError, Question, answered, signatures
from lab.parallel import side_by_side

_MOST_CUTS = 16


@dataclass(frozen=True, kw_only=True)
class Delegation:
    """What the parent of a zone says of it.

    Attributes:
        nameservers: names of the zone's servers, absolute.
        glue: those of them that lie in the zone -> addresses, sorted.
        ttl: longest time in seconds that a cache may keep any of that.
        ds: DS records in presentation format, upper-case digests.
        ds_ttl: their time to live in seconds; 0 without any.
        said_by: addresses of the parent's servers that were asked; all said the same.
    """

    nameservers: frozenset[str]
    glue: Mapping[str, tuple[str, ...]]
    ttl: int
    ds: frozenset[str] = frozenset()
    ds_ttl: int = 0
    said_by: tuple[str, ...] = field(default=(), compare=False)


class Tree:
    """Walks down from the root.

    Args:
        dns: asks the servers on the way.
        roots: addresses of the root's servers.
        anchors: DS of the root's keys, in presentation format.
    """

    def __init__(
        self,
        *,
        dns: Dns,
        roots: Sequence[str] = dns_root.ROOTS,
        anchors: Sequence[str] = dns_root.ANCHORS,
    ) -> None:
        self._dns = dns
        self._roots = tuple(roots)
        self._anchors = tuple(anchors)

    def delegation(self, zone: str) -> Delegation:
        """Return what the servers of the parent say of *zone*: all that can be reached.

        Raises:
            DnsError: none could be asked, or nobody delegates the zone.
            DnsCheckError: they do not agree, as happens soon after a change.
        """
        above, _ = self._walk(dns.name.from_text(zone))
        answers = side_by_side(lambda server: self._heard(server, zone), above)
        said = {server: each for server, each in zip(above, answers, strict=True) if each}
        if not said:
            raise DnsError("none of its parent's servers answers", where=zone)
        (first, heard), *others = said.items()
        for server, other in others:
            if other != heard:
                raise DnsCheckError(
                    f"the parent's servers {first} and {server} do not say the same yet",
                    where=zone,
                )
        return replace(heard, said_by=tuple(said))

    def servers(self, zone: str) -> tuple[str, ...]:
        """Return the addresses of the servers that *zone* is delegated to.

        Raises:
            DnsError: no server on the way could be asked.
        """
        return self._walk(dns.name.from_text(zone))[1]()

    def parent(self, zone: str) -> str:
        """Return the name of the zone that delegates *zone*, absolute.

        Raises:
            DnsError: no server could be asked.
        """
        name = dns.name.from_text(zone)
        servers, _ = self._walk(name)
        reply = self._any(servers, name.parent().to_text(), "SOA")
        for section in (reply.answer, reply.authority):
            for rrset in section:
                if rrset.rdtype == dns.rdatatype.SOA:
                    return rrset.name.to_text()
        raise DnsError("nobody says which zone delegates it", where=zone)

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses of *name*, IPv4 first, as its own zone has them."""
        _, servers = self._walk(dns.name.from_text(name))
        replies = self._any_all(servers(), [Question(name=name, type=t) for t in ("A", "AAAA")])
        found = (answered(*each) for each in zip(replies, (name, name), ("A", "AAAA"), strict=True))
        return tuple(rdata.to_text() for rrset in found if rrset is not None for rdata in rrset)

    def keys(self, zone: str) -> dns.rrset.RRset:
        """Return the DNSKEY records of *zone*, believed because of a chain from the anchor.

        Raises:
            DnsError: a server could not be asked.
            DnsCheckError: the chain is broken, and where.
        """
        name = dns.name.from_text(zone)
        above, own = self._walk(name)
        reply = self._any(own(), zone, "DNSKEY", dnssec=True)
        keys = answered(reply, zone, "DNSKEY")
        if keys is None:
            raise DnsCheckError("it has no keys: it is not signed", where=zone)
        if name == dns.name.root:
            trusted = {_ds(each) for each in self._anchors}
        else:
            trusted = self._trusted(zone, above)
        vouched = [key for key in keys if _vouched(name, key, trusted)]
        if not vouched:
            raise DnsCheckError("none of its keys is one that its parent vouches for", where=zone)
        believed = dns.rrset.from_rdata_list(name, keys.ttl, vouched)
        check_signature(zone, keys, signatures(reply, zone, "DNSKEY"), believed)
        return keys

    def _trusted(self, zone: str, above: Sequence[str]) -> set[dns.rdtypes.ANY.DS.DS]:
        reply = self._any(above, zone, "DS", dnssec=True)
        records, signed = answered(reply, zone, "DS"), signatures(reply, zone, "DS")
        if records is None or signed is None:
            raise DnsCheckError("its parent publishes no signed DS", where=zone)
        check_signature(zone, records, signed, self.keys(signed[0].signer.to_text()))
        return set(records)

    def _heard(self, server: str, zone: str) -> Delegation | None:
        """Return what one server of the parent says; None when it cannot be asked."""
        questions = [Question(name=zone, type="NS"), Question(name=zone, type="DS")]
        try:
            referral, reply = self._dns.ask(server, questions)
        except DnsError:
            return None
        cut = _cut(referral, dns.name.from_text(zone))
        if cut is None or cut.name != dns.name.from_text(zone):
            raise DnsError("its parent does not delegate it", where=zone)
        glue = {
            (rrset.name.to_text().lower(), rdata.to_text()): rrset.ttl
            for rrset in referral.additional
            if rrset.rdtype in {dns.rdatatype.A, dns.rdatatype.AAAA}
            and rrset.name.is_subdomain(cut.name)
            for rdata in rrset
        }
        ds = answered(reply, zone, "DS")
        return Delegation(
            nameservers=frozenset(rdata.to_text().lower() for rdata in cut),
            glue={
                owner: tuple(sorted(address for name, address in glue if name == owner))
                for owner, _ in sorted(glue)
            },
            ttl=max([cut.ttl, *glue.values()]),
            ds=frozenset(presented(rdata) for rdata in ds or ()),
            ds_ttl=ds.ttl if ds else 0,
        )

    def _walk(self, zone: dns.name.Name) -> tuple[tuple[str, ...], Callable[[], tuple[str, ...]]]:
        """Return the addresses of the servers that delegate *zone*, and how to find its own.

        Its own are not looked for before somebody wants them: they may be down, and what the
        parent says must be known all the same. A name that is not a zone itself is looked for in
        the zone that it lies in.
        """
        above = servers = self._roots
        for _ in range(_MOST_CUTS):
            reply = self._any(servers, zone.to_text(), "NS")
            cut = _cut(reply, zone)
            if cut is None:
                return above, partial(tuple, servers)
            if cut.name == zone:
                return servers, partial(self._of, cut, reply)
            above, servers = servers, self._of(cut, reply)
        raise DnsError("delegated in a circle", where=zone.to_text())

    def _of(self, cut: dns.rrset.RRset, reply: dns.message.Message) -> tuple[str, ...]:
        """Return the addresses of the servers in a referral."""
        names = {rdata.target for rdata in cut}
        given = [
            rdata.to_text()
            for rrset in reply.additional
            if rrset.name in names and rrset.rdtype in {dns.rdatatype.A, dns.rdatatype.AAAA}
            for rdata in rrset
        ]
        # Without glue the servers lie in another zone, found the same way.
        return tuple(given) or tuple(
            address for name in sorted(names) for address in self.addresses(name.to_text())
        )

    def _any(
        self, servers: Sequence[str], name: str, rdtype: str, *, dnssec: bool = False
    ) -> dns.message.Message:
        return self._any_all(servers, [Question(name=name, type=rdtype, dnssec=dnssec)])[0]

    def _any_all(
        self, servers: Sequence[str], questions: Sequence[Question]
    ) -> list[dns.message.Message]:
        """Ask the first of *servers* that answers, as a resolver would."""
        failed = DnsError("no server is known", where=questions[0].name)
        for server in servers:
            try:
                return self._dns.ask(server, questions)
            except DnsError as error:
                failed = error
        raise failed


def presented(rdata: dns.rdata.Rdata) -> str:
    """Return a DS record in the one way that makes two of them comparable."""
    return rdata.to_text(chunksize=0).upper()


def check_signature(
    zone: str,
    records: dns.rrset.RRset,
    signed: dns.rrset.RRset | None,
    keys: dns.rrset.RRset,
) -> None:
    """Check that *records* are signed by one of *keys*, and the signature is valid today.

    Raises:
        DnsCheckError: they are not.
    """
    what = f"{records.name} {dns.rdatatype.to_text(records.rdtype)}"
    if signed is None:
        raise DnsCheckError(f"{what} has no signature", where=zone)
    try:
        dns.dnssec.validate(records, signed, {keys.name: keys})
    except dns.exception.DNSException as error:
        raise DnsCheckError(f"{what} has no valid signature: {error}", where=zone) from error


def _cut(reply: dns.message.Message, zone: dns.name.Name) -> dns.rrset.RRset | None:
    """Return the NS records of a referral towards *zone*; None when *reply* is an answer."""
    if reply.answer:
        return None
    for rrset in reply.authority:
        if rrset.rdtype == dns.rdatatype.NS and zone.is_subdomain(rrset.name):
            return rrset
    return None


def _ds(text: str) -> dns.rdtypes.ANY.DS.DS:
    made = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DS, text)
    assert isinstance(made, dns.rdtypes.ANY.DS.DS)  # noqa: S101 - for mypy
    return made


def _vouched(
    name: dns.name.Name, key: dns.rdata.Rdata, trusted: set[dns.rdtypes.ANY.DS.DS]
) -> bool:
    """Return whether a DS among *trusted* stands for *key* (RFC 4034, section 5)."""
    return any(
        dns.dnssec.make_ds(name, key, ds.digest_type, validating=True) == ds for ds in trusted
    )

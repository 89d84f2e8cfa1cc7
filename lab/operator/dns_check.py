"""Whether a name server serves a zone: every record asked for, every signature checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from lab.operator import lua_records
from lab.operator.dns import Dns, DnsCheckError, Question, signatures
from lab.operator.dns_tree import check_signature
from lab.operator.zones import APEX, RecordSet, Zone, differ, record_set


def problems(
    dns: Dns, server: str, zone: Zone, *, keys: dns.rrset.RRset | None = None
) -> tuple[str, ...]:
    """Return what *server* says otherwise than *zone* has it; nothing when all is well.

    Args:
        dns: asks.
        server: address of the server.
        zone: what it should serve.
        keys: the zone's keys; every answer must then be signed by one of them, today.

    Raises:
        DnsError: it could not be asked.
    """
    wanted = [part for each in zone for part in _answers(each)]
    questions = [
        Question(name=zone.absolute(each.name), type=each.type, dnssec=keys is not None)
        for each in wanted
    ]
    replies = dns.ask(server, questions)
    return tuple(
        f"{server}: {problem}"
        for each, reply in zip(wanted, replies, strict=True)
        for problem in _problems(zone, each, reply, keys)
    )


@dataclass(frozen=True, kw_only=True)
class _Computed(RecordSet):
    """The answers of one type that a server computes: any part of the values, but not nothing."""


def _answers(records: RecordSet) -> Iterable[RecordSet]:
    """Return what is asked for: the records, or the answers that are computed from them."""
    if records.type != lua_records.TYPE:
        return [records]
    return [
        _Computed(name=records.name, ttl=records.ttl, type=rdtype, values=listed)
        for rdtype, listed in lua_records.answers(records.values).items()
    ]


def _problems(
    zone: Zone, wanted: RecordSet, reply: dns.message.Message, keys: dns.rrset.RRset | None
) -> Iterator[str]:
    found = _found(zone, wanted, reply)
    if found is None:
        yield f"{wanted}: not served"
        return
    values = [rdata.to_text() for rdata in found]
    said = record_set(
        zone.origin, name=wanted.name, ttl=found.ttl, rdtype=wanted.type, values=values
    )
    if isinstance(wanted, _Computed) and set(values) <= set(wanted.values):
        said = replace(said, values=wanted.values)
    if (difference := differ(wanted, said)) is not None:
        yield str(difference)
    if keys is not None and _is_signed(zone, wanted):
        try:
            owner = zone.absolute(wanted.name)
            check_signature(zone.origin, found, signatures(reply, owner, wanted.type), keys)
        except DnsCheckError as error:
            yield error.what


def _found(zone: Zone, wanted: RecordSet, reply: dns.message.Message) -> dns.rrset.RRset | None:
    """Return the records in *reply*: the answer, or what a referral to a zone below says."""
    owner = dns.name.from_text(zone.absolute(wanted.name))
    rdtype = dns.rdatatype.from_text(wanted.type)
    sections = [reply.answer]
    if not _is_signed(zone, wanted):
        sections += [reply.authority, reply.additional]
    for section in sections:
        if found := reply.get_rrset(section, owner, dns.rdataclass.IN, rdtype):
            return found
    return None


def _is_signed(zone: Zone, records: RecordSet) -> bool:
    """Return whether *zone* speaks for *records* itself (RFC 4035, section 2.2).

    It does not for the name servers of a zone below, and for their addresses.
    """
    owner = dns.name.from_text(zone.absolute(records.name))
    for each in zone.records:
        if each.type != "NS" or each.name == APEX:
            continue
        cut = dns.name.from_text(zone.absolute(each.name))
        if owner.is_subdomain(cut) and not (owner == cut and records.type == "DS"):
            return False
    return True

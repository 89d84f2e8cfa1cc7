#!/usr/bin/python3
"""Managed by Puppet. Looks at the zones as a resolver does, and writes metrics.

    fleet-look CONFIG OUTPUT

Names are looked up by this host's resolver, which must say that it has verified the answer. Then
every server is asked for itself, on each of its addresses: for the serial number and the
signature of every zone, and for every address in it. CONFIG (JSON) has `lookups` (names),
`servers` (host -> addresses) and `zones` (zone -> `signed`, `names`, `lua`).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

TIMEOUT_SECONDS = 2.0
FAMILIES = ("A", "AAAA")
# What Debian gives for a question that got no answer that can be used.
TROUBLE = (dns.exception.DNSException, OSError)


@dataclass(kw_only=True)
class Metrics:
    """Metrics in Prometheus' text format, each described once.

    Attributes:
        lines: what is written.
    """

    lines: list[str] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def add(self, name: str, meaning: str, value: float, /, **labels: str) -> None:
        """Add one sample of a gauge."""
        if name not in self._known:
            self._known.add(name)
            self.lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        shown = ",".join(f'{key}="{text}"' for key, text in labels.items())
        self.lines.append(f"{name}{{{shown}}} {value}")


def ask(address: str, name: dns.name.Name | str, rdtype: str) -> dns.message.Message:
    """Ask one server, with DNSSEC's records; TCP where the answer is too long for UDP.

    Raises:
        DNSException: no answer, or none that says yes.
        OSError: the server cannot be reached.
    """
    query = dns.message.make_query(name, rdtype, want_dnssec=True)
    query.flags &= ~dns.flags.RD
    answer, _ = dns.query.udp_with_fallback(query, address, timeout=TIMEOUT_SECONDS)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise dns.exception.DNSException(dns.rcode.to_text(answer.rcode()))
    return answer


def addresses(answer: dns.message.Message, rdtype: str) -> frozenset[str]:
    """Return the addresses in an answer, wherever aliases led to."""
    wanted = dns.rdatatype.from_text(rdtype)
    return frozenset(
        item.to_text() for rrset in answer.answer if rrset.rdtype == wanted for item in rrset
    )


def full(label: str, zone: str) -> dns.name.Name:
    """Return the full name of a label below a zone; `@` is the zone itself."""
    origin = dns.name.from_text(zone)
    return origin if label == "@" else dns.name.from_text(label, origin)


def look_up(metrics: Metrics, names: Sequence[str]) -> None:
    """Look names up as users do, by this host's resolver."""
    resolver = dns.resolver.Resolver()
    resolver.lifetime = 2 * TIMEOUT_SECONDS
    resolver.use_edns(0, dns.flags.DO, 1232)
    resolver.flags = dns.flags.RD | dns.flags.AD
    for name in names:
        start = time.monotonic()
        found, verified = 0, 0
        try:
            answer = resolver.resolve(f"{name}.", "A")
            found = 1
            verified = int(bool(answer.response.flags & dns.flags.AD))
        except TROUBLE as error:
            print(f"{name}: {error}", file=sys.stderr)
        metrics.add("fleet_lookup_ok", "Whether a name is found by a resolver.", found, name=name)
        metrics.add(
            "fleet_lookup_verified", "Whether the resolver has verified it.", verified, name=name
        )
        metrics.add(
            "fleet_lookup_seconds", "How long a look-up took.", time.monotonic() - start, name=name
        )


def differing(seen: Mapping[str, frozenset[str]]) -> bool:
    """Return whether servers say different things."""
    return len(set(seen.values())) > 1


def nothing(said: Sequence[Mapping[str, frozenset[str]]]) -> bool:
    """Return whether a server denies that a name has addresses; a silent one denies nothing."""
    return all(said) and not any(any(each.values()) for each in said)


def compare(metrics: Metrics, zone: str, of: Mapping[str, Any], servers: Mapping[str, str]) -> None:
    """Compare what every server says of a zone.

    Args:
        metrics: where it is told.
        zone: which.
        of: `signed`, `names` and `lua`.
        servers: address -> host.
    """
    serials = {}
    for address, host in servers.items():
        try:
            answer = ask(address, f"{zone}.", "SOA")
            rrset = answer.find_rrset(answer.answer, dns.name.from_text(zone), "IN", "SOA")
        except (*TROUBLE, KeyError) as error:
            print(f"{zone} on {host} ({address}): {error}", file=sys.stderr)
            continue
        serials[address] = rrset[0].serial
        metrics.add(
            "fleet_zone_serial",
            "Serial number of a zone.",
            rrset[0].serial,
            zone=zone,
            instance=host,
            address=address,
        )
        if of["signed"]:
            signatures = [
                item
                for each in answer.answer
                if each.rdtype == dns.rdatatype.RRSIG
                for item in each
            ]
            until = min((item.expiration for item in signatures), default=0)
            metrics.add(
                "fleet_zone_signature_until_seconds",
                "Until when its signatures hold, Unix time; 0 for none.",
                until,
                zone=zone,
                instance=host,
                address=address,
            )
    metrics.add(
        "fleet_zone_serials_differ",
        "Whether servers have different versions of a zone.",
        int(len(set(serials.values())) > 1),
        zone=zone,
    )
    differ, empty = 0, 0
    silent: set[str] = set()
    for label, rdtype in questions(of["names"]):
        seen = dict(_answers(full(label, zone), rdtype, serials, silent))
        if differing(seen):
            differ += 1
            said = "; ".join(f"{at}: {sorted(it)}" for at, it in seen.items())
            print(f"{full(label, zone)} {rdtype} differs: {said}", file=sys.stderr)
    for label in of["lua"]:
        for address in serials:
            found = [
                dict(_answers(full(label, zone), rdtype, [address], silent)) for rdtype in FAMILIES
            ]
            if nothing(found):
                empty += 1
                print(f"{full(label, zone)} has no address on {address}", file=sys.stderr)
    metrics.add(
        "fleet_zone_answers_differ",
        "Names whose addresses are not the same everywhere.",
        differ,
        zone=zone,
    )
    metrics.add(
        "fleet_zone_lua_empty",
        "Names that are worked out (LUA), and have no address.",
        empty,
        zone=zone,
    )


def questions(labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what is asked: every name, in both families."""
    for label in labels:
        for rdtype in FAMILIES:
            yield label, rdtype


def _answers(
    name: dns.name.Name, rdtype: str, at: Iterable[str], silent: set[str]
) -> Iterator[tuple[str, frozenset[str]]]:
    """Ask servers; who does not answer is noted as *silent*, and not waited for again."""
    for address in at:
        if address in silent:
            continue
        try:
            yield address, addresses(ask(address, name, rdtype), rdtype)
        except TROUBLE as error:
            print(f"{name} {rdtype} at {address}: {error}", file=sys.stderr)
            silent.add(address)


def main(argv: Sequence[str]) -> None:
    """Look, and write what was seen, all at once."""
    config = json.loads(Path(argv[1]).read_text())
    metrics = Metrics()
    look_up(metrics, config["lookups"])
    servers = {each: host for host, found in config["servers"].items() for each in found}
    for zone, of in config["zones"].items():
        compare(metrics, zone, of, servers)
    output = Path(argv[2])
    aside = output.with_suffix(".new")
    aside.write_text("\n".join([*metrics.lines, ""]))
    aside.chmod(0o644)
    aside.replace(output)


if __name__ == "__main__":
    main(sys.argv)

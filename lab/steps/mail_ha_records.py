"""The records of mail served by two, as each phase wants them: pure functions of the zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.operator import lua_records
from lab.operator.zones import RecordSet, Zone, record_set
from lab.steps.mail_records import (
    Records,
    allowing,
    by_zone,
    is_spf,
    made,
    relative,
    values_of,
    zone_of,
)
from lab.steps.web_ha_records import LONGEST, joined, together

PREFERENCE: Final = 20
"""Of the second server (MX, RFC 5321 section 5.1); the first has 10."""


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Names and addresses of the two.

    Attributes:
        domain: the fleet's own.
        domains: all that mail is taken for.
        first: addresses of the first server, IPv4 and IPv6.
        second: of the second.
        label: what the second is called below the domain.
        port: of both, where a name server asks whether people may be led there.
    """

    domain: str
    domains: tuple[str, ...]
    first: tuple[str, str]
    second: tuple[str, str]
    label: str
    port: int

    @property
    def name(self) -> str:
        """What people's programs, and other servers, know the mail server by."""
        return f"mail.{self.domain}"

    @property
    def second_name(self) -> str:
        """What other servers know the second one by."""
        return f"{self.label}.{self.domain}"

    @property
    def policy_more(self) -> str:
        """What the policy says of it (RFC 8461, section 3.2)."""
        return f"\nmx: {self.second_name}"


def announced(naming: Naming, zones: Mapping[str, Zone], *, policy: str) -> Records:
    """Return what the world has to know before the second server is led to.

    Where it is, that it may send (SPF), and that there is another policy (MTA-STS): the old one
    does not name it.

    Args:
        naming: names and addresses.
        zones: as they were before the step.
        policy: what names the policy in force.
    """
    found: list[tuple[str, RecordSet]] = []
    for domain in naming.domains:
        zone = zone_of(domain, zones)
        if zone is None:
            continue
        owner = relative(domain, zone)
        texts = values_of(zone, owner, "TXT")
        if any(is_spf(text) for text in texts):
            may = tuple(allowing(text, naming.second) for text in texts)
            found.append((zone.origin, made(zone, owner, "TXT", may)))
    if zone := zone_of(naming.second_name, zones):
        owner = relative(naming.second_name, zone)
        found += [
            (zone.origin, made(zone, owner, "AAAA" if ":" in address else "A", [address]))
            for address in naming.second
        ]
    if zone := zone_of(naming.domain, zones):
        owner = relative(f"_mta-sts.{naming.domain}", zone)
        if values_of(zone, owner, "TXT"):
            value = f'"v=STSv1; id={policy}"'
            found.append((zone.origin, made(zone, owner, "TXT", [value])))
    return by_zone(found)


def sealed(naming: Naming, zones: Mapping[str, Zone], *, key: str) -> Records:
    """Return the keys that other servers may be shown (TLSA 3 1 1, RFC 7672).

    The name of both may be answered by either; the second one's own by that alone.

    Args:
        naming: names and addresses.
        zones: as they were before the step.
        key: the second one's.
    """
    found: list[tuple[str, RecordSet]] = []
    mine = f"3 1 1 {key}"
    for name in (naming.name, naming.second_name):
        if zone := zone_of(name, zones):
            owner = f"_25._tcp.{relative(name, zone)}"
            known = values_of(zone, owner, "TLSA") if name == naming.name else ()
            if known or name != naming.name:
                values = sorted({*known, mine})
                found.append((zone.origin, made(zone, owner, "TLSA", values)))
    return by_zone(found)


def without_mx(naming: Naming, zones: Mapping[str, Zone]) -> Sequence[str]:
    """Return the domains that mail is taken for without anybody being led to the first server."""
    return [domain for domain in naming.domains if not _led(naming, domain, zones)]


def _led(naming: Naming, domain: str, zones: Mapping[str, Zone]) -> tuple[str, ...]:
    """Return the MX records of a domain that name the first server."""
    zone = zone_of(domain, zones)
    if zone is None:
        return ()
    found = values_of(zone, relative(domain, zone), "MX")
    return tuple(value for value in found if value.split()[1].rstrip(".").lower() == naming.name)


def exchanged(naming: Naming, zones: Mapping[str, Zone]) -> Records:
    """Return the MX records with the second server after the first."""
    found: list[tuple[str, RecordSet]] = []
    for domain in naming.domains:
        zone = zone_of(domain, zones)
        if zone is None or not _led(naming, domain, zones):
            continue
        owner = relative(domain, zone)
        values = sorted({*values_of(zone, owner, "MX"), f"{PREFERENCE} {naming.second_name}."})
        found.append((zone.origin, made(zone, owner, "MX", values)))
    return by_zone(found)


def led(naming: Naming, zones: Mapping[str, Zone]) -> Records:
    """Return the name of the mail server, answered by its health, and that of its policy.

    The first server while it is well, the second one else: two that are written to at once would
    have to be merged all day, and one address is what every program can use.
    """
    policy = together(
        zones, names=[f"mta-sts.{naming.domain}"], first=naming.first, second=naming.second
    )
    zone = zone_of(naming.name, zones)
    if zone is None:
        return policy
    owner = relative(naming.name, zone)
    ttl = min([zone.soa.ttl, LONGEST, *(r.ttl for r in zone.records if r.name == owner)])
    pairs = zip(("A", "AAAA"), zip(naming.first, naming.second, strict=True), strict=True)
    url = f"http://{naming.name}:{naming.port}/"
    values = [
        f"{rdtype} \"ifurlup('{url}',{{{{'{first}'}},{{'{second}'}}}},"
        "{timeout=1,backupSelector='all'})\""
        for rdtype, (first, second) in pairs
    ]
    gone = (RecordSet(name=owner, ttl=ttl, type=each, values=()) for each in ("A", "AAAA"))
    computed = record_set(zone.origin, name=owner, ttl=ttl, rdtype=lua_records.TYPE, values=values)
    return joined({zone.origin: (*gone, computed)}, policy)

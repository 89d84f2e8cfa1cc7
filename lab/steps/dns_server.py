"""One of the fleet's own name servers: what it is to the zones, and what users get from it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import dns.rrset

from lab.fleet import Host
from lab.operator import Operator
from lab.operator.dns import DnsError, answered
from lab.operator.dns_check import problems
from lab.operator.ssh import SshError
from lab.operator.zones import Zone

HERE: Final = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a server is to a zone.

    Attributes:
        kind: primary or secondary, as PowerDNS says; empty when it is nothing.
        zone: what it serves to itself; None when it serves nothing.
        signed: whether it signs the zone.
        key_ttl: for how many seconds a cache may keep the zone's keys; 0 unless *signed*.
        unsigned: what is wrong with the signatures that users get; nothing unless *signed*.
    """

    kind: str = ""
    zone: Zone | None = None
    signed: bool = False
    key_ttl: int = 0
    unsigned: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NameServer:
    """A host of the fleet that serves zones.

    Attributes:
        op: the operator.
        host: the host.
    """

    op: Operator
    host: Host

    @property
    def name(self) -> str:
        """What the world calls it, absolute."""
        return f"ns-{self.host.name}.{self.op.fleet.domain}."

    @property
    def addresses(self) -> tuple[str, str]:
        """Its addresses, IPv4 and IPv6."""
        address = self.op.site.address(self.host)
        return (str(address.v4), str(address.v6))

    @property
    def private(self) -> str:
        """Its address for the other hosts of the fleet."""
        return str(self.host.wireguard)

    def dnskey(self, zone: str) -> dns.rrset.RRset:
        """Return the DNSKEY records that a signed *zone* must have."""
        key = self.op.secrets.zone_key(zone)
        return dns.rrset.from_text(key.zone, 0, "IN", "DNSKEY", key.dnskey)

    def served(self, names: Collection[str]) -> dict[str, Served] | None:
        """Return what it is to each of the zones; None when it cannot be asked."""
        script = """
            command -v pdnsutil >/dev/null || exit 0
            for kind in primary secondary; do
                pdnsutil list-all-zones $kind --verbose | sed "s/^/$kind /"
            done
        """
        try:
            said = self.op.ssh.run(self.host.name, script).stdout
            kinds = re.findall(r"^(primary|secondary) (\S+)$", said, re.MULTILINE)
            return {name: self._served(name, kind) for kind, name in kinds if name in names}
        except SshError:
            return None

    def unsigned(self, zone: Zone) -> tuple[str, ...]:
        """Return what is wrong with the signatures of *zone* as users see them, everywhere."""
        keys = self.dnskey(zone.origin)
        wrong: list[str] = []
        for address in self.addresses:
            try:
                reply = self.op.dns.query(address, zone.origin, "DNSKEY")
                found = answered(reply, zone.origin, "DNSKEY")
                if found is None or set(found) != set(keys):
                    wrong.append(f"{address}: {zone.origin} has other keys than it should")
                wrong += problems(self.op.dns, address, zone, keys=keys)
            except DnsError as error:
                wrong.append(str(error))
        return tuple(wrong)

    def _served(self, name: str, kind: str) -> Served:
        ask = self.op.dns
        try:
            zone = ask.axfr(HERE, name, via=self.host.name)
            reply = ask.query(HERE, name, "DNSKEY", via=self.host.name)
        except DnsError:
            return Served(kind=kind)
        keys = answered(reply, name, "DNSKEY")
        if keys is None:
            return Served(kind=kind, zone=zone)
        return Served(
            kind=kind, zone=zone, signed=True, key_ttl=keys.ttl, unsigned=self.unsigned(zone)
        )


def glue(servers: Mapping[str, tuple[str, ...]], zone: str) -> dict[str, tuple[str, ...]]:
    """Return which addresses the parent of *zone* must have of its servers."""
    return {name: each for name, each in servers.items() if name.endswith(f".{zone}.")}

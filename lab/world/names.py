"""Who is who on the lab's internet: the world's machines, the zones, their reverse trees."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Final

import dns.name
import dns.reversename

from lab.addresses import Address, world_address
from lab.fleet import Fleet, Site

NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "router": 1,
        "resolver": 10,
        "outside": 20,
        "mailer": 25,
        "mirror": 40,
        "registry": 53,
    }
)
"""The world's machines, and the number each has in :func:`lab.addresses.world_address`."""

ALIASES: Final[Mapping[str, str]] = MappingProxyType({"ca": "mailer"})
"""Further names, and whose they are: each machine takes half a second of a lab's start."""

ROOT: Final = "."
REVERSE_V4: Final = "in-addr.arpa."
REVERSE_V6: Final = "ip6.arpa."
"""Where all names, and the two reverse trees, begin."""

LEGACY_NAME_SERVERS: Final = ("ns1", "ns2")
"""Below the fleet's domain; today both are the one old server."""


def machine_address(site: Site, machine: str) -> Address:
    """Return where a machine of the world is found in a lab."""
    return world_address(NUMBERS[machine], block=site.block)


def machine_name(fleet: Fleet, machine: str) -> str:
    """Return the full name of a machine of the world, or of an alias, absolute."""
    return f"{machine}.net.{top_level(fleet)}"


def top_level(fleet: Fleet) -> str:
    """Return the zone that the fleet's domain is delegated from, absolute."""
    return dns.name.from_text(fleet.domain).parent().to_text()


def foreign_domain(fleet: Fleet) -> str:
    """Return where the people live who write to the fleet's users and read them, absolute."""
    return f"fjordpost.{top_level(fleet)}"


def registry_zones(fleet: Fleet) -> tuple[str, ...]:
    """Return the zones that the registry serves and signs, the root first."""
    return (ROOT, top_level(fleet), REVERSE_V4, REVERSE_V6)


def reverse_name(address: IPv4Address | IPv6Address) -> str:
    """Return the name that the PTR record of *address* has, absolute."""
    return dns.reversename.from_address(str(address)).to_text()


def reverse_zone(address: IPv4Address | IPv6Address) -> str:
    """Return the zone that a provider delegates to a customer: its /24 (IPv4) or /48 (IPv6)."""
    labels_of_host = 1 if isinstance(address, IPv4Address) else 20
    labels = dns.reversename.from_address(str(address)).labels
    return dns.name.Name(labels[labels_of_host:]).to_text()


def fleet_zones(fleet: Fleet, site: Site) -> tuple[str, str, str]:
    """Return what the old server serves: the domain and its two reverse zones, absolute."""
    address = site.address(fleet.legacy)
    return (f"{fleet.domain}.", reverse_zone(address.v4), reverse_zone(address.v6))


def legacy_name_servers(fleet: Fleet) -> tuple[str, ...]:
    """Return the names that the old server is known by, absolute."""
    return tuple(f"{label}.{fleet.domain}." for label in LEGACY_NAME_SERVERS)


def name_servers(fleet: Fleet) -> tuple[str, ...]:
    """Return every name server the fleet may announce, absolute.

    These are the old ones, and ``ns-HOST`` for each host.
    """
    new = (f"ns-{host}.{fleet.domain}." for host in fleet.hosts)
    return (*legacy_name_servers(fleet), *new)

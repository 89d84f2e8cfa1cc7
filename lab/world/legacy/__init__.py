"""Legacy Bergen: today's production, a server of names, pages and mail made by hand over the years.

It is what the migration starts from; Puppet knows nothing of it. ``image/`` has the packages, the
history of the machine and what gathered on it; everything that names an address is here, and what
belongs to one lab alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lab.fleet import Fleet, Site
from lab.world.authority import Authority
from lab.world.names import fleet_zones, machine_name, reverse_name
from lab.world.render import render

CERTIFIED: Final = (
    *("www", "", "web", "static", "mail", "imap", "smtp", "bergen"),
    *("www.nordlys2", "foreningen.kunder"),
)
"""Below the fleet's domain: what the old server's one certificate is for, as far as Ingrid knew."""


def legacy_certificate(*, fleet: Fleet, authority: Authority) -> Mapping[str, str]:
    """Return the old server's certificate and key: absolute path -> content."""
    names = [f"{label}.{fleet.domain}".removeprefix(".") for label in CERTIFIED]
    made = authority.issue(names)
    directory = "/etc/ssl/nordlys"
    return {f"{directory}/bergen.pem": made.chain, f"{directory}/bergen.key": made.key}


def legacy_files(*, fleet: Fleet, site: Site) -> Mapping[str, str]:
    """Return what depends on the old server's addresses: absolute path -> content.

    Args:
        fleet: the fleet, with the times to live in a lab.
        site: the lab, with the addresses in its block.
    """
    address = site.address(fleet.legacy)
    zone, reverse_v4, reverse_v6 = (name.rstrip(".") for name in fleet_zones(fleet, site))
    net, _, host = str(address.v4).rpartition(".")
    ttl = fleet.lab_ttl.zone
    values = {
        "zone": zone,
        "reverse_v4": reverse_v4,
        "reverse_v6": reverse_v6,
        "network_v4": net,
        "v4": address.v4,
        "v6": address.v6,
        "net": net,
        "host": host,
        "pointer_v6": reverse_name(address.v6).removesuffix(f".{reverse_v6}."),
        "next_pointer_v6": reverse_name(address.v6 + 1),
        "elsewhere": machine_name(fleet, "outside"),
        "ttl": ttl,
        # Different times to live, as grown zones have them; none is longer than the fleet says.
        "half": max(ttl // 2, 1),
        "quarter": max(ttl // 4, 1),
    }
    zones = "/etc/bind/zones"
    return {
        path: render(f"legacy/{template}", **values)
        for path, template in {
            "/etc/bind/named.conf.local": "named.conf.local.j2",
            f"{zones}/db.{zone}": "forward.zone.j2",
            f"{zones}/db.{net}": "reverse-v4.zone.j2",
            f"{zones}/db.ipv6": "reverse-v6.zone.j2",
        }.items()
    }

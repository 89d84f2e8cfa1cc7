"""Legacy Bergen: today's production, a name server made by hand over the years.

It is what the migration starts from; Puppet knows nothing of it. ``image/`` has the packages and
the history of the machine, everything that names an address is here. Web and mail come as further
chapters of ``image/history/`` and further files of :func:`legacy_files`.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.fleet import Fleet, Site
from lab.world.names import fleet_zones, machine_name, reverse_name
from lab.world.render import render


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

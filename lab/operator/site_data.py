"""What Puppet is told about the fleet at one site: addresses, names, public keys.

The operator writes it to the control host as one YAML file, and Hiera reads it there
(``puppet/hiera.yaml``; the types are in ``puppet/site/fleet/types``). It holds no secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from lab.errors import CouldNotError
from lab.fleet import Fleet, Host, Site

FIRST_STEP: Final = "control"
"""The step that brings Puppet, and takes over every host that may have it at once."""

MESH_PREFIX: Final = 24
"""Length of the mesh's prefix, unless the hosts' addresses need a shorter one."""


class SiteDataError(CouldNotError):
    """The data of a site cannot be put together."""


@dataclass(frozen=True, kw_only=True)
class SiteKeys:
    """Public keys of one site.

    Attributes:
        wireguard: host name -> public key, as wg(8) prints it.
        operators: public SSH keys that root lets in on every host, lines of authorized_keys(5).
    """

    wireguard: Mapping[str, str]
    operators: Sequence[str]


def site_data(*, fleet: Fleet, site: Site, keys: SiteKeys) -> dict[str, object]:
    """Return the data of a site by Hiera key, made of what YAML can say.

    Every host is described; enrolled are those that Puppet takes over in the first step, and the
    stage of the migration overrides ``fleet::enrolled`` when another follows.

    Args:
        fleet: the description.
        site: where the fleet stands.
        keys: the public keys there.

    Raises:
        SiteDataError: a host has no key, or no operator has one.
    """
    if not keys.operators:
        raise SiteDataError(
            "no SSH key would be let in", where=site.name, remedy="Give an operator's public key"
        )
    return {
        "fleet::site": site.name,
        "fleet::domain": fleet.domain,
        "fleet::contact": fleet.contact,
        "fleet::mesh": str(mesh(host.wireguard for host in fleet.hosts.values())),
        "fleet::hosts": {
            host.name: _host(host, site=site, keys=keys) for host in fleet.hosts.values()
        },
        "fleet::enrolled": [
            host.name for host in fleet.hosts.values() if host.enrols == FIRST_STEP
        ],
        "profile::ssh::authorized_keys": list(keys.operators),
        "profile::monitoring::alerts_to": fleet.alerts,
        **({"profile::monitoring::watchdog_url": site.watchdog} if site.watchdog else {}),
    }


def mesh(addresses: Iterable[IPv4Address]) -> IPv4Network:
    """Return the smallest network, no smaller than a /24, that holds all addresses."""
    ordered = sorted(addresses)
    network = IPv4Network((ordered[0], MESH_PREFIX), strict=False)
    while ordered[-1] not in network:
        network = network.supernet()
    return network


def _host(host: Host, *, site: Site, keys: SiteKeys) -> dict[str, object]:
    if host.name not in keys.wireguard:
        raise SiteDataError("the host has no WireGuard key", where=f"{host.name} ({site.name})")
    address = site.address(host)
    return {
        "certname": site.certname(host),
        "role": host.role,
        "provider": host.provider,
        "v4": str(address.v4),
        "v6": str(address.v6),
        "wireguard": str(host.wireguard),
        "wireguard_public_key": keys.wireguard[host.name],
        "promotion_order": host.promotion_order,
    }

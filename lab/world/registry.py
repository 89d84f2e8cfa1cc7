"""The registry: a signed root, the top level and the reverse trees, on one name server.

It stands for the root servers, a registry of names and the registries of addresses at once.
Only delegations of the fleet change in it, and only by dynamic update (RFC 2136).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lab.addresses import Address
from lab.engine.base import File
from lab.fleet import Fleet, Site
from lab.world.names import (
    ALIASES,
    NUMBERS,
    REVERSE_V4,
    REVERSE_V6,
    ROOT,
    fleet_zones,
    foreign_domain,
    legacy_name_servers,
    machine_address,
    machine_name,
    name_servers,
    registry_zones,
    reverse_name,
    top_level,
)
from lab.world.render import render
from lab.world.secrets import REGISTRAR_KEY, WorldSecrets
from lab.zone_key import ZoneKey

DIRECTORY: Final = "/var/lib/bind"
SLOW_TTL: Final = 86400
"""Time to live of what never changes while a lab lives, in seconds."""


@dataclass(frozen=True, kw_only=True)
class RegistryZone:
    """One zone of the registry, as it is before anything has moved.

    Attributes:
        name: absolute.
        records: lines of its master file, besides its own SOA and NS.
        delegated: names in it whose NS and DS a registrar may change.
        glue: names in it whose A and AAAA a registrar may change.
    """

    name: str
    records: tuple[str, ...]
    delegated: tuple[str, ...] = ()
    glue: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Return where its master file is."""
        return f"{DIRECTORY}/db.{self.name.strip('.') or 'root'}"


def zones(fleet: Fleet, site: Site, keys: Mapping[str, ZoneKey]) -> tuple[RegistryZone, ...]:
    """Return what the registry serves.

    Args:
        fleet: the fleet; its old server has every delegation.
        site: the lab.
        keys: of the registry's zones, for the DS records in the root.
    """
    domain, reverse_v4, reverse_v6 = fleet_zones(fleet, site)
    return (
        RegistryZone(name=ROOT, records=tuple(_root(fleet, site, keys))),
        RegistryZone(
            name=top_level(fleet),
            records=(
                *_machines(fleet, site),
                *_foreign(fleet),
                *_delegation(fleet, domain),
                *_glue(fleet, site),
            ),
            delegated=(domain,),
            glue=name_servers(fleet),
        ),
        *(
            RegistryZone(
                name=tree,
                records=(*_pointers(fleet, site, tree), *_delegation(fleet, network)),
                delegated=(network,),
            )
            for tree, network in ((REVERSE_V4, reverse_v4), (REVERSE_V6, reverse_v6))
        ),
    )


def registry_files(fleet: Fleet, site: Site, secrets: WorldSecrets) -> Mapping[str, File]:
    """Return the files of the registry's machine."""
    served = zones(fleet, site, secrets.keys)
    config = render("registry/named.conf.j2", zones=served, registrar=REGISTRAR_KEY)
    tsig = render("registry/registrar.key.j2", name=REGISTRAR_KEY, secret=secrets.registrar)
    files = {
        "/etc/bind/named.conf": File(content=config),
        "/etc/bind/registrar.key": File(content=tsig, mode=0o600),
        "/etc/tmpfiles.d/registry.conf": File(content=render("registry/tmpfiles.conf.j2")),
    }
    for zone in served:
        master = render(
            "registry/zone.j2",
            zone=zone,
            server=machine_name(fleet, "registry"),
            ttl=fleet.lab_ttl.parent,
            slow_ttl=SLOW_TTL,
        )
        files[zone.path] = File(content=master)
        key = secrets.keys[zone.name]
        public = f"{key.zone} IN DNSKEY {key.dnskey}\n"
        private = render("registry/private.j2", key=key)
        files[f"{DIRECTORY}/{key.basename}.key"] = File(content=public)
        # Without it named takes the key for one of another policy, and makes its own.
        files[f"{DIRECTORY}/{key.basename}.state"] = File(content=render("registry/state.j2"))
        files[f"{DIRECTORY}/{key.basename}.private"] = File(content=private, mode=0o600)
    return files


def _addresses(name: str, address: Address, ttl: int = SLOW_TTL) -> Iterator[str]:
    yield f"{name} {ttl} IN A {address.v4}"
    yield f"{name} {ttl} IN AAAA {address.v6}"


def _root(fleet: Fleet, site: Site, keys: Mapping[str, ZoneKey]) -> Iterator[str]:
    server = machine_name(fleet, "registry")
    yield from _addresses(server, machine_address(site, "registry"))
    for child in registry_zones(fleet)[1:]:
        yield f"{child} IN NS {server}"
        yield f"{child} IN DS {keys[child].ds}"


def _machines(fleet: Fleet, site: Site) -> Iterator[str]:
    for machine in NUMBERS:
        yield from _addresses(machine_name(fleet, machine), machine_address(site, machine))
    for alias, machine in ALIASES.items():
        yield from _addresses(machine_name(fleet, alias), machine_address(site, machine))


def _foreign(fleet: Fleet) -> Iterator[str]:
    """The domain of the foreign mail server; it needs no zone of its own."""
    domain = foreign_domain(fleet)
    yield f"{domain} IN MX 10 {machine_name(fleet, 'mailer')}"
    yield f'{domain} IN TXT "v=spf1 mx -all"'


def _pointers(fleet: Fleet, site: Site, tree: str) -> Iterator[str]:
    for machine in NUMBERS:
        its = machine_address(site, machine)
        for name in (reverse_name(its.v4), reverse_name(its.v6)):
            if name.endswith(f".{tree}"):
                yield f"{name} IN PTR {machine_name(fleet, machine)}"


def _delegation(fleet: Fleet, zone: str) -> Iterator[str]:
    for server in legacy_name_servers(fleet):
        yield f"{zone} {fleet.lab_ttl.parent} IN NS {server}"


def _glue(fleet: Fleet, site: Site) -> Iterator[str]:
    for server in legacy_name_servers(fleet):
        yield from _addresses(server, site.address(fleet.legacy), fleet.lab_ttl.parent)

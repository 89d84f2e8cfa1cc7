"""What a lab consists of: the fleet's hosts and the world round them, as specifications.

Pure planning: fleet, site and images in, machines and cables out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.addresses import block_networks
from lab.engine.base import File, MachineSpec
from lab.engine.images import BASE, LEGACY_BASE, Recipe
from lab.engine.wiring import Cable
from lab.fleet import Fleet, Host, Site
from lab.world.authority import Authority
from lab.world.legacy import legacy_certificate, legacy_files
from lab.world.machines import MIRROR, REGISTRY, RESOLVER, ROUTER, WorldMachine

HERE = Path(__file__).parent / "world"
WORLD = Recipe(name="world", directory=HERE / "image", parent=BASE)


def legacy(fleet: Fleet) -> Recipe:
    """Return how the old server's image is made: its past depends on the domain that it served."""
    return Recipe(
        name="legacy",
        directory=HERE / "legacy" / "image",
        parent=LEGACY_BASE,
        arguments={"DOMAIN": fleet.domain, "MESSAGES": str(fleet.lab_mail.messages)},
    )


def recipes(fleet: Fleet) -> tuple[Recipe, ...]:
    """Return how every image of a lab of *fleet* is made."""
    return (BASE, WORLD, legacy(fleet))


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """A lab on paper.

    Attributes:
        specs: every machine, in the order in which they are made.
        cables: a cable for every machine but the router.
        router: the router's own end.
        world: the world's machines by name.
        hosts: names of the fleet's hosts.
    """

    specs: tuple[MachineSpec, ...]
    cables: tuple[Cable, ...]
    router: Cable
    world: Mapping[str, WorldMachine]
    hosts: tuple[str, ...]

    @property
    def remembering(self) -> tuple[str, ...]:
        """Names of the machines whose disks change as the fleet moves."""
        return (*self.hosts, REGISTRY)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all machines."""
        return tuple(spec.name for spec in self.specs)

    def spec(self, name: str) -> MachineSpec:
        """Return one machine's specification."""
        return next(spec for spec in self.specs if spec.name == name)


def blueprint(
    *,
    fleet: Fleet,
    site: Site,
    world: Sequence[WorldMachine],
    authority: Authority,
    public_key: str,
) -> Blueprint:
    """Return the lab of *fleet* at *site*.

    Args:
        fleet: the fleet.
        site: the lab's site, which knows its block of addresses.
        world: the machines outside.
        authority: who certifies the old server.
        public_key: the operator's SSH public key, root's only way in.
    """
    specs = [_world_spec(machine, world=world, public_key=public_key) for machine in world]
    past = {
        **legacy_files(fleet=fleet, site=site),
        **legacy_certificate(fleet=fleet, authority=authority),
    }
    specs += [
        _host_spec(host, fleet=fleet, past=past, world=world, public_key=public_key)
        for host in fleet.hosts.values()
    ]
    inside = block_networks(site.block)
    cables = {
        machine.name: Cable(
            machine=machine.name,
            v4=machine.address.v4,
            v6=machine.address.v6,
            interface="lab0" if machine.uplink else "eth0",
            only=inside if machine.uplink else None,
        )
        for machine in world
    }
    router = cables.pop(ROUTER)
    for host in fleet.hosts.values():
        address = site.address(host)
        cables[host.name] = Cable(machine=host.name, v4=address.v4, v6=address.v6)
    return Blueprint(
        specs=tuple(specs),
        cables=tuple(cables.values()),
        router=router,
        world={machine.name: machine for machine in world},
        hosts=tuple(fleet.hosts),
    )


AUTHORIZED_KEYS = "/root/.ssh/authorized_keys"
HOSTS = "/etc/lab/hosts"
RESOLV_CONF = "/etc/lab/resolv.conf"
APT_PROXY = "/etc/apt/apt.conf.d/01mirror"


def bare(spec: MachineSpec) -> MachineSpec:
    """Return a host's machine without a past: what a provider delivers when it is ordered anew."""
    kept = (AUTHORIZED_KEYS, HOSTS, RESOLV_CONF, APT_PROXY)
    return replace(spec, image=BASE.tag, files={path: spec.files[path] for path in kept})


def _host_spec(
    host: Host,
    *,
    fleet: Fleet,
    past: Mapping[str, str],
    world: Sequence[WorldMachine],
    public_key: str,
) -> MachineSpec:
    files = _common_files(host.name, world=world, public_key=public_key)
    if host.legacy:
        files |= {
            path: File(content=content, mode=0o600 if path.endswith(".key") else 0o644)
            for path, content in past.items()
        }
    return MachineSpec(
        name=host.name,
        image=(legacy(fleet) if host.legacy else BASE).tag,
        files=files,
        cores=host.hardware.cores,
        memory_mb=host.hardware.memory_mb,
    )


def _world_spec(
    machine: WorldMachine, *, world: Sequence[WorldMachine], public_key: str
) -> MachineSpec:
    files = _common_files(machine.name, world=world, public_key=public_key)
    if machine.uplink:
        # It goes out by its uplink, so it resolves and fetches as the laptop does.
        files = {path: files[path] for path in (AUTHORIZED_KEYS, HOSTS)}
    return MachineSpec(
        name=machine.name,
        image=WORLD.tag,
        files=files | dict(machine.files),
        uplink=machine.uplink,
        cache=machine.cache,
    )


def _common_files(name: str, *, world: Sequence[WorldMachine], public_key: str) -> dict[str, File]:
    resolver = next(machine.address for machine in world if machine.name == RESOLVER)
    mirror = next(machine.address for machine in world if machine.name == MIRROR)
    return {
        AUTHORIZED_KEYS: File(content=public_key, mode=0o600),
        HOSTS: File(content=f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name}\n"),
        RESOLV_CONF: File(content=f"nameserver {resolver.v4}\nnameserver {resolver.v6}\n"),
        APT_PROXY: File(content=f'Acquire::http::Proxy "http://{mirror.v4}:3142";\n'),
    }

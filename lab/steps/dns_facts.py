"""What the step ``dns`` finds: the parents, the old server, the new one, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from lab.operator import Operator, zone_data
from lab.operator.bind import Bind, BindState
from lab.operator.dns_tree import Delegation
from lab.operator.site_files import as_yaml
from lab.operator.zones import APEX, Zone
from lab.steps.dns_server import NameServer, Served, glue
from lab.steps.moving import Moving

ZONES: Final = "profile::dns::zones"
TTL_LIMIT: Final = "profile::dns::ttl_limit"
BEFORE: Final = "dns::before"
"""Keys of the stage."""

CONTENT_FILE: Final = "/var/lib/generalprove/zones.yaml"
BEFORE_FILE: Final = "/var/lib/generalprove/zones.before.yaml"
"""Zones as data on the control host: as they are to be, and as they were before the step."""

SECRETS_FILE: Final = "/var/lib/generalprove/zones.eyaml"
"""The zones' keys there, sealed for Hiera."""


@dataclass(frozen=True, kw_only=True)
class Before:
    """How a zone was before the step, without which there is no way back.

    Attributes:
        nameservers: at the parent, absolute names.
        glue: at the parent.
        zone: the whole zone, as the old server had it.
    """

    nameservers: tuple[str, ...]
    glue: Mapping[str, tuple[str, ...]]
    zone: Zone


@dataclass(frozen=True, kw_only=True)
class ZoneFacts:
    """One zone, as it is found.

    Attributes:
        parent: what its parent says.
        old: what the old server serves; None when it does not run.
        new: what the new server is to it.
    """

    parent: Delegation
    old: Zone | None = None
    new: Served = field(default_factory=Served)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the phases of the step decide by.

    Attributes:
        zones: by name.
        before: by name of the zone; empty before the step has begun.
        bind: whether the old server runs.
        reachable: whether the new host can be asked at all.
        kinds: what the stage says that the new server is to each zone.
        signed: the zones that it signs, as the stage says.
        ttl_limit: longest time to live that the stage allows; None for no limit.
        content: the zones as data for Puppet.
    """

    zones: Mapping[str, ZoneFacts]
    before: Mapping[str, Before]
    bind: BindState
    reachable: bool = True
    kinds: Mapping[str, str] = field(default_factory=dict)
    signed: frozenset[str] = frozenset()
    ttl_limit: int | None = None
    content: Mapping[str, Zone] = field(default_factory=dict)


class Move(Moving):
    """From where the zones move, and whereto."""

    @cached_property
    def bind(self) -> Bind:
        """The old server."""
        return Bind(ssh=self.op.ssh, dns=self.op.dns, host=self.old.name)

    @property
    def server(self) -> NameServer:
        """The new server."""
        return NameServer(op=self.op, host=self.new)

    @property
    def nameserver(self) -> str:
        """Name of the new server, absolute."""
        return self.server.name

    @property
    def nameservers(self) -> dict[str, tuple[str, ...]]:
        """The zones' name servers after the move, and their addresses."""
        return {self.nameserver: self.new_addresses}

    def glue(self, zone: str) -> dict[str, tuple[str, ...]]:
        """Return the addresses that the parent of *zone* must have."""
        return glue(self.nameservers, zone)

    def ds(self, zone: str) -> frozenset[str]:
        """Return the DS records that the parent of a signed *zone* must have."""
        return frozenset({self.op.secrets.zone_key(zone).ds.upper()})

    def observe(self) -> Facts:
        """Ask all who know, at once."""
        op = self.op
        stage = op.stage.read()
        listed = _mapping(stage.get(ZONES))
        before = _before(_mapping(stage.get(BEFORE)), self._data(BEFORE_FILE))
        names = sorted(before) or [each.name for each in self.bind.served()]

        with ThreadPoolExecutor() as pool:
            parents = {name: pool.submit(op.registrar.delegation, name) for name in names}
            old = pool.submit(self._observe_old)
            new = pool.submit(self.server.served, names)
            content = pool.submit(self._data, CONTENT_FILE)
        state, zones = old.result()
        served = new.result()
        return Facts(
            zones={
                name: ZoneFacts(
                    parent=parent.result(),
                    old=zones.get(name),
                    new=(served or {}).get(name, Served()),
                )
                for name, parent in parents.items()
            },
            before=before,
            bind=state,
            reachable=served is not None,
            kinds={name: str(_mapping(each).get("kind", "")) for name, each in listed.items()},
            signed=frozenset(n for n, each in listed.items() if _mapping(each).get("signed")),
            ttl_limit=_number(stage.get(TTL_LIMIT)),
            content=content.result(),
        )

    def _observe_old(self) -> tuple[BindState, dict[str, Zone]]:
        state = self.bind.state()
        return state, self.bind.zones() if state.active else {}

    def _data(self, path: str) -> dict[str, Zone]:
        """Return zones kept as data on the control host; none when there is no such file."""
        control = self.op.puppet.control
        text = self.op.ssh.run(control, f"test ! -e {path} || cat {path}").stdout
        return zone_data.from_hiera(text) if text else {}


def write_secrets(op: Operator, names: Iterable[str], transfer: Mapping[str, str]) -> None:
    """Let Puppet have the keys of the zones *names*, and those that sign transfers."""
    keys = {name: op.secrets.zone_key(name).private_text for name in names}
    data = {
        "profile::dns::zone_secrets": {n: op.secrets.encrypt(key) for n, key in keys.items()},
        "profile::dns::transfer_secrets": {n: op.secrets.encrypt(t) for n, t in transfer.items()},
    }
    op.ssh.write(op.puppet.control, SECRETS_FILE, as_yaml(data))


def ns_ttl(zone: Zone) -> int:
    """Return for how many seconds a cache may keep the NS records of *zone* itself."""
    apex = (each.ttl for each in zone if (each.name, each.type) == (APEX, "NS"))
    return max(apex, default=0)


def _before(kept: Mapping[str, Any], zones: Mapping[str, Zone]) -> dict[str, Before]:
    return {
        name: Before(
            nameservers=tuple(each["nameservers"]),
            glue={server: tuple(addresses) for server, addresses in each["glue"].items()},
            zone=zones[name],
        )
        for name, each in kept.items()
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None

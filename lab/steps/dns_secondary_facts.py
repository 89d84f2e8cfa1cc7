"""What the step ``dns_secondary`` decides by: both servers, the parents, the zones as data."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Self

from lab.operator import Operator, zone_data
from lab.operator.dns_tree import Delegation
from lab.operator.zones import Zone
from lab.steps.dns_facts import CONTENT_FILE, ZONES, ns_ttl
from lab.steps.dns_server import NameServer, Served, glue

SERVERS: Final = "profile::dns::servers"
"""Key of the stage: what each host is to the zones."""

PRIMARY, SECONDARY, ABSENT = "primary", "secondary", "absent"

TRANSFER_KEY: Final = "mesh"
"""Name of the key that signs transfers between hosts of the fleet (``profile::dns``)."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the phases of the step decide by.

    Attributes:
        content: the zones as data for Puppet.
        parts: what each host is to them, as the stage says; empty before the step.
        parents: zone -> what its parent says.
        first: zone -> what the server that is there already is to it.
        second: zone -> what the new one is to it.
        reachable: whether the new host can be asked at all.
    """

    content: Mapping[str, Zone]
    parts: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, Delegation] = field(default_factory=dict)
    first: Mapping[str, Served] = field(default_factory=dict)
    second: Mapping[str, Served] = field(default_factory=dict)
    reachable: bool = True

    @property
    def remembered(self) -> int:
        """For how many seconds a cache may remember which servers the zones have."""
        own = [ns_ttl(zone) for zone in self.content.values()]
        return max([*own, *(each.ttl for each in self.parents.values())])


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The server that is there already, and the one that joins it.

    Attributes:
        op: the operator.
        first: the server that has the zones.
        second: the one that copies them.
    """

    op: Operator
    first: NameServer
    second: NameServer

    @classmethod
    def of(cls, operator: Operator) -> Self:
        """Return the servers of production and of its standby."""
        fleet = operator.fleet
        return cls(
            op=operator,
            first=NameServer(op=operator, host=fleet.production),
            second=NameServer(op=operator, host=fleet.with_role("standby")[0]),
        )

    @property
    def alone(self) -> dict[str, tuple[str, ...]]:
        """The zones' name servers before the step, and their addresses."""
        return {self.first.name: self.first.addresses}

    @property
    def together(self) -> dict[str, tuple[str, ...]]:
        """The zones' name servers after the step, and their addresses."""
        return {each.name: each.addresses for each in (self.first, self.second)}

    def parts(self, second: str) -> dict[str, str]:
        """Return what each host is to the zones when the new one is *second*."""
        return {self.first.host.name: PRIMARY, self.second.host.name: second}

    def delegated(self, zone: str, parent: Delegation, servers: Mapping[str, Any]) -> bool:
        """Return whether the parent of *zone* says that these are its servers."""
        return parent.nameservers == frozenset(servers) and parent.glue == glue(servers, zone)

    def observe(self) -> Facts:
        """Ask all who know, at once."""
        op = self.op
        stage = op.stage.read()
        parts = stage.get(SERVERS)
        content = content_of(op, stage)
        with ThreadPoolExecutor() as pool:
            parents = {name: pool.submit(op.registrar.delegation, name) for name in content}
            first = pool.submit(self.first.served, content)
            second = pool.submit(self.second.served, content)
        copied = second.result()
        return Facts(
            content=content,
            parts=parts if isinstance(parts, dict) else {},
            parents={name: each.result() for name, each in parents.items()},
            first=first.result() or {},
            second=copied or {},
            reachable=copied is not None,
        )


def content_of(op: Operator, stage: Mapping[str, object]) -> dict[str, Zone]:
    """Return the zones of which the fleet is the primary, as data for Puppet."""
    listed = stage.get(ZONES)
    ours = {
        name
        for name, each in (listed.items() if isinstance(listed, dict) else ())
        if each.get("kind") == PRIMARY
    }
    found = zone_data.from_hiera(op.ssh.read(op.puppet.control, CONTENT_FILE))
    return {name: zone for name, zone in found.items() if name in ours}

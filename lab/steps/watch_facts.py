"""What the step ``watch`` decides by: the stage, what runs on the hosts, the sender's records."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from lab.fleet import Host
from lab.operator import Operator, zone_data
from lab.operator.dns import DnsError
from lab.operator.monitoring import Monitoring
from lab.operator.ssh import SshError
from lab.operator.zones import Zone, record_set
from lab.parallel import side_by_side
from lab.steps.dns_facts import CONTENT_FILE, TTL_LIMIT
from lab.steps.mail_records import Records
from lab.steps.web_facts import as_number, as_records

WATCHED: Final = "fleet::watched"
AUTHORITY: Final = "profile::monitoring::authority"
BEFORE: Final = "watch::before"
"""Keys of the stage."""

EVERYWHERE: Final = ("prometheus-node-exporter", "prometheus-exporter-exporter")
CENTRAL: Final = ("prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter")
"""Services of every host, and of the control host besides."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the phases of the step decide by.

    Attributes:
        watched: whether the stage says that the fleet is watched.
        resting: host -> services of the monitoring that do not run there.
        installed: host -> packages of the monitoring that are there.
        unreachable: hosts that cannot be asked.
        before: zone -> records that the step changes, as they were; None before it began.
        content: the zones as data for Puppet.
        zones: as they are served now.
        ttl_limit: longest time to live that the stage allows; None for no limit.
    """

    watched: bool = False
    resting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    installed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unreachable: frozenset[str] = frozenset()
    before: Records | None = None
    content: Mapping[str, Zone] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)
    ttl_limit: int | None = None


@dataclass(frozen=True)
class Watching:
    """The hosts that are watched, and the one that watches.

    Attributes:
        op: the operator.
    """

    op: Operator

    @property
    def control(self) -> Host:
        """The host that watches."""
        return self.op.fleet.control

    @cached_property
    def hosts(self) -> list[str]:
        """Names of the hosts that Puppet knows, the one that watches last."""
        control = self.control.name
        return sorted(self.op.puppet.enrolled(), key=lambda name: name == control)

    @property
    def monitoring(self) -> Monitoring:
        """What watches."""
        return Monitoring(ssh=self.op.ssh, host=self.control.name)

    def sender(self, content: Mapping[str, Zone]) -> Records:
        """Return the records that alerts are believed by: an address, and who may send (SPF).

        Args:
            content: the zones as data.
        """
        domain = self.op.fleet.domain
        zone = content.get(domain)
        if zone is None:
            return {}
        address, name = self.op.site.address(self.control), self.control.name
        values = {"A": str(address.v4), "AAAA": str(address.v6), "TXT": '"v=spf1 a -all"'}
        return {
            domain: tuple(
                record_set(domain, name=name, ttl=zone.soa.ttl, rdtype=rdtype, values=[value])
                for rdtype, value in values.items()
            )
        }

    def observe(self) -> Facts:
        """Ask all who know."""
        stage = self.op.stage.read()
        content = zone_data.from_hiera(self.op.ssh.read(self.op.puppet.control, CONTENT_FILE))
        before = stage.get(BEFORE)
        looked = dict(zip(self.hosts, side_by_side(self._look, self.hosts), strict=True))
        return Facts(
            watched=stage.get(WATCHED) is True,
            resting={name: found[0] for name, found in looked.items() if found},
            installed={name: found[1] for name, found in looked.items() if found},
            unreachable=frozenset(name for name, found in looked.items() if found is None),
            before=None if before is None else as_records(before),
            content=content,
            zones=self._zones(content),
            ttl_limit=as_number(stage.get(TTL_LIMIT)),
        )

    def wanted(self, host: str) -> tuple[str, ...]:
        """Return the services of the monitoring that a host shall have."""
        return EVERYWHERE + (CENTRAL if host == self.control.name else ())

    def _look(self, host: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Return what does not run on a host, and what is installed; None when out of reach."""
        script = """
            for name in "$@"; do
                systemctl is-active --quiet "$name.service" || echo "rests $name"
                [ ! -e "/usr/bin/$name" ] || echo "has $name"
            done
        """
        wanted = " ".join(self.wanted(host))
        try:
            said = self.op.ssh.run(host, f"set -- {wanted}\n{script}").stdout
        except SshError:
            return None
        lines = [line.split() for line in said.splitlines()]
        return (
            tuple(name for what, name in lines if what == "rests"),
            tuple(name for what, name in lines if what == "has"),
        )

    def _zones(self, content: Mapping[str, Zone]) -> dict[str, Zone]:
        """Return the zones as production serves them; none while it does not."""
        found, host = {}, self.op.fleet.production.name
        for name in content:
            with suppress(DnsError, SshError):
                found[name] = self.op.dns.axfr("127.0.0.1", name, via=host)
        return found

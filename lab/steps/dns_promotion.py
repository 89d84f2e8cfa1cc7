"""Another server becomes the primary of the zones: when the first is gone for good, and back again.

Both servers answer by themselves for as long as the other is down, so this is for changing the
zones, not for keeping them served. Who is the primary stands in the stage, and there is only one.
The zones get a newer serial with the change, and by that a server that was down finds out that it
is not the primary any more, before it answers anybody, and without the control host
(``puppet/site/profile/files/dns/ready.py``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from lab.errors import CheckFailedError, CouldNotError
from lab.operator import Operator, zone_changes, zone_data
from lab.operator.ssh import SshError
from lab.operator.zones import Zone
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.dns_secondary_facts import ABSENT, PRIMARY, SECONDARY, SERVERS, content_of
from lab.steps.dns_server import NameServer, Served

_SEEN_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.5


class DnsPrimaryError(CouldNotError):
    """The primary of the zones could not be changed."""


class DnsPrimaryCheckError(CheckFailedError):
    """A server may not become the primary, or did not."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the servers stand.

    Attributes:
        parts: what each host is to the zones, as the stage says.
        content: the zones as data for Puppet.
        served: host -> zone -> what it is to it; nothing of hosts that cannot be reached.
    """

    parts: Mapping[str, str]
    content: Mapping[str, Zone]
    served: Mapping[str, Mapping[str, Served]] = field(default_factory=dict)

    @property
    def primary(self) -> str:
        """The host that is the primary; empty before there are several."""
        return next((host for host, part in self.parts.items() if part == PRIMARY), "")

    def serial(self, host: str, zone: str) -> int | None:
        """Return the serial of *zone* at *host*; None where it is not known."""
        found = self.served.get(host, {}).get(zone)
        return found.zone.soa.serial if found and found.zone else None


class DnsPromotion:
    """Makes one of the servers the primary.

    Args:
        op: the operator.
        host: who it is to be.
    """

    def __init__(self, *, op: Operator, host: str) -> None:
        self._op = op
        self._host = host

    def look(self) -> Standing:
        """Find out how the servers stand.

        Raises:
            DnsPrimaryError: the control host cannot be reached.
        """
        op = self._op
        try:
            stage = op.stage.read()
            content = content_of(op, stage)
        except SshError as error:
            raise DnsPrimaryError(
                str(error),
                remedy=f"Bring {op.puppet.control} back first: it decides who the primary is, and "
                "zones are changed there. Until then every server goes on with what it has",
            ) from error
        listed = stage.get(SERVERS)
        parts = {str(h): str(p) for h, p in listed.items()} if isinstance(listed, dict) else {}
        hosts = [host for host, part in parts.items() if part != ABSENT]
        with ThreadPoolExecutor() as pool:
            asked = {host: pool.submit(self._server(host).served, content) for host in hosts}
        found = {host: each.result() for host, each in asked.items()}
        return Standing(
            parts=parts,
            content=content,
            served={host: each for host, each in found.items() if each is not None},
        )

    def check(self, standing: Standing) -> None:
        """See that the host can be the primary.

        Raises:
            DnsPrimaryCheckError: it cannot, and why.
        """
        if wrong := refusals(standing, self._host):
            raise DnsPrimaryCheckError("; ".join(wrong), where=self._host)

    def make(self, standing: Standing) -> None:
        """Make it the primary, or finish what was begun; the others copy from it.

        Raises:
            DnsPrimaryCheckError: afterwards it is not so.
        """
        op = self._op
        content = renewed(standing, self._server(self._host).name)
        if content != standing.content:
            text = zone_data.to_hiera({**self._others(standing), **content}.values())
            op.ssh.write(op.puppet.control, CONTENT_FILE, text)
        op.stage.update({SERVERS: appointed(standing, self._host)})
        # First those that are no primary any more: there are never two.
        others = [host for host, part in standing.parts.items() if part != ABSENT]
        for host in (*(each for each in others if each != self._host), self._host):
            if host not in standing.served:
                op.report.say(f"[yellow]{host} cannot be reached: it follows when it is back[/]")
                continue
            with op.report.task(f"Puppet on {host}"):
                op.puppet.agent(host)
        with op.report.task("See that all say the same"):
            self._see()

    def _see(self) -> None:
        """Wait until the host is the only primary, and all that can be reached have its zones."""
        deadline = time.monotonic() + _SEEN_SECONDS
        while wrong := faults(self.look(), self._host):
            if time.monotonic() > deadline:
                raise DnsPrimaryCheckError("; ".join(wrong), remedy="It can be run again")
            time.sleep(_POLL_SECONDS)

    def _server(self, host: str) -> NameServer:
        return NameServer(op=self._op, host=self._op.fleet.hosts[host])

    def _others(self, standing: Standing) -> dict[str, Zone]:
        """Return the zones in the data that the fleet is not the primary of."""
        text = self._op.ssh.read(self._op.puppet.control, CONTENT_FILE)
        found = zone_data.from_hiera(text)
        return {name: zone for name, zone in found.items() if name not in standing.content}


def refusals(standing: Standing, host: str) -> list[str]:
    """Return why *host* cannot become the primary; nothing when it can."""
    if standing.parts.get(host, ABSENT) == ABSENT:
        known = ", ".join(h for h, part in standing.parts.items() if part != ABSENT)
        return [f"it serves no zones{f'; {known} do' if known else ''}"]
    if host not in standing.served:
        return ["it cannot be reached"]
    wrong = []
    for name in standing.content:
        mine = standing.serial(host, name)
        if mine is None:
            wrong.append(f"it does not serve {name}")
            continue
        for other in standing.served:
            serial = standing.serial(other, name)
            if serial is not None and zone_changes.newer(serial, mine):
                wrong.append(f"it has {name} as of {mine}, and {other} as of {serial}")
    return wrong


def appointed(standing: Standing, host: str) -> dict[str, str]:
    """Return what each host is when *host* is the primary."""
    return {
        each: PRIMARY if each == host else part if part == ABSENT else SECONDARY
        for each, part in standing.parts.items()
    }


def renewed(standing: Standing, server: str) -> dict[str, Zone]:
    """Return the zones as versions of their own, newer than any, that name *server* as the primary.

    Args:
        standing: how the servers stand.
        server: absolute name of the new primary.
    """
    found = {}
    for name, zone in standing.content.items():
        found[name] = zone
        if zone.soa.mname == server:
            continue
        mine = replace(zone, soa=replace(zone.soa, mname=server))
        for host in standing.served:
            serial = standing.serial(host, name)
            if serial is not None and zone_changes.newer(serial, mine.soa.serial):
                mine = zone_changes.with_serial(mine, serial)
        found[name] = zone_changes.bumped(mine)
    return found


def faults(standing: Standing, host: str) -> list[str]:
    """Return what is not as it should be once *host* is the primary."""
    wrong = [] if standing.primary == host else [f"the stage does not make {host} the primary"]
    for other, zones in standing.served.items():
        kind = PRIMARY if other == host else SECONDARY
        for name, zone in standing.content.items():
            served = zones.get(name)
            if served is None or served.kind != kind:
                wrong.append(f"{other} is not {kind} of {name}")
            elif standing.serial(other, name) != zone.soa.serial:
                wrong.append(f"{other} does not have {name} as of {zone.soa.serial}")
    return wrong


def plan(standing: Standing, host: str) -> Sequence[str]:
    """Return what would be done, a line each; nothing when all is so already."""
    if not faults(standing, host):
        return ()
    lines = []
    for other, part in standing.parts.items():
        if other == host or part == ABSENT:
            continue
        there = other in standing.served
        when = "becomes" if there else "cannot be reached: before it answers again, it becomes"
        lines.append(f"{other} {when} a secondary of {host}")
    zones = ", ".join(standing.content)
    return [*lines, f"{host} becomes the primary of {zones}, each with a newer serial"]


def perform(op: Operator, *, host: str) -> None:
    """Make *host* the primary and say what is done; in a dry run only say it.

    Raises:
        DnsPrimaryError: it could not be tried.
        DnsPrimaryCheckError: it may not be, or is not afterwards.
    """
    if host not in op.fleet.hosts:
        raise DnsPrimaryError(
            f"there is no host {host!r}", remedy=f"There are {', '.join(op.fleet.hosts)}"
        )
    promotion = DnsPromotion(op=op, host=host)
    with op.report.task("Look at how the servers stand"):
        standing = promotion.look()
    promotion.check(standing)
    lines = plan(standing, host)
    for line in lines or [f"{host} is the primary already, and all have its zones"]:
        op.report.say(line)
    if lines and not op.dry_run:
        promotion.make(standing)

"""The phases in which a second server joins: it copies the zones, then it is named, then asked.

The server that is there already goes on as before, so that nothing depends on the new one until
it is known to be right; and nobody who knows only the old one is ever wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from typing_extensions import override

from lab.operator import zone_changes, zone_data, zones
from lab.operator.ssh import SshError
from lab.operator.zones import Zone
from lab.steps.dns_facts import CONTENT_FILE, ns_ttl, write_secrets
from lab.steps.dns_secondary_facts import ABSENT, SECONDARY, SERVERS, TRANSFER_KEY, Facts, Pair
from lab.steps.dns_server import NameServer, glue
from lab.steps.phases import Phase


class PairPhase(Phase[Facts]):
    """A phase of the step.

    Args:
        pair: both servers, and the hands.
    """

    def __init__(self, *, pair: Pair) -> None:
        self.pair = pair

    def puppet(self, server: NameServer, *, undo: bool = False) -> None:
        """Let Puppet make a server what the stage says.

        One that cannot be reached must not keep anybody from going back: its next run of Puppet
        finds what the stage says.
        """
        op, host = self.pair.op, server.host.name
        try:
            with op.report.task(f"Puppet on {host}"):
                op.puppet.agent(host)
        except SshError as error:
            if not undo:
                raise
            op.report.say(f"[yellow]{error}: left to its next run of Puppet[/]")

    def publish(self, content: Mapping[str, Zone], wanted: Mapping[str, Zone]) -> None:
        """Let the servers have the zones as *wanted*; both have them when Puppet has run."""
        if wanted != content:  # else it may hold the comments of people
            op = self.pair.op
            text = zone_data.to_hiera({**content, **wanted}.values())
            op.ssh.write(op.puppet.control, CONTENT_FILE, text)
        self.puppet(self.pair.first)


class Copy(PairPhase):
    """The new server has every zone, and signs it with the same key."""

    name: ClassVar[str] = "copy"
    title: ClassVar[str] = "Make the standby a secondary of every zone, with the same keys"
    undoing: ClassVar[str] = "Take the zones from the standby"
    meanwhile: ClassVar[bool] = True

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        host = self.pair.second.host.name
        wrong = [] if facts.reachable else [f"{host} cannot be reached"]
        if facts.parts != self.pair.parts(SECONDARY):
            wrong.append(f"the stage does not make {host} a secondary")
        for name in facts.content:
            first, second = facts.first.get(name), facts.second.get(name)
            if second is None or second.kind != SECONDARY:
                wrong.append(f"{host} is no secondary of {name}")
            elif first is None or first.zone is None or second.zone is None:
                wrong.append(f"{name} is not served by both")
            else:
                wrong += [f"{name}: {d}" for d in zones.compare(first.zone, second.zone)]
                signed = second.signed or not first.signed
                wrong += second.unsigned if signed else [f"{host} does not sign {name}"]
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        host = self.pair.second.host.name
        found = [f"{host} has {name}" for name, each in facts.second.items() if each.kind]
        told = facts.parts.get(host, ABSENT) != ABSENT
        return found + ([f"the stage makes {host} a server"] if told else [])

    @override
    def do(self, facts: Facts) -> None:
        op = self.pair.op
        write_secrets(op, facts.content, {TRANSFER_KEY: op.secrets.tsig(TRANSFER_KEY)})
        op.stage.update({SERVERS: self.pair.parts(SECONDARY)})
        self.puppet(self.pair.first)
        self.puppet(self.pair.second)

    @override
    def undo(self, facts: Facts) -> None:
        self.pair.op.stage.update({SERVERS: self.pair.parts(ABSENT)})
        self.puppet(self.pair.first, undo=True)
        self.puppet(self.pair.second, undo=True)


class Name(PairPhase):
    """The zones themselves name both servers."""

    name: ClassVar[str] = "name"
    title: ClassVar[str] = "Name both servers in the zones"
    undoing: ClassVar[str] = "Name the first server alone in the zones"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wanted = frozenset(self.pair.together)
        said = {
            "the data": facts.content,
            self.pair.first.host.name: {name: each.zone for name, each in facts.first.items()},
            self.pair.second.host.name: {name: each.zone for name, each in facts.second.items()},
        }
        return [
            f"{name} does not name {', '.join(sorted(wanted))} in {where}"
            for where, known in said.items()
            for name in facts.content
            if (zone := known.get(name)) is None or zone.nameservers != wanted
        ] + list(Copy(pair=self.pair).lacks(facts))

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [
            f"{name} names {self.pair.second.name}"
            for name, zone in facts.content.items()
            if self.pair.second.name in zone.nameservers
        ]

    @override
    def fades(self, facts: Facts) -> int:
        # The parent has just been changed back, and named both for as long.
        return facts.remembered

    @override
    def do(self, facts: Facts) -> None:
        self.publish(facts.content, self._named(facts, self.pair.together))

    @override
    def undo(self, facts: Facts) -> None:
        self.publish(facts.content, self._named(facts, self.pair.alone))

    def _named(self, facts: Facts, servers: Mapping[str, tuple[str, ...]]) -> dict[str, Zone]:
        return {
            name: zone
            if zone.nameservers == frozenset(servers)
            else zone_changes.bumped(
                zone_changes.with_nameservers(
                    _without(zone, self.pair.second.name), servers, ttl=ns_ttl(zone)
                )
            )
            for name, zone in facts.content.items()
        }


class Delegate(PairPhase):
    """The parents delegate to both servers."""

    name: ClassVar[str] = "delegate"
    title: ClassVar[str] = "Delegate the zones to both servers"
    undoing: ClassVar[str] = "Delegate the zones to the first server alone"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        pair = self.pair
        return [
            f"the parent of {name} does not delegate it to {', '.join(sorted(pair.together))}"
            for name, parent in facts.parents.items()
            if not pair.delegated(name, parent, pair.together)
        ] + list(Name(pair=pair).lacks(facts))

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [
            f"the parent of {name} delegates it to {self.pair.second.name}"
            for name, parent in facts.parents.items()
            if self.pair.second.name in parent.nameservers
        ]

    @override
    def settles(self, facts: Facts) -> int:
        # Who remembers the first server alone has nobody to ask when that is down.
        return facts.remembered

    @override
    def fades(self, facts: Facts) -> int:
        return facts.remembered

    @override
    def do(self, facts: Facts) -> None:
        self._delegate(facts, self.pair.together)

    @override
    def undo(self, facts: Facts) -> None:
        self._delegate(facts, self.pair.alone)

    def _delegate(self, facts: Facts, servers: Mapping[str, tuple[str, ...]]) -> None:
        for name, parent in facts.parents.items():
            if not self.pair.delegated(name, parent, servers):
                self.pair.op.registrar.set_delegation(name, sorted(servers), glue(servers, name))


def _without(zone: Zone, name: str) -> Zone:
    """Return *zone* without the records at an absolute name."""
    kept = [each for each in zone.records if zone.absolute(each.name) != name]
    return Zone.of(zone.origin, zone.soa, kept)


def phases(pair: Pair) -> tuple[PairPhase, ...]:
    """Return all phases, in their order."""
    return tuple(each(pair=pair) for each in _PHASES)


_PHASES: Final = (Copy, Name, Delegate)

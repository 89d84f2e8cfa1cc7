"""The first phases of the move: the new server copies the zones, then is the one to be asked.

Whoever is asked has the right answer at any moment: from the second phase on both servers serve
the zones, until nobody asks the old one any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from typing_extensions import override

from lab.operator import zone_changes, zone_data, zones
from lab.operator.zones import Zone
from lab.steps.dns_facts import (
    BEFORE,
    BEFORE_FILE,
    TTL_LIMIT,
    ZONES,
    Facts,
    Move,
    ns_ttl,
    write_secrets,
)
from lab.steps.moving import MovePhase

TRANSFER_KEY: Final = "cutover"
"""Name of the key that signs transfers from the old server."""

_LOWEST, _LOW = 5, 60


def lowered(longest: int) -> int:
    """Return to how many seconds a time to live of *longest* is lowered."""
    return max(_LOWEST, min(_LOW, longest // 4))


def longest(zones: Iterable[Zone]) -> int:
    """Return the longest time to live, in seconds, of anything in *zones*."""
    return max((zone.longest_ttl for zone in zones), default=0)


def remembered(facts: Facts) -> int:
    """Return for how many seconds a cache may remember which servers the zones have."""
    parents = [each.parent.ttl for each in facts.zones.values()]
    own = [ns_ttl(zone) for each in facts.zones.values() if (zone := each.old or each.new.zone)]
    return max([*parents, *own])


def kinds(facts: Facts, name: str) -> frozenset[str]:
    """Return what the new server is to a zone, as it says itself and as the stage says."""
    said = {facts.zones[name].new.kind, facts.kinds.get(name, "")}
    return frozenset(said - {"", "absent"})


def secondary(move: Move, facts: Facts) -> dict[str, dict[str, object]]:
    """Return what Puppet is told when the new server is a secondary of the old one."""
    copied = {"primaries": list(move.old_addresses), "transfer_key": TRANSFER_KEY}
    return {name: {"kind": "secondary", **copied} for name in facts.zones}


class DnsPhase(MovePhase[Facts, Move]):
    """A phase of the move."""

    def tell(self, listed: Mapping[str, Mapping[str, object]], *, undo: bool = False) -> None:
        """Let Puppet make the new server what *listed* says."""
        op = self.move.op
        others = op.stage.read().get(ZONES)
        listed = {**(others if isinstance(others, dict) else {}), **listed}
        op.stage.update({ZONES: {name: dict(each) for name, each in listed.items()}})
        self.puppet(undo=undo)


class Lower(DnsPhase):
    """Nothing is remembered for long any more."""

    name: ClassVar[str] = "lower"
    title: ClassVar[str] = "Lower the times to live at the old server"
    undoing: ClassVar[str] = "Put the old server's files back"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        if not facts.before or facts.ttl_limit is None:
            return ["it is not written down how the zones are"]
        return [
            f"{name} has times to live of {each.old.longest_ttl} s" if each.old else f"no {name}"
            for name, each in facts.zones.items()
            if each.old is None or each.old.longest_ttl > facts.ttl_limit
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [f"what {name} was before is kept" for name in facts.before]

    @override
    def settles(self, facts: Facts) -> int:
        known = [each.zone for each in facts.before.values()]
        return longest(known or [each.old for each in facts.zones.values() if each.old])

    @override
    def do(self, facts: Facts) -> None:
        op, bind = self.move.op, self.move.bind
        served = {name: each.old for name, each in facts.zones.items() if each.old}
        if not facts.before:
            op.ssh.write(op.puppet.control, BEFORE_FILE, zone_data.to_hiera(served.values()))
            before = {
                name: {
                    "nameservers": sorted(each.parent.nameservers),
                    "glue": {server: list(listed) for server, listed in each.parent.glue.items()},
                }
                for name, each in facts.zones.items()
            }
            limit = lowered(longest(served.values()))
            op.stage.update({BEFORE: before, TTL_LIMIT: limit})
        else:
            limit = facts.ttl_limit or lowered(self.settles(facts))
        for zone in served.values():
            if zone.longest_ttl > limit:
                bind.install(zone_changes.bumped(zone_changes.limited(zone, ttl=limit)))

    @override
    def undo(self, facts: Facts) -> None:
        op, bind = self.move.op, self.move.bind
        for name, before in facts.before.items():
            now = facts.zones[name].old or before.zone
            for difference in zones.compare(before.zone, now, ttls=False, soa=False):
                if now.absolute(difference.name) not in self.move.nameservers:
                    op.report.say(f"[yellow]{name}, changed since and now lost: {difference}[/]")
        bind.start()
        bind.restore()
        op.stage.update({BEFORE: None, TTL_LIMIT: None})


class Copy(DnsPhase):
    """The new server has every zone, from the old one."""

    name: ClassVar[str] = "copy"
    title: ClassVar[str] = "Make the new server a secondary of the old one"
    undoing: ClassVar[str] = "Take the zones from the new server"
    meanwhile: ClassVar[bool] = True

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = [] if facts.reachable else [f"{self.move.new.name} cannot be reached"]
        for name, each in facts.zones.items():
            if each.new.kind != "secondary":
                wrong.append(f"{self.move.new.name} is no secondary of {name}")
            elif each.old is None or each.new.zone is None:
                wrong.append(f"{name} is not served by both")
            else:
                wrong += [f"{name}: {d}" for d in zones.compare(each.old, each.new.zone)]
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [f"{self.move.new.name} has {name}" for name in facts.zones if kinds(facts, name)]

    @override
    def do(self, facts: Facts) -> None:
        move = self.move
        secret = move.op.secrets.tsig(TRANSFER_KEY)
        move.bind.allow_transfers(
            facts.zones, key=TRANSFER_KEY, secret=secret, to=move.new_addresses
        )
        write_secrets(move.op, facts.zones, {TRANSFER_KEY: secret})
        self.tell(secondary(move, facts))

    @override
    def undo(self, facts: Facts) -> None:
        self.tell({name: {"kind": "absent"} for name in facts.zones}, undo=True)


class Rename(DnsPhase):
    """The zones themselves name the new server."""

    name: ClassVar[str] = "rename"
    title: ClassVar[str] = "Name the new server in the zones; both serve them"
    undoing: ClassVar[str] = "Name the old server in the zones again"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wanted = frozenset(self.move.nameservers)
        return [
            f"{name} does not name {', '.join(wanted)} at both servers"
            for name, each in facts.zones.items()
            if not all(zone and zone.nameservers == wanted for zone in (each.old, each.new.zone))
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [
            f"{name} names {', '.join(sorted(zone.nameservers))}"
            for name, before in facts.before.items()
            for zone in (facts.zones[name].old, facts.zones[name].new.zone)
            if zone and zone.nameservers != before.zone.nameservers
        ]

    @override
    def fades(self, facts: Facts) -> int:
        # The parent has just been changed back, and named the new server for as long.
        return max([remembered(facts), *(ns_ttl(each.zone) for each in facts.before.values())])

    @override
    def do(self, facts: Facts) -> None:
        servers = self.move.nameservers
        for each in facts.zones.values():
            if each.old and each.old.nameservers != frozenset(servers):
                ttl = facts.ttl_limit or each.old.longest_ttl
                named = zone_changes.with_nameservers(each.old, servers, ttl=ttl)
                self.move.bind.install(zone_changes.bumped(named))

    @override
    def undo(self, facts: Facts) -> None:
        for name, each in facts.zones.items():
            before = facts.before[name].zone
            if each.old and each.old.nameservers != before.nameservers:
                named = zone_changes.with_nameservers_of(each.old, before)
                self.move.bind.install(zone_changes.bumped(named))


class Delegate(DnsPhase):
    """The parents delegate to the new server."""

    name: ClassVar[str] = "delegate"
    title: ClassVar[str] = "Delegate the zones to the new server"
    undoing: ClassVar[str] = "Delegate the zones to the old server again"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wanted = frozenset(self.move.nameservers)
        wrong = [
            f"the parent of {name} does not delegate it to {', '.join(wanted)}"
            for name, each in facts.zones.items()
            if each.parent.nameservers != wanted or each.parent.glue != self.move.glue(name)
        ]
        return wrong + [
            f"{self.move.new.name} does not serve {name}"
            for name, each in facts.zones.items()
            if each.new.zone is None
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [
            f"{name} is delegated to {', '.join(sorted(facts.zones[name].parent.nameservers))}"
            for name, before in facts.before.items()
            if facts.zones[name].parent.nameservers != frozenset(before.nameservers)
            or facts.zones[name].parent.glue != before.glue
        ]

    @override
    def settles(self, facts: Facts) -> int:
        return remembered(facts)

    @override
    def do(self, facts: Facts) -> None:
        for name, each in facts.zones.items():
            if each.parent.nameservers != frozenset(self.move.nameservers):
                self.move.op.registrar.set_delegation(
                    name, sorted(self.move.nameservers), self.move.glue(name)
                )

    @override
    def undo(self, facts: Facts) -> None:
        for name, before in facts.before.items():
            if facts.zones[name].parent.nameservers != frozenset(before.nameservers):
                self.move.op.registrar.set_delegation(name, before.nameservers, before.glue)

"""The last phases of the move: the new server is on its own, and its zones are signed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from typing_extensions import override

from lab.operator import zone_changes, zone_data, zones
from lab.operator.zones import Zone
from lab.steps.base import StepCheckError
from lab.steps.dns_facts import CONTENT_FILE, TTL_LIMIT, Facts, Move
from lab.steps.dns_phases import (
    Copy,
    Delegate,
    DnsPhase,
    Lower,
    Rename,
    kinds,
    longest,
    remembered,
    secondary,
)

_WINDOWS: Final = 5
"""How often the old server is watched for questions before somebody must look."""

_LONGEST_WINDOW: Final = 3600


class Take(DnsPhase):
    """The new server holds the content itself."""

    name: ClassVar[str] = "take"
    title: ClassVar[str] = "Make the new server the primary"
    undoing: ClassVar[str] = "Make the new server a secondary of the old one again"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [*Delegate(move=self.move).lacks(facts), *self._lacks(facts)]

    def _lacks(self, facts: Facts) -> Iterator[str]:
        host = self.move.new.name
        for name, each in facts.zones.items():
            content = facts.content.get(name)
            if each.new.kind != "primary" or each.new.zone is None or content is None:
                yield f"{host} is not the primary of {name}"
                continue
            if each.new.zone.soa.mname != self.move.nameserver:
                yield f"{name} names {each.new.zone.soa.mname} as its primary"
            if each.new.zone.soa.serial != content.soa.serial:
                yield f"{host} does not serve {name} as the data has it"
            for difference in zones.compare(content, each.new.zone, ttls=False, soa=False):
                yield f"{name}: {difference}"
            if each.old is not None:
                for difference in zones.compare(each.old, each.new.zone, ttls=False, soa=False):
                    yield f"{name}, old and new: {difference}"

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        host = self.move.new.name
        return [
            f"{host} is the primary of {n}" for n in facts.zones if "primary" in kinds(facts, n)
        ]

    @override
    def do(self, facts: Facts) -> None:
        op = self.move.op
        content = {**facts.content, **{name: self._content(facts, name) for name in facts.zones}}
        if content != facts.content:  # else it may hold the comments of people
            op.ssh.write(op.puppet.control, CONTENT_FILE, zone_data.to_hiera(content.values()))
        # Never unsigned on the way forth: a parent may have the DS already.
        self.tell(
            {n: {"kind": "primary", "signed": n in facts.signed} for n in facts.zones},
        )

    def _content(self, facts: Facts, name: str) -> Zone:
        """Return what the new server is to serve: what both serve now, for as long as before."""
        if "primary" in kinds(facts, name) and name in facts.content:
            return facts.content[name]  # it is the data of people already
        now = facts.zones[name].old or facts.zones[name].new.zone
        if now is None:
            raise StepCheckError("neither server serves it", where=name)
        raised = zone_changes.unlimited(now, facts.before[name].zone)
        mine = replace(raised, soa=replace(raised.soa, mname=self.move.nameserver))
        return zone_changes.bumped(mine)

    @override
    def undo(self, facts: Facts) -> None:
        for name, each in facts.zones.items():
            if each.old is None or each.new.zone is None:
                continue
            for difference in zones.compare(each.old, each.new.zone, ttls=False, soa=False):
                self.move.op.report.say(f"[yellow]{name}, changed since the move: {difference}[/]")
            # A secondary only takes what is newer than what it has.
            serial = each.new.zone.soa.serial
            self.move.bind.install(zone_changes.bumped(each.old, above=serial))
        self.tell(secondary(self.move, facts), undo=True)


class Retire(DnsPhase):
    """The old server is stopped when it has been seen that nobody asks it."""

    name: ClassVar[str] = "retire"
    title: ClassVar[str] = "Stop the old server when nobody asks it any more"
    undoing: ClassVar[str] = "Start the old server again"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        runs = facts.bind.active or facts.bind.enabled
        still = [f"the old server on {self.move.old.name} still runs"] if runs else []
        return [*Take(move=self.move).lacks(facts), *still]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        runs = facts.bind.active and facts.bind.enabled
        return [] if runs else [f"the old server on {self.move.old.name} does not run"]

    @override
    def do(self, facts: Facts) -> None:
        if facts.bind.active:
            self._watch(facts, seconds=min(_LONGEST_WINDOW, remembered(facts)))
        self.move.bind.stop()

    def _watch(self, facts: Facts, *, seconds: int) -> None:
        """Wait until a whole window of *seconds* has gone by without a question.

        Raises:
            StepCheckError: it is still being asked after several windows.
        """
        for _ in range(_WINDOWS):
            before = self.move.bind.questions()
            self.move.op.report.countdown(f"Watch for questions to {self.move.old.name}", seconds)
            now = self.move.bind.questions()
            asked = {name: now.get(name, 0) - before.get(name, 0) for name in facts.zones}
            if not any(asked.values()):
                return
            said = ", ".join(f"{count} about {name}" for name, count in asked.items() if count)
            self.move.op.report.say(f"[yellow]Still asked: {said}[/]")
        raise StepCheckError(
            f"somebody still asks the old server: {said} in {seconds} s",
            where=self.move.old.name,
            remedy="`rndc querylog on` there shows who; run the step again when it has stopped",
        )

    @override
    def undo(self, facts: Facts) -> None:
        self.move.bind.start()


class Sign(DnsPhase):
    """Every answer is signed, the same by every server."""

    name: ClassVar[str] = "sign"
    title: ClassVar[str] = "Sign the zones"
    undoing: ClassVar[str] = "Take the signatures from the zones"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Retire(move=self.move).lacks(facts))
        for name, each in facts.zones.items():
            wrong += each.new.unsigned if each.new.signed else [f"{name} is not signed"]
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [
            f"{name} is signed"
            for name, each in facts.zones.items()
            if each.new.signed or name in facts.signed
        ]

    @override
    def settles(self, facts: Facts) -> int:
        # Who believes the DS would take what it still remembers unsigned for forged.
        return longest(each.new.zone for each in facts.zones.values() if each.new.zone)

    @override
    def do(self, facts: Facts) -> None:
        self.tell({name: {"kind": "primary", "signed": True} for name in facts.zones})

    @override
    def undo(self, facts: Facts) -> None:
        self.tell({name: {"kind": "primary", "signed": False} for name in facts.zones}, undo=True)


class Trust(DnsPhase):
    """The parents vouch for the zones' keys."""

    name: ClassVar[str] = "trust"
    title: ClassVar[str] = "Publish the DS records at the parents"
    undoing: ClassVar[str] = "Take the DS records from the parents"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [
            *Sign(move=self.move).lacks(facts),
            *(
                f"the parent of {name} does not have its DS"
                for name, each in facts.zones.items()
                if each.parent.ds != self.move.ds(name)
            ),
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [f"the parent of {name} has a DS" for name, e in facts.zones.items() if e.parent.ds]

    @override
    def fades(self, facts: Facts) -> int:
        # Keys that were believed because of the DS are believed for as long as they are kept.
        return max(each.parent.ds_ttl + each.new.key_ttl for each in facts.zones.values())

    @override
    def do(self, facts: Facts) -> None:
        for name, each in facts.zones.items():
            if each.parent.ds != self.move.ds(name):
                self.move.op.registrar.set_ds(name, self.move.ds(name))

    @override
    def undo(self, facts: Facts) -> None:
        for name, each in facts.zones.items():
            if each.parent.ds:
                self.move.op.registrar.set_ds(name, ())


class Lengthen(DnsPhase):
    """Everything may be remembered as long as before the move."""

    name: ClassVar[str] = "lengthen"
    title: ClassVar[str] = "Raise the times to live to what they were"
    undoing: ClassVar[str] = "Nothing: every wait on the way back is for the longer times"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Trust(move=self.move).lacks(facts))
        if facts.ttl_limit:
            wrong.append(f"nothing may be remembered for more than {facts.ttl_limit} s")
        for name, each in facts.zones.items():
            if each.new.zone and name in facts.content:
                wrong += [str(d) for d in zones.compare(facts.content[name], each.new.zone)]
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return ()

    @override
    def do(self, facts: Facts) -> None:
        self.move.op.stage.update({TTL_LIMIT: None})
        self.tell({name: {"kind": "primary", "signed": True} for name in facts.zones})

    @override
    def undo(self, facts: Facts) -> None:
        """Do nothing."""


def phases(move: Move) -> tuple[DnsPhase, ...]:
    """Return all phases of the move, in their order."""
    return tuple(each(move=move) for each in _PHASES)


_PHASES: Final = (Lower, Copy, Rename, Delegate, Take, Retire, Sign, Trust, Lengthen)

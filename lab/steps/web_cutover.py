"""The last phases of the move: the names lead to the new server, and the data is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from typing_extensions import override

from lab.operator import zone_changes, zone_data
from lab.operator.ssh import SshError
from lab.operator.zones import RecordSet, Zone
from lab.steps.dns_facts import CONTENT_FILE, TTL_LIMIT
from lab.steps.phases import Phase
from lab.steps.web_facts import HERE, MAX_AGE, THERE, Facts
from lab.steps.web_move import Move
from lab.steps.web_phases import Certify, Lower, Pass, Serve, WebPhase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.operator.carry import Place
    from lab.operator.web_data import Site

HOLD_SECONDS: Final = 8
"""How long visitors of a site with data may be kept waiting at most, before they are let go on."""

TWO_YEARS: Final = 2 * 365 * 24 * 3600
"""For how long browsers are told to remember HTTPS (RFC 6797)."""


class Point(WebPhase):
    """The names lead to the new server."""

    name: ClassVar[str] = "point"
    title: ClassVar[str] = "Let the names lead to the new server"
    undoing: ClassVar[str] = "Let the names lead to the old server again"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [*Pass(move=self.move).lacks(facts), *self._otherwise(facts, self._new(facts))]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return self._otherwise(facts, facts.before) if facts.before else []

    @override
    def settles(self, facts: Facts) -> int:
        return kept_for(facts)

    @override
    def fades(self, facts: Facts) -> int:
        return kept_for(facts)

    @override
    def do(self, facts: Facts) -> None:
        self._publish(facts, self._new(facts))

    @override
    def undo(self, facts: Facts) -> None:
        self._publish(facts, facts.before)

    def _new(self, facts: Facts) -> dict[str, tuple[RecordSet, ...]]:
        return {
            origin: tuple(self.move.moved(record) for record in records)
            for origin, records in facts.before.items()
        }

    def _otherwise(self, facts: Facts, wanted: Mapping[str, Sequence[RecordSet]]) -> list[str]:
        """Return which records are not as wanted, in the data or as they are served."""
        places = [("the data", facts.content)]
        if facts.reachable:
            places.append((self.move.new.name, facts.zones))
        return [
            f"{zone}: {where} does not have {record} {' '.join(record.values)}"
            for where, zones in places
            for zone, records in wanted.items()
            for record in records
            if record.values not in values_of(zones.get(zone), record)
        ] + ([] if wanted else ["no record leads to the old server"])

    def _publish(self, facts: Facts, wanted: Mapping[str, Sequence[RecordSet]]) -> None:
        op = self.move.op
        content = dict(facts.content)
        for origin, records in wanted.items():
            content[origin] = with_records(content[origin], records)
        if content != facts.content:  # else it may hold the comments of people
            op.ssh.write(op.puppet.control, CONTENT_FILE, zone_data.to_hiera(content.values()))
        self.puppet()


class Take(WebPhase):
    """The programs run on the new server, on all of the data.

    The names lead to it already: who waits meanwhile waits there, where it costs little. Each who
    came by the old server would hold a process of it, and wait for another one.
    """

    name: ClassVar[str] = "take"
    title: ClassVar[str] = "Move the data while whoever wants it waits a moment"
    undoing: ClassVar[str] = "Move the data back"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [
            *Point(move=self.move).lacks(facts),
            *(
                f"the programs of {site.name} run on {self.move.old.name}"
                for site in self.move.with_data
                if facts.new.origins.get(site.name, HERE) != HERE
            ),
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        if not facts.served or facts.old.mode != "passing":
            return []  # nobody was sent to the new server yet
        if not facts.reachable:
            return [f"{self.move.new.name} may have data, and cannot be reached"]
        return [
            f"the programs of {site.name} run on {self.move.new.name}"
            for site in self.move.with_data
            if facts.new.origins.get(site.name, HERE) == HERE
        ]

    @override
    def do(self, facts: Facts) -> None:
        for site in self.move.with_data:
            if facts.new.origins.get(site.name, HERE) != HERE:
                self._over(
                    site,
                    self.move.data_at_old(site),
                    self.move.data_at_new(site),
                    like=f"{site.home}/shared",
                    where=HERE,
                )

    @override
    def undo(self, facts: Facts) -> None:
        for site in self.move.with_data:
            if facts.new.origins.get(site.name, HERE) == HERE:
                old = self.move.data_at_old(site)
                new = self.move.data_at_new(site)
                self._over(site, new, old, like=old.path, where=THERE)

    def _over(self, site: Site, source: Place, target: Place, *, like: str, where: str) -> None:
        move = self.move
        with self._held(site):
            move.carrier.move(source, target, like=like)
            self.origin("set", site.name, where)

    @contextmanager
    def _held(self, site: Site) -> Iterator[None]:
        """Let new requests to a site wait while none is under way."""
        move = self.move
        with (
            move.op.puppet.held([move.new.name], "web data moves"),
            move.op.report.task(f"Move the data of {site.name}"),
        ):
            self.origin("hold", site.name, str(HOLD_SECONDS))
            try:
                yield
            except BaseException:
                with suppress(SshError):  # then the hold ends by itself
                    self.origin("release", site.name)
                raise


class Lengthen(WebPhase):
    """Everything may be remembered as long as before, HTTPS included."""

    name: ClassVar[str] = "lengthen"
    title: ClassVar[str] = "Raise the times to live; tell browsers to remember HTTPS"
    undoing: ClassVar[str] = "Stop telling browsers to remember HTTPS"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Take(move=self.move).lacks(facts))
        if facts.ttl_limit:
            wrong.append(f"nothing may be remembered for more than {facts.ttl_limit} s")
        if facts.max_age != TWO_YEARS:
            wrong.append("browsers are not told to remember HTTPS")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return ["browsers are told to remember HTTPS"] if facts.max_age else []

    @override
    def do(self, facts: Facts) -> None:
        self.move.op.stage.update({TTL_LIMIT: None, MAX_AGE: TWO_YEARS})
        self.puppet()

    @override
    def undo(self, facts: Facts) -> None:
        self.move.op.stage.update({MAX_AGE: None})
        self.puppet(undo=True)


def kept_for(facts: Facts) -> int:
    """Return for how many seconds a cache may keep the records that change."""
    return max(
        (
            served.ttl
            for origin, records in facts.before.items()
            for record in records
            for served in (facts.zones.get(origin) or facts.content[origin]).records
            if (served.name, served.type) == (record.name, record.type)
        ),
        default=0,
    )


def values_of(zone: Zone | None, record: RecordSet) -> list[tuple[str, ...]]:
    """Return the values that *zone* has where *record* is."""
    return [
        each.values
        for each in (zone.records if zone else ())
        if (each.name, each.type) == (record.name, record.type)
    ]


def with_records(zone: Zone, records: Sequence[RecordSet]) -> Zone:
    """Return the next version of *zone*, with the values of *records*; itself if it has them."""
    new = {(record.name, record.type): record.values for record in records}
    changed = tuple(
        replace(each, values=new.get((each.name, each.type), each.values)) for each in zone.records
    )
    return zone if changed == zone.records else zone_changes.bumped(replace(zone, records=changed))


def phases(move: Move) -> tuple[Phase[Facts], ...]:
    """Return all phases of the move, in their order."""
    return tuple(each(move=move) for each in _PHASES)


_PHASES: Final = (Lower, Serve, Certify, Pass, Point, Take, Lengthen)

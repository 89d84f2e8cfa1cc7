"""Step 2: DNS moves from the server made by hand to one made by Puppet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

import dns.flags
from typing_extensions import override

from lab.errors import GeneralproveError
from lab.operator import zone_data, zones
from lab.operator.dns import DnsError
from lab.operator.dns_check import problems
from lab.steps.dns_facts import Facts, Move
from lab.steps.dns_primary import phases
from lab.steps.phased import PhasedStep
from lab.steps.phases import Phase


class Dns(PhasedStep[Facts]):
    """The new host serves every zone of the old one, signed, and nobody notices."""

    name: ClassVar[str] = "dns"
    title: ClassVar[str] = "DNS moves to the new production server"
    needs: ClassVar[tuple[str, ...]] = ("control",)

    @override
    def observe(self) -> Facts:
        return self._move.observe()

    @override
    def phases(self) -> Sequence[Phase[Facts]]:
        return phases(self._move)

    @override
    def begun(self, facts: Facts) -> bool:
        return bool(facts.before)

    @override
    def refusals(self, facts: Facts) -> Iterator[str]:
        op, move = self.operator, self._move
        yield from refusals(facts, move)
        with op.report.task(f"Ask {move.old.name} for every record"):
            yield from (*self._resolver(), *self._served(facts))
        with op.report.task(f"See that Puppet runs on {move.new.name}"):
            op.puppet.agent(move.new, noop=True)

    @override
    def seen_wrong(self, facts: Facts) -> Iterator[str]:
        with self.operator.report.task("Ask for every record and check every signature"):
            yield from self._seen_wrong(facts)

    @property
    def _move(self) -> Move:
        return Move.of(self.operator)

    def _resolver(self) -> Iterator[str]:
        """See that the old host itself does not resolve names by the server that will stop."""
        move = self._move
        text = self.operator.ssh.read(move.old.name, "/etc/resolv.conf")
        for address in re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE):
            if address.startswith("127.") or address in {"::1", *move.old_addresses}:
                yield f"{move.old.name} asks itself for names: give it another resolver first"

    def _served(self, facts: Facts) -> Iterator[str]:
        """See that the old server serves what its files say, and that its parents are trusted."""
        op, move = self.operator, self._move
        for name, each in facts.zones.items():
            if each.old is None:
                continue
            if move.bind.is_dynamic(name):
                yield f"{name} changes by dynamic updates: its file is not to be edited"
            try:
                for address in move.old_addresses:
                    yield from problems(op.dns, address, each.old)
                op.tree.keys(op.tree.parent(name))
            except GeneralproveError as error:
                yield str(error)

    def _seen_wrong(self, facts: Facts) -> Iterator[str]:
        op, move = self.operator, self._move
        for name in facts.content:
            try:
                keys = op.tree.keys(name)
                for address in move.new_addresses:
                    yield from problems(op.dns, address, facts.content[name], keys=keys)
            except GeneralproveError as error:
                yield str(error)
        for address in move.new_addresses:
            yield from self._too_open(address, facts)
        for address in move.old_addresses:
            if op.dns.serves(address):
                yield f"something still answers at {address}"

    def _too_open(self, address: str, facts: Facts) -> Iterator[str]:
        """See that the new server gives away no whole zone, and asks nobody for others."""
        for name in facts.zones:
            try:
                self.operator.dns.axfr(address, name)
            except DnsError:
                continue
            yield f"{address} gives all of {name} to anybody"
        if self.operator.dns.query(address, ".", "NS").flags & dns.flags.RA:
            yield f"{address} looks names up for anybody"


def refusals(facts: Facts, move: Move) -> tuple[str, ...]:
    """Return why the zones cannot be moved, as far as the facts tell."""
    return (*_of_the_server(facts, move), *_of_the_zones(facts, move))


def _of_the_server(facts: Facts, move: Move) -> Iterator[str]:
    if not facts.bind.active:
        yield f"the name server on {move.old.name} does not run"
    if not facts.bind.enabled:
        yield f"the name server on {move.old.name} would not come back after a restart"
    if not facts.zones:
        yield f"{move.old.name} serves no zone"


def _of_the_zones(facts: Facts, move: Move) -> Iterator[str]:
    for name, each in facts.zones.items():
        if each.old is None:
            continue
        if each.parent.nameservers != each.old.nameservers:
            named = ", ".join(sorted(each.parent.nameservers))
            yield f"{name} is delegated to {named}, but names others itself"
        for server, addresses in each.parent.glue.items():
            if others := set(addresses) - set(move.old_addresses):
                yield f"{name} is served at {', '.join(sorted(others))} as well ({server})"
        if each.parent.ds:
            yield f"{name} has a DS at its parent: it is signed with a key that is not ours"
        if zones.compare(each.old, zone_data.from_hiera(zone_data.to_hiera([each.old]))[name]):
            yield f"{name} has records that cannot be kept as data"

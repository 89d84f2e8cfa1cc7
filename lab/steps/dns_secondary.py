"""Step 6: the standby serves the zones as well, and goes on when the first server is down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import dns.flags
from typing_extensions import override

from lab.errors import GeneralproveError
from lab.operator.dns import DnsError
from lab.operator.dns_check import problems
from lab.steps.dns_secondary_facts import PRIMARY, Facts, Pair
from lab.steps.dns_secondary_phases import phases
from lab.steps.phased import PhasedStep
from lab.steps.phases import Phase


class DnsSecondary(PhasedStep[Facts]):
    """Two servers give the same answers, signed with the same key; either may die."""

    name: ClassVar[str] = "dns_secondary"
    title: ClassVar[str] = "The standby serves DNS as well"
    needs: ClassVar[tuple[str, ...]] = ("control", "dns", "wipe")

    @override
    def observe(self) -> Facts:
        return self._pair.observe()

    @override
    def phases(self) -> Sequence[Phase[Facts]]:
        return phases(self._pair)

    @override
    def begun(self, facts: Facts) -> bool:
        return bool(phases(self._pair)[0].left(facts))

    @override
    def refusals(self, facts: Facts) -> Iterator[str]:
        op, pair = self.operator, self._pair
        yield from refusals(facts, pair)
        with op.report.task(f"See that {pair.second.host.name} reaches {pair.first.host.name}"):
            for name in facts.content:
                try:
                    op.dns.query(pair.first.private, name, "SOA", via=pair.second.host.name)
                except DnsError as error:
                    yield str(error)
        with op.report.task(f"See that Puppet runs on {pair.second.host.name}"):
            op.puppet.agent(pair.second.host, noop=True)

    @override
    def seen_wrong(self, facts: Facts) -> Iterator[str]:
        op, pair = self.operator, self._pair
        with op.report.task("Ask both for every record and check every signature"):
            yield from self._served(facts)
        with op.report.task("See that nobody else gets a whole zone"):
            yield from self._too_open(facts)
        for server in (pair.first, pair.second):
            with op.report.task(f"Run Puppet on {server.host.name} again: nothing may change"):
                if changed := op.puppet.agent(server.host).changed:
                    yield f"a second run changed {changed} resources on {server.host.name}"

    @property
    def _pair(self) -> Pair:
        return Pair.of(self.operator)

    def _served(self, facts: Facts) -> Iterator[str]:
        for name, zone in facts.content.items():
            try:
                keys = self.operator.tree.keys(name)
                for addresses in self._pair.together.values():
                    for address in addresses:
                        yield from problems(self.operator.dns, address, zone, keys=keys)
            except GeneralproveError as error:
                yield str(error)

    def _too_open(self, facts: Facts) -> Iterator[str]:
        """See that no whole zone goes to the world, or into the mesh without the key."""
        op, pair = self.operator, self._pair
        ways: list[tuple[str, str | None]] = [
            *((each, None) for listed in pair.together.values() for each in listed),
            *((each.private, op.puppet.control) for each in (pair.first, pair.second)),
        ]
        for address, via in ways:
            for name in facts.content:
                try:
                    op.dns.axfr(address, name, via=via)
                except DnsError:
                    continue
                yield f"{address} gives all of {name} to {via or 'anybody'}"
            if op.dns.query(address, ".", "NS", via=via).flags & dns.flags.RA:
                yield f"{address} looks names up for anybody"


def refusals(facts: Facts, pair: Pair) -> Iterator[str]:
    """Yield why the second server cannot join, as far as the facts tell."""
    first = pair.first.host.name
    if not facts.content:
        yield f"{first} is the primary of no zone"
    if not facts.reachable:
        yield f"{pair.second.host.name} cannot be reached"
    for name, parent in facts.parents.items():
        served = facts.first.get(name)
        if served is None or served.kind != PRIMARY or served.zone is None:
            yield f"{first} does not serve {name} as its primary"
            continue
        if not served.signed:
            yield f"{first} does not sign {name}"
        yield from served.unsigned
        if not pair.delegated(name, parent, pair.alone):
            named = ", ".join(sorted(parent.nameservers))
            yield f"the parent of {name} delegates it to {named}, not to {pair.first.name} alone"

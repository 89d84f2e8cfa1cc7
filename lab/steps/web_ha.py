"""Step 7: the web is served by production and its standby together, so that either may die."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import permutations
from typing import ClassVar

from typing_extensions import override

from lab.errors import GeneralproveError
from lab.operator import web_compare
from lab.operator.dns_check import problems
from lab.operator.web_client import Server, Url
from lab.steps.phased import PhasedStep
from lab.steps.phases import Phase
from lab.steps.web_facts import leading
from lab.steps.web_ha_facts import Facts
from lab.steps.web_ha_move import Pair
from lab.steps.web_ha_phases import ARRIVAL_SECONDS, phases


class WebHa(PhasedStep[Facts]):
    """Names lead to both servers while both are well, and to the other one when one is not."""

    name: ClassVar[str] = "web_ha"
    title: ClassVar[str] = "The web is served by two servers, either of which may die"
    needs: ClassVar[tuple[str, ...]] = ("control", "dns", "web", "mail", "wipe", "dns_secondary")

    @override
    def observe(self) -> Facts:
        return self._pair.observe()

    @override
    def phases(self) -> Sequence[Phase[Facts]]:
        return phases(self._pair)

    @override
    def begun(self, facts: Facts) -> bool:
        return bool(facts.hosts)

    @override
    def refusals(self, facts: Facts) -> Iterator[str]:
        op, pair = self.operator, self._pair
        yield from refusals(facts, pair)
        with op.report.task(f"See that Puppet runs on {pair.second.name}"):
            op.puppet.agent(pair.second, noop=True)

    @override
    def seen_wrong(self, facts: Facts) -> Iterator[str]:
        op, pair = self.operator, self._pair
        with op.report.task("Ask both for every address from outside"):
            pages = pair.pages(pair.first)
            places = [address for host in pair.hosts for address in pair.addresses(host)]
            with ThreadPoolExecutor() as pool:
                for address, wrong in zip(
                    places, pool.map(lambda each: self._pages(each, pages), places), strict=True
                ):
                    yield from (f"{address}: {each}" for each in wrong)
        with op.report.task("Ask both for every name"):
            for host in pair.hosts:
                for name, zone in facts.content.items():
                    address = pair.addresses(host)[0]
                    for each in problems(op.dns, address, zone, keys=op.tree.keys(name)):
                        yield f"{host.name}: {each}"
        with op.report.task("See that what is written on either is on the other"):
            for source, target in permutations(pair.hosts):
                yield from pair.arrived(source, target, seconds=ARRIVAL_SECONDS)

    @property
    def _pair(self) -> Pair:
        return Pair.of(self.operator)

    def _pages(self, address: str, pages: web_compare.Pages) -> list[str]:
        """Return what visitors of one address see otherwise than the first server has it."""
        op, pair = self.operator, self._pair
        server = Server(dial=op.ssh.dial, address=address, trust=op.acme.believing())
        asked = [name for site in pair.sites for name in site.asked]
        checks = [Url(scheme="http", host=name, path="/healthz") for name in asked]
        try:
            found = server.fetch([*pages, *checks])
        except GeneralproveError as error:
            return [str(error)]
        unwell = [
            f"{url} answers {found[url].status}"
            for url in checks
            if found[url].status != HTTPStatus.OK
        ]
        return unwell + web_compare.differences(pair.sites, pages, found, data=False)


def refusals(facts: Facts, pair: Pair) -> Iterable[str]:
    """Yield why the two cannot serve together, as far as the facts tell."""
    for host, has in zip(pair.hosts, (facts.first, facts.second), strict=True):
        if has is None:
            yield f"{host.name} cannot be reached"
        if not facts.zones.get(host.name):
            yield f"{host.name} serves no zone"
    if facts.first and not facts.first.serves:
        yield f"{pair.first.name} does not serve the web"
    if facts.ttl_limit is not None:
        yield "another change of the zones is under way"
    names = [name for site in pair.sites for name in site.names]
    found = leading(names, facts.content.values(), pair.addresses(pair.first))
    others = set(pair.addresses(pair.first))
    for records in found.values():
        for record in records:
            if more := set(record.values) - others:
                yield f"{record} leads to {', '.join(sorted(more))} as well"
    if not found:
        yield f"no name of a site leads to {pair.first.name}"

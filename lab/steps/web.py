"""Step 3: the web moves from the server made by hand to one made by Puppet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ClassVar
from urllib.parse import urlsplit

from typing_extensions import override

from lab.errors import GeneralproveError
from lab.operator import web_compare
from lab.operator.web_client import Server, Url
from lab.operator.web_data import Site
from lab.operator.zones import Zone
from lab.parallel import meanwhile
from lab.steps import web_content
from lab.steps.phased import PhasedStep
from lab.steps.phases import Phase
from lab.steps.web_cutover import TWO_YEARS, phases
from lab.steps.web_facts import Facts, leading
from lab.steps.web_move import Move


class Web(PhasedStep[Facts]):
    """The new host serves every site of the old one, over HTTPS, and nobody notices."""

    name: ClassVar[str] = "web"
    title: ClassVar[str] = "The web moves to the new production server"
    needs: ClassVar[tuple[str, ...]] = ("control", "dns")

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
        with meanwhile(partial(op.puppet.agent, move.new, noop=True)) as tried:
            with op.report.task(f"Ask {move.old.name} for every address"):
                yield from (*self._certificates(), *self._pages())
            with op.report.task(f"See that {op.acme.directory} can be reached"):
                yield from self._authority()
            with op.report.task(f"See that Puppet runs on {move.new.name}"):
                tried.result()

    @override
    def seen_wrong(self, facts: Facts) -> Sequence[str]:
        with self.operator.report.task("Ask for every address from outside"):
            return self._outside()

    @property
    def _move(self) -> Move:
        return Move.of(self.operator)

    def _certificates(self) -> Iterator[str]:
        """See that the old server's certificates are such as visitors believe today."""
        move, op = self._move, self.operator
        server = Server(dial=op.ssh.dial, address=move.old_addresses[0], trust=op.acme.believing())
        for site in move.sites:
            for name in site.certified:
                url = Url(scheme="https", host=name, path="/")
                try:
                    server.fetch([url])
                except GeneralproveError as error:
                    yield f"visitors of https://{name} see an error today: {error.what}"

    def _pages(self) -> Iterator[str]:
        """See that the old server answers everything, before anything is compared with it."""
        move = self._move
        try:
            yield from web_compare.broken(web_content.pages(move))
        except GeneralproveError as error:
            yield str(error)

    def _authority(self) -> Iterator[str]:
        """See that the new host reaches the authority that will issue its certificates."""
        acme, host = self.operator.acme, self._move.new.name
        parts = urlsplit(acme.directory)
        server = Server(
            dial=self.operator.ssh.dial, address=parts.netloc, via=host, trust=acme.trust()
        )
        try:
            server.fetch([Url(scheme=parts.scheme, host=parts.netloc, path=parts.path)])
        except GeneralproveError as error:
            yield f"{host} does not reach {acme.directory}: {error.what}"

    def _outside(self) -> list[str]:
        """Return what visitors of the new server see otherwise than those of the old one did."""
        move, op = self._move, self.operator
        trust = op.acme.believing()
        old = web_content.pages(move)

        def ask(address: str) -> list[str]:
            server = Server(dial=op.ssh.dial, address=address, trust=trust)
            try:
                new = server.fetch(old)
            except GeneralproveError as error:
                return [str(error)]
            told = f"max-age={TWO_YEARS}"
            unsealed = [
                f"{url} does not tell browsers to remember HTTPS"
                for url, page in new.items()
                if url.scheme == "https" and page.headers.get("strict-transport-security") != told
            ]
            # Somebody may have written since the data moved: the old pages made of it are old.
            return web_compare.differences(move.sites, old, new, data=False) + unsealed

        with ThreadPoolExecutor() as pool:
            found = pool.map(ask, move.new_addresses)
        return [
            f"{address}: {each}"
            for address, wrong in zip(move.new_addresses, found, strict=True)
            for each in wrong
        ]


def refusals(facts: Facts, move: Move) -> tuple[str, ...]:
    """Return why the sites cannot be moved, as far as the facts tell."""
    return (
        *_of_the_server(facts, move),
        *_of_the_names(move.sites, facts.content, move.old_addresses),
        *_of_the_issuer(move.sites, facts.content.values(), move.op.acme.issuer),
    )


def _of_the_server(facts: Facts, move: Move) -> Iterator[str]:
    if not facts.old.active:
        yield f"the web server on {move.old.name} does not run"
    if facts.old.mode:
        yield f"the web server on {move.old.name} passes requests on already"
    if not facts.reachable:
        yield f"{move.new.name} cannot be reached"
    if facts.ttl_limit is not None:
        yield "another change of the zones is under way"


def _of_the_names(
    sites: Sequence[Site], zones: Mapping[str, Zone], addresses: Sequence[str]
) -> Iterator[str]:
    """See that every name leads to the old server, and nowhere else."""
    for site in sites:
        for name in site.names:
            found = leading([name], zones.values(), addresses)
            records = [record for each in found.values() for record in each]
            if not records:
                yield f"no record leads {name} to the old server: add one, or drop the name"
            for record in records:
                if others := set(record.values) - set(addresses):
                    yield f"{name} is served at {', '.join(sorted(others))} as well"


def _of_the_issuer(sites: Sequence[Site], zones: Iterable[Zone], issuer: str) -> Iterator[str]:
    """See that no CAA record (RFC 8659) keeps the authority from issuing."""
    known = {
        zone.absolute(record.name).rstrip("."): record.values
        for zone in zones
        for record in zone.records
        if record.type == "CAA"
    }
    for site in sites:
        for name in site.certified:
            labels = name.split(".")
            above = (".".join(labels[i:]) for i in range(len(labels)))
            values = next((known[each] for each in above if each in known), ())
            allowed = [value for value in values if value.split()[1] == "issue"]
            if allowed and not any(f'"{issuer}' in value for value in allowed):
                yield f"the CAA records above {name} do not let {issuer} issue"

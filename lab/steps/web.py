"""Step 3: the web moves from the server made by hand to one made by Puppet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Final
from urllib.parse import urlsplit

from lab.errors import GeneralproveError
from lab.operator import web_compare
from lab.operator.web_client import Server, Url
from lab.operator.web_data import Site
from lab.operator.zones import Zone
from lab.steps import web_content
from lab.steps.base import Step, StepCheckError
from lab.steps.phases import Passage
from lab.steps.web_cutover import TWO_YEARS, phases
from lab.steps.web_facts import Facts, leading
from lab.steps.web_move import Move

_WAIT: Final = "web::wait"
_MOST_TOLD: Final = 8


class Web(Step):
    """The new host serves every site of the old one, over HTTPS, and nobody notices."""

    name: ClassVar[str] = "web"
    title: ClassVar[str] = "The web moves to the new production server"
    needs: ClassVar[tuple[str, ...]] = ("control", "dns")

    def check(self) -> None:
        """See whether the sites can be moved; a move that has begun may always go on."""
        op, move = self.operator, self._move
        missing = [step for step in self.needs if step not in op.stage.reached()]
        if missing:
            raise StepCheckError(f"{', '.join(missing)} comes first", where="step web")
        with op.report.task("Look at the web servers and the zones"):
            facts = move.observe()
        if facts.before:
            op.report.say("It has begun already and goes on from where it stands")
            return
        wrong = list(refusals(facts, move))
        with op.report.task(f"Ask {move.old.name} for every address"):
            wrong += [*self._certificates(), *self._pages()]
        with op.report.task(f"See that {op.acme.directory} can be reached"):
            wrong += self._authority()
        with op.report.task(f"See that Puppet runs on {move.new.name}"):
            op.puppet.agent(move.new, noop=True)
        if wrong:
            more = f"; and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
            raise StepCheckError("; ".join(wrong[:_MOST_TOLD]) + more, where="step web")

    def apply(self) -> None:
        """Go through the phases from wherever they stand."""
        self._passage.forth()
        self.operator.stage.reach(self.name)

    def verify(self) -> None:
        """Ask from outside for every address, over both families, and for how it is sealed."""
        move = self._move
        facts = move.observe()
        wrong = list(phases(move)[-1].lacks(facts))
        with self.operator.report.task("Ask for every address from outside"):
            wrong += self._outside()
        if wrong:
            more = f"; and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
            raise StepCheckError("; ".join(wrong[:_MOST_TOLD]) + more, where="step web")

    def rollback(self) -> None:
        """Go back through the phases, last first, from wherever they stand."""
        self.operator.stage.leave(self.name)
        self._passage.back()

    @property
    def _move(self) -> Move:
        fleet = self.operator.fleet
        new = next(host for host in fleet.hosts.values() if host.role == "production")
        return Move(op=self.operator, old=fleet.legacy, new=new)

    @property
    def _passage(self) -> Passage[Facts]:
        move, op = self._move, self.operator
        return Passage(
            phases=phases(move),
            observe=move.observe,
            stage=op.stage,
            key=_WAIT,
            report=op.report,
        )

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

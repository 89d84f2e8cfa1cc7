"""Step 5: the old server is made anew, once nothing depends on it, and enrols as the standby."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, Final

from typing_extensions import override

from lab.errors import GeneralproveError
from lab.operator.dns_check import problems
from lab.operator.reinstall import RELEASE
from lab.operator.web_client import Server, Url
from lab.parallel import meanwhile
from lab.steps.base import StepError
from lab.steps.mail_seen import Look
from lab.steps.phased import PhasedStep
from lab.steps.phases import Phase
from lab.steps.wipe_facts import OLD, Facts
from lab.steps.wipe_last import depends, phases, where_it_is
from lab.steps.wipe_move import Move

_SSH: Final = "22"
_ERRORS: Final = 500


class Wipe(PhasedStep[Facts]):
    """Nothing is lost with the old host, and nobody misses it."""

    name: ClassVar[str] = "wipe"
    title: ClassVar[str] = "The old server is made anew, and becomes the standby"
    needs: ClassVar[tuple[str, ...]] = ("control", "dns", "web", "mail")

    @override
    def observe(self) -> Facts:
        return self._move.observe()

    @override
    def phases(self) -> Sequence[Phase[Facts]]:
        return phases(self._move)

    @override
    def begun(self, facts: Facts) -> bool:
        return bool(facts.wiping)

    @override
    def refusals(self, facts: Facts) -> Iterator[str]:
        op, move = self.operator, self._move
        if facts.host != OLD:
            raise StepError("it cannot be reached", where=move.old.name)
        with op.report.task(f"See that nothing depends on {move.old.name}"):
            yield from depends(move, facts)
        with op.report.task(f"See that {move.new.name} has room for all of it"):
            yield from self._room(facts)

    @override
    def seen_wrong(self, facts: Facts) -> Iterator[str]:
        op, move = self.operator, self._move
        if facts.system != RELEASE:
            yield f"{move.old.name} runs {facts.system or 'nothing'}, not {RELEASE}"
            return
        with meanwhile(partial(op.puppet.agent, move.old)) as again:
            yield from self._offered()
            with op.report.task("Ask for names, pages and mail from outside"):
                yield from self._served(facts)
            with op.report.task("Run Puppet again: nothing may change"):
                changed = again.result().changed
        if changed:
            yield f"a second run changed {changed} resources on {move.old.name}"
        op.report.say(f"Should anybody miss something: {where_it_is(move, facts)}")

    @override
    def rollback(self) -> None:
        """Go back through the phases, last first; not from where there is nothing to go back to.

        Raises:
            StepError: the old host is gone.
        """
        move = self._move
        facts = move.observe()
        if facts.wiping and facts.host != OLD:
            raise StepError(
                f"{move.old.name} was wiped, which cannot be undone: {where_it_is(move, facts)}",
                where="step wipe",
            )
        super().rollback()

    @property
    def _move(self) -> Move:
        return Move.of(self.operator)

    def _room(self, facts: Facts) -> Iterator[str]:
        """See that the backup has room, and what is read back of it."""
        if facts.backup:
            return
        needed, free = self._move.backup.needed()
        if free < needed:
            yield (
                f"{self._move.new.name} has {free / 1e9:,.1f} GB free below /srv, and the backup "
                f"takes {needed / 1e9:,.1f} GB with what is read back of it: make room"
            )

    def _offered(self) -> Iterator[str]:
        """See that the standby offers nothing to the world but SSH."""
        host = self._move.old.name
        said = self.operator.ssh.run(host, ["ss", "-Htln"]).stdout
        for line in said.splitlines():
            address, _, port = line.split()[3].rpartition(":")
            inside = address.startswith(("127.", "[::1]", str(self._move.old.wireguard)))
            if port != _SSH and not inside:
                yield f"{host} offers something on port {port}"

    def _served(self, facts: Facts) -> Iterator[str]:
        """See that names, pages and mail are served as ever, over both families."""
        op, move = self.operator, self._move
        trust = op.acme.believing()
        names = sorted({name for site in move.web.sites for name in site.certified})
        urls = [Url(scheme="https", host=name, path="/") for name in names]
        for address in move.new_addresses:
            look = Look(
                dial=partial(op.ssh.dial, address),
                trust=trust,
                name=f"mail.{op.fleet.domain}",
                domain=op.fleet.domain,
                reader=f"postmaster@{op.fleet.domain}",
            )
            try:
                for name, zone in facts.content.items():
                    yield from problems(op.dns, address, zone, keys=op.tree.keys(name))
                pages = Server(dial=op.ssh.dial, address=address, trust=trust).fetch(urls)
                yield from (
                    f"{address}: {url} answers {page.status}"
                    for url, page in pages.items()
                    if page.status >= _ERRORS
                )
                for asking in (look.mail_is_taken, look.readers_are_served):
                    yield from (f"{address}: {wrong}" for wrong in asking())
            except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
                yield f"{address}: {error}"
            except GeneralproveError as error:
                yield f"{address}: {error}"

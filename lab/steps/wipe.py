"""Step 5: the old server is made anew, once nothing depends on it, and enrols as the standby."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Final

from lab.errors import GeneralproveError
from lab.operator.dns_check import problems
from lab.operator.reinstall import RELEASE
from lab.operator.web_client import Server, Url
from lab.steps.base import Step, StepCheckError, StepError
from lab.steps.mail_seen import Look
from lab.steps.phases import Passage
from lab.steps.wipe_facts import OLD, Facts
from lab.steps.wipe_last import depends, phases, refuse, where_it_is
from lab.steps.wipe_move import Move

_WAIT: Final = "wipe::wait"
_SSH: Final = "22"
_ERRORS: Final = 500


class Wipe(Step):
    """Nothing is lost with the old host, and nobody misses it."""

    name: ClassVar[str] = "wipe"
    title: ClassVar[str] = "The old server is made anew, and becomes the standby"
    needs: ClassVar[tuple[str, ...]] = ("control", "dns", "web", "mail")

    def check(self) -> None:
        """See whether anything depends on the old host; a wipe that has begun may go on."""
        op, move = self.operator, self._move
        missing = [step for step in self.needs if step not in op.stage.reached()]
        if missing:
            raise StepCheckError(f"{', '.join(missing)} comes first", where="step wipe")
        facts = move.observe()
        if facts.wiping:
            op.report.say("It has begun already and goes on from where it stands")
            return
        if facts.host != OLD:
            raise StepError("it cannot be reached", where=move.old.name)
        with op.report.task(f"See that nothing depends on {move.old.name}"):
            wrong = depends(move, facts)
        with op.report.task(f"See that {move.new.name} has room for all of it"):
            wrong += self._room(facts)
        refuse(wrong, move.old.name)

    def apply(self) -> None:
        """Go through the phases from wherever they stand."""
        self._passage.forth()
        self.operator.stage.reach(self.name)

    def verify(self) -> None:
        """See that the host is the standby and offers nothing, and that the users are served."""
        op, move = self.operator, self._move
        facts = move.observe()
        wrong = list(phases(move)[-1].lacks(facts))
        if facts.system != RELEASE:
            wrong.append(f"{move.old.name} runs {facts.system or 'nothing'}, not {RELEASE}")
        if not wrong:
            with op.report.task("Run Puppet again: nothing may change"):
                changed = op.puppet.agent(move.old).changed
            if changed:
                wrong.append(f"a second run changed {changed} resources on {move.old.name}")
            wrong += self._offered()
        with op.report.task("Ask for names, pages and mail from outside"):
            wrong += self._served(facts)
        if wrong:
            raise StepCheckError("; ".join(wrong), where="step wipe")
        op.report.say(f"Should anybody miss something: {where_it_is(move, facts)}")

    def rollback(self) -> None:
        """Go back through the phases, last first; not from where there is nothing to go back to.

        Raises:
            StepError: the old host is gone.
        """
        op, move = self.operator, self._move
        facts = move.observe()
        if facts.wiping and facts.host != OLD:
            raise StepError(
                f"{move.old.name} was wiped, which cannot be undone: {where_it_is(move, facts)}",
                where="step wipe",
            )
        op.stage.leave(self.name)
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

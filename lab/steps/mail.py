"""Step 4: the mail moves from the server made by hand to one made by Puppet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Final

from cryptography import x509
from typing_extensions import override

from lab.operator.mailboxes import STORE
from lab.operator.old_mail import NOT_CARRIED, SERVING
from lab.parallel import meanwhile
from lab.steps.mail_cutover import phases
from lab.steps.mail_facts import Facts
from lab.steps.mail_move import Move
from lab.steps.mail_records import Naming, elsewhere, without_mx, zone_of
from lab.steps.mail_seen import seen_wrong
from lab.steps.phased import PhasedStep
from lab.steps.phases import Phase

_SPARE: Final = 1.25
"""How much more room than the mail takes on the old server there has to be on the new one."""


class Mail(PhasedStep[Facts]):
    """Every mailbox is on the new host, and nobody downloads anything again."""

    name: ClassVar[str] = "mail"
    title: ClassVar[str] = "The mail moves to the new production server"
    needs: ClassVar[tuple[str, ...]] = ("control", "dns", "web")

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
            with op.report.task(f"Look at every mailbox on {move.old.name}"):
                yield from move.directory.problems
                yield from move.compare.readable(move.directory.accounts)
                yield from self._room()
            with op.report.task(f"See that Puppet runs on {move.new.name}"):
                tried.result()

    @override
    def seen_wrong(self, facts: Facts) -> Sequence[str]:
        with self.operator.report.task("Ask the mail server from outside"):
            return seen_wrong(self._move, facts)

    @property
    def _move(self) -> Move:
        return Move.of(self.operator)

    def _room(self) -> Iterator[str]:
        """See that the mail has room on the new host."""
        move, ssh = self._move, self.operator.ssh
        homes = "\n".join(each.maildir for each in move.directory.accounts)
        sizes = "xargs -d '\\n' du -sck 2>/dev/null | tail -n 1 | cut -f 1"
        needed = int(ssh.run(move.old.name, sizes, stdin=homes, timeout=600).stdout or 0)
        volume = f"for it in {STORE} /srv /; do [ ! -d $it ] || exec df -k --output=avail $it; done"
        free = int(ssh.run(move.new.name, volume).stdout.split()[-1])
        if free < needed * _SPARE:
            yield (
                f"{move.new.name} has {free // 1024:,} MB free for {STORE}, and the mail takes "
                f"{needed // 1024:,} MB: make room"
            )


def refusals(facts: Facts, move: Move) -> tuple[str, ...]:
    """Return why the mail cannot be moved, as far as the facts tell."""
    return (
        *_of_the_servers(facts, move),
        *_of_the_names(move.naming(facts.content), facts),
        *expired(move.settings.certificate, at=datetime.now(UTC), where=move.old.name),
    )


def _of_the_servers(facts: Facts, move: Move) -> Iterator[str]:
    old, new = move.old.name, move.new.name
    if not facts.old.postfix or not facts.old.dovecot:
        yield f"Postfix and Dovecot do not both run on {old}"
    if facts.old.mode != SERVING:
        yield f"the mail server on {old} is {facts.old.mode} already"
    if not facts.reachable:
        yield f"{new} cannot be reached"
    if facts.ttl_limit is not None:
        yield "another change of the zones is under way"
    for port, what in NOT_CARRIED.items():
        if port in facts.old.ports:
            yield f"{old} offers {what} on port {port}, and {new} will not: close it there first"


def _of_the_names(naming: Naming, facts: Facts) -> Iterator[str]:
    """See that other servers find this one, and no other, for every domain."""
    if naming.server not in naming.names:
        yield f"no record leads {naming.server} to the old server: add one"
    for domain in without_mx(naming, facts.content):
        yield f"{domain} has no MX record: add `{domain}. MX 10 {naming.server}.`"
    for record in elsewhere(naming, facts.content):
        yield f"{record} names another server than the one that moves: take it out, or move that"
    for domain in naming.domains:
        if zone_of(domain, facts.content) is None:
            yield f"{domain} is in no zone of the fleet: its records cannot be changed"


def expired(pem: str, *, at: datetime, where: str) -> Iterator[str]:
    """Yield what people's programs see wrong in the old server's certificate today.

    Args:
        pem: the certificate, and whatever follows it.
        at: now.
        where: the old server.
    """
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        yield f"the certificate of the mail server on {where} cannot be read"
        return
    if found.not_valid_after_utc < at:
        yield (
            f"the certificate of the mail server on {where} expired on "
            f"{found.not_valid_after_utc:%Y-%m-%d}: renew it, programs complain of it today"
        )

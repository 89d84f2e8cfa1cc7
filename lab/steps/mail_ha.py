"""Step 8: mail is served by two hosts, either of which may die."""

from __future__ import annotations

import hashlib
import imaplib
import smtplib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, Final

from typing_extensions import override

from lab.errors import GeneralproveError
from lab.fleet import Host
from lab.operator.mailboxes import STORE
from lab.operator.ssh import SshError
from lab.operator.web_client import Server as Pages
from lab.operator.web_client import Url
from lab.parallel import side_by_side
from lab.steps.mail_facts import ENFORCE, TESTING
from lab.steps.mail_ha_facts import Facts
from lab.steps.mail_ha_move import Move
from lab.steps.mail_ha_phases import phases
from lab.steps.mail_ha_records import without_mx
from lab.steps.mail_records import relative, values_of, zone_of
from lab.steps.mail_seen import Look
from lab.steps.phased import PhasedStep
from lab.steps.phases import Phase

_SPARE: Final = 1.25
"""How much more room than the mail takes on the first server there has to be on the second."""

_ALIKE_TRIES: Final = 10

_POLICY_SECONDS: Final = 86400
"""``profile::mail::mta_sts_max_age``."""


class MailHa(PhasedStep[Facts]):
    """The standby has every mailbox, takes mail, and is led to when the other one is away."""

    name: ClassVar[str] = "mail_ha"
    title: ClassVar[str] = "Mail is served by two hosts, either of which may die"
    needs: ClassVar[tuple[str, ...]] = (
        "control", "dns", "web", "mail", "wipe", "dns_secondary", "web_ha",
    )  # fmt: skip

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
        move, op = self._move, self.operator
        yield from refusals(facts, move)
        if facts.second is None:
            return
        with op.report.task(f"See that {move.second.name} has room for the mail"):
            yield from self._room()
        with op.report.task("See that Puppet runs on both"):
            side_by_side(partial(op.puppet.agent, noop=True), move.both)

    @override
    def seen_wrong(self, facts: Facts) -> Iterator[str]:
        move, op = self._move, self.operator
        with op.report.task("Run Puppet again: nothing may change"):
            runs = side_by_side(op.puppet.agent, move.both)
        for host, run in zip(move.both, runs, strict=True):
            if run.changed:
                yield f"a second run changed {run.changed} resources on {host.name}"
        with op.report.task("Ask both mail servers from outside"):
            yield from self._asked()
        with op.report.task("Compare the mailboxes"):
            yield from self._different()

    @property
    def _move(self) -> Move:
        return Move.of(self.operator)

    def _room(self) -> Iterator[str]:
        """See that the mail has room on the second host."""
        move, ssh = self._move, self.operator.ssh
        needed = int(ssh.run(move.new.name, f"du -sk {STORE} | cut -f 1", timeout=600).stdout or 0)
        volume = f"for it in {STORE} /srv /; do [ ! -d $it ] || exec df -k --output=avail $it; done"
        free = int(ssh.run(move.second.name, volume).stdout.split()[-1])
        if free < needed * _SPARE:
            yield (
                f"{move.second.name} has {free // 1024:,} MB free for {STORE}, and the mail takes "
                f"{needed // 1024:,} MB: make room"
            )

    def _asked(self) -> Iterator[str]:
        """Ask as other servers and people's programs do, by every name, over both families."""
        move, op = self._move, self.operator
        naming, trust = move.naming, op.acme.believing()
        asked = [
            *((address, naming.name) for address in (*naming.first, *naming.second)),
            *((address, naming.second_name) for address in naming.second),
        ]
        for address, name in asked:
            look = Look(
                dial=partial(op.ssh.dial, address),
                trust=trust,
                name=name,
                domain=naming.domain,
                reader=f"postmaster@{naming.domain}",
            )
            for asking in (
                look.mail_is_taken,
                look.submission_wants_a_password,
                look.readers_are_served,
            ):
                try:
                    yield from (f"{address} as {name}: {wrong}" for wrong in asking())
                except (OSError, smtplib.SMTPException, imaplib.IMAP4.error, SshError) as error:
                    yield f"{address} as {name}: {asking.__name__.replace('_', ' ')}: no, {error}"
        yield from self._policy(naming.domain, naming.second_name)

    def _policy(self, domain: str, name: str) -> Iterator[str]:
        """See that the policy names the second server (RFC 8461), wherever it is asked for."""
        move, op = self._move, self.operator
        wanted = [hashlib.sha256(each.encode()).hexdigest() for each in policies(domain, name)]
        url = Url(scheme="https", host=f"mta-sts.{domain}", path="/.well-known/mta-sts.txt")
        for address in move.new_addresses:
            pages = Pages(dial=op.ssh.dial, address=address, trust=op.acme.believing())
            try:
                page = pages.fetch([url])[url]
            except GeneralproveError as error:
                yield f"{address}: {url}: no, {error}"
                continue
            if page.digest not in wanted:
                yield f"{address}: {url} does not name {name}, or says something else"

    def _different(self) -> Iterator[str]:
        """Yield whose mailboxes are not the same on both; people go on using them meanwhile."""
        move = self._move

        def digests(host: Host) -> list[str]:
            asked = self.operator.ssh.run(host.name, ["replicator", "digest"], timeout=120)
            return asked.stdout.splitlines()

        wrong: set[str] = set()
        for turn in range(_ALIKE_TRIES):
            one, other = side_by_side(digests, move.both)
            now = set(one) ^ set(other)
            wrong = now if turn == 0 else wrong & now
            if not wrong:
                return
        owners = {line.split(maxsplit=1)[1] for line in wrong}
        yield from (f"the mailbox of {owner} is not the same on both" for owner in sorted(owners))


def policies(domain: str, name: str) -> Iterator[str]:
    """Yield what may be said to other servers: they insist on TLS, or only tell (RFC 8461, 3.2)."""
    for mode in (ENFORCE, TESTING):
        yield (
            f"version: STSv1\nmode: {mode}\nmx: mail.{domain}\nmx: {name}\n"
            f"max_age: {_POLICY_SECONDS}\n"
        )


def refusals(facts: Facts, move: Move) -> Iterator[str]:
    """Yield why a second server cannot join, as far as the facts tell."""
    first, second = move.both
    if facts.first is None or not facts.first.serves:
        yield f"Postfix and Dovecot do not both run on {first.name}"
    if facts.second is None:
        yield f"{second.name} cannot be reached"
    elif facts.second.serves:
        yield f"a mail server runs on {second.name} already"
    if facts.ttl_limit is not None:
        yield "another change of the zones is under way"
    naming = move.naming
    for domain in without_mx(naming, facts.content):
        yield f"no MX record leads mail for {domain} to {naming.name}"
    zone = zone_of(naming.second_name, facts.content)
    if zone is None:
        yield f"{naming.second_name} is in no zone of the fleet"
        return
    owner = relative(naming.second_name, zone)
    for rdtype in ("A", "AAAA", "CNAME", "LUA"):
        if values_of(zone, owner, rdtype):
            yield f"{naming.second_name} is taken: it has a record of type {rdtype}"

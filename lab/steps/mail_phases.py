"""The first phases of the move: the new server is there, certified, and known to the world.

Until the mailboxes are on it nobody can come to it but the old server, which does not yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from typing_extensions import override

from lab.operator import zone_data
from lab.operator.ssh import SshError
from lab.operator.zones import RecordSet, Zone
from lab.steps import lowering
from lab.steps.base import StepError
from lab.steps.certificates import obtain_certificates
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.mail_facts import BEFORE, OPEN, PEERS, POLICY, SELECTOR, SERVED, Facts
from lab.steps.mail_move import Move
from lab.steps.mail_records import Records, announced, lacking, pointed, sealed, with_records
from lab.steps.mail_records import before as as_before
from lab.steps.mail_records import longest as longest_of
from lab.steps.moving import MovePhase


class MailPhase(MovePhase[Facts, Move]):
    """A phase of the move."""

    def publish(self, facts: Facts, wanted: Records, *, undo: bool = False) -> None:
        """Let the zones have *wanted*."""
        self.write(facts, wanted)
        self.puppet(undo=undo)

    def write(self, facts: Facts, wanted: Records) -> Mapping[str, Zone]:
        """Let the zones have *wanted* from the next run of Puppet on, and return them."""
        op = self.move.op
        content = with_records(facts.content, wanted)
        if content != facts.content:  # else it may hold the comments of people
            op.ssh.write(op.puppet.control, CONTENT_FILE, zone_data.to_hiera(content.values()))
        return content

    def otherwise(self, facts: Facts, wanted: Records) -> list[str]:
        """Return which records are not as wanted, in the data or as they are served."""
        found = lacking(wanted, facts.content, where="the data")
        if facts.reachable:
            found += lacking(wanted, facts.zones, where=self.move.new.name)
        return found

    def originals(self, facts: Facts) -> dict[str, Zone]:
        """Return the zones as they were before the step."""
        return with_records(facts.content, facts.before)

    def as_it_was(self, facts: Facts, wanted: Records) -> Records:
        """Return what stood in the place of *wanted* before the step."""
        keys = {(o, each.name, each.type) for o, sets in wanted.items() for each in sets}
        return {
            origin: tuple(each for each in sets if (origin, each.name, each.type) in keys)
            for origin, sets in facts.before.items()
        }


class Announce(MailPhase, lowering.Lower[Facts, Move]):
    """Nothing is remembered for long any more, and the world knows who may send, and what with."""

    name: ClassVar[str] = "announce"
    title: ClassVar[str] = "Lower the times to live; publish that the new server may send"
    undoing: ClassVar[str] = "Take back that the new server may send; raise the times to live again"
    key: ClassVar[str] = BEFORE

    @override
    def changing(self, facts: Facts) -> Records:
        naming, zones = self.move.naming(facts.content), facts.content
        touched = (
            announced(naming, zones),
            pointed(naming, zones),
            sealed(naming, zones, self.move.sealing(facts)),
        )
        found: dict[str, tuple[RecordSet, ...]] = {}
        for records in touched:
            for origin, sets in as_before(records, zones).items():
                found[origin] = (*found.get(origin, ()), *sets)
        return found

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(super().lacks(facts))
        return wrong + (self.otherwise(facts, self._wanted(facts)) if facts.before else [])

    @override
    def settles(self, facts: Facts) -> int:
        return max(super().settles(facts), longest_of(self._wanted(facts), facts.content))

    @override
    def do(self, facts: Facts) -> None:
        self.publish(self.limit(facts), self._wanted(facts))

    @override
    def undo(self, facts: Facts) -> None:
        # While the stage keeps how the records were, there is something to go on with.
        content = self.write(facts, self.as_it_was(facts, self._wanted(facts)))
        super().undo(replace(facts, content=content))

    def _wanted(self, facts: Facts) -> Records:
        return announced(self.move.naming(facts.content), self.originals(facts))


class Serve(MailPhase):
    """The new server knows everybody, and nobody can come to it."""

    name: ClassVar[str] = "serve"
    title: ClassVar[str] = "Set up the new server, closed to the world"
    undoing: ClassVar[str] = "Stop the new server"
    meanwhile: ClassVar[bool] = True

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        host = self.move.new.name
        wrong = [] if facts.reachable else [f"{host} cannot be reached"]
        wrong += [] if facts.served else ["the stage does not give it the mail"]
        wrong += [] if facts.new.serves else [f"Postfix and Dovecot do not run on {host}"]
        wrong += [] if facts.old.prepared else [f"{self.move.old.name} is not prepared"]
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        found = ["the stage gives the new server the mail"] if facts.served else []
        return found + ([f"{self.move.old.name} is prepared"] if facts.old.present else [])

    @override
    def do(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        move.write_data()
        op.stage.update({**move.stage(), OPEN: None})
        self.puppet()
        with op.report.task("Let the servers reach each other"):
            move.server.prepare(
                target=move.new_addresses[0],
                sealed_as=move.naming(facts.content).server,
                passes_as=move.directory.domains[-1],
                authority=op.acme.roots(),
                domains=move.directory.domains,
            )
            move.mailboxes.prepare(
                move.directory.accounts,
                target=move.old_addresses[0],
                sources=move.new_addresses,
            )

    @override
    def undo(self, facts: Facts) -> None:
        move = self.move
        move.server.remove()
        changes = dict.fromkeys((SERVED, OPEN, PEERS, SELECTOR, POLICY))
        move.op.stage.update(changes)
        self.puppet(undo=True)
        # What it has not yet sent to others stays in its queue, and goes out when it runs again.
        script = """
            systemctl disable --now dovecot.service 2>/dev/null || true
            waiting=$(find /var/spool/postfix/active /var/spool/postfix/deferred \
                /var/spool/postfix/incoming -type f 2>/dev/null | wc -l)
            [ "$waiting" -eq 0 ] || { echo "$waiting"; exit 0; }
            systemctl disable --now postfix.service 2>/dev/null || true
        """
        try:
            move.mailboxes.remove()
            waiting = move.op.ssh.run(move.new.name, script).stdout.strip()
        except SshError as error:
            move.op.report.say(f"[yellow]{error}: stop the mail server there by hand[/]")
            return
        if waiting:
            move.op.report.say(
                f"[yellow]{waiting} messages still wait in the queue of {move.new.name} for other "
                "servers: Postfix goes on there; disable it when `postqueue -p` is empty[/]"
            )


class Certify(MailPhase):
    """The new server shows a certificate that programs believe."""

    name: ClassVar[str] = "certify"
    title: ClassVar[str] = "Obtain a certificate for the names of the mail server"
    undoing: ClassVar[str] = "Nothing: certificates stay until they expire"
    meanwhile: ClassVar[bool] = True

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Serve(move=self.move).lacks(facts))
        return wrong if facts.new.certified else [*wrong, "there is no certificate"]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return ()

    @override
    def do(self, facts: Facts) -> None:
        obtain_certificates(self.move.op, self.move.new.name)

    @override
    def undo(self, facts: Facts) -> None:
        """Do nothing."""


class Open(MailPhase):
    """The world may come to the new server.

    The same run of Puppet that lets the names lead there does it: the packet filter comes first
    (``profile::dns::primary``). On the way back the names have been forgotten before it closes.
    """

    name: ClassVar[str] = "open"
    title: ClassVar[str] = "Let the new server open to the world when the names lead there"
    undoing: ClassVar[str] = "Close the new server to the world"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [] if facts.open else ["the stage does not open the new server"]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return ["the stage opens the new server"] if facts.open else []

    @override
    def do(self, facts: Facts) -> None:
        self.move.op.stage.update({OPEN: True})

    @override
    def undo(self, facts: Facts) -> None:
        if not facts.reachable:
            raise StepError(
                "it cannot be reached, and mail that arrived there is on no other server",
                where=self.move.new.name,
                remedy="Bring it back, then go back again",
            )
        self.move.op.stage.update({OPEN: None})
        self.puppet()

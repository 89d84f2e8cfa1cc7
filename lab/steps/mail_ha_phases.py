"""The phases by which a second mail server joins the first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, Final

from typing_extensions import override

from lab.operator import zone_data
from lab.operator.ssh import SshError
from lab.operator.zones import RecordSet, Zone
from lab.steps.base import StepError
from lab.steps.certificates import obtain_certificates
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.mail_facts import PEERS
from lab.steps.mail_ha_facts import BEFORE, HOSTS, POLICY_MORE, Facts
from lab.steps.mail_ha_move import UNITS, Move
from lab.steps.mail_records import Records, before, lacking, longest, with_records
from lab.steps.moving import MovePhase
from lab.steps.phases import Phase
from lab.steps.web_facts import kept

_ALIKE_SECONDS: Final = 4 * 3600.0
"""How long the first copy of all mailboxes may take."""

_LEAVING_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 1.0


class PairPhase(MovePhase[Facts, Move]):
    """A phase of the step."""

    def publish(self, facts: Facts, wanted: Records, *, undo: bool = False) -> None:
        """Let the zones have *wanted*."""
        op = self.move.op
        content = with_records(facts.content, wanted)
        if content != facts.content:  # else it may hold the comments of people
            op.ssh.write(op.puppet.control, CONTENT_FILE, zone_data.to_hiera(content.values()))
        self.puppet(undo=undo)

    def otherwise(self, facts: Facts, wanted: Records) -> list[str]:
        """Return which records are not as wanted, in the data or as they are served."""
        found = lacking(wanted, facts.content, where="the data")
        if facts.first is not None:
            found += lacking(wanted, facts.zones, where=self.move.new.name)
        return found

    def originals(self, facts: Facts) -> dict[str, Zone]:
        """Return the zones as they were before the step."""
        return with_records(facts.content, facts.before)

    def as_it_was(self, facts: Facts, wanted: Records) -> Records:
        """Return what stood in the place of *wanted* before the step."""
        return before(wanted, self.originals(facts))


class Announce(PairPhase):
    """The world knows where the second server is, and that it may send."""

    name: ClassVar[str] = "announce"
    title: ClassVar[str] = "Publish where the second server is, and that it may send"
    undoing: ClassVar[str] = "Take back that there is a second server"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        if not facts.before:
            return ["it is not written down how the records are"]
        wrong = self.otherwise(facts, self._wanted(facts))
        return wrong if facts.policy else [*wrong, "the policy does not name the second server"]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return ["what the records were before is kept"] if facts.before else []

    @override
    def settles(self, facts: Facts) -> int:
        return longest(self.move.announced(facts.content), facts.zones)

    @override
    def do(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        if not facts.before:
            touched = (
                move.announced(facts.content),
                move.sealed(facts.content, key=""),
                move.led(facts.content),
            )
            found: dict[str, tuple[RecordSet, ...]] = {}
            for records in touched:
                for origin, sets in before(records, facts.content).items():
                    found[origin] = (*found.get(origin, ()), *sets)
            op.stage.update({BEFORE: kept(found)})
        op.stage.update({POLICY_MORE: move.naming.policy_more})
        self.publish(facts, move.announced(self.originals(facts)))

    @override
    def undo(self, facts: Facts) -> None:
        self.move.op.stage.update({POLICY_MORE: None})
        self.publish(facts, facts.before, undo=True)
        self.move.op.stage.update({BEFORE: None})

    def _wanted(self, facts: Facts) -> Records:
        return self.move.announced(self.originals(facts))


class Join(PairPhase):
    """Both servers run, and every mailbox is on both; nobody is led to the second."""

    name: ClassVar[str] = "join"
    title: ClassVar[str] = "Set up the second server, and make its mailboxes like the first one's"
    undoing: ClassVar[str] = "Let the second server hand over what it has, and stop it"
    meanwhile: ClassVar[bool] = True

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = [] if facts.together else ["the stage does not give the mail to both"]
        for host, server in zip(self.move.both, (facts.first, facts.second), strict=True):
            if server is None:
                wrong.append(f"{host.name} cannot be reached")
            elif not server.serves:
                wrong.append(f"Postfix and Dovecot do not run on {host.name}")
            elif not server.paired:
                wrong.append(f"what keeps mailboxes alike does not run on {host.name}")
            elif not server.open:
                wrong.append(f"the mailboxes of {host.name} are not alike yet")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        found = ["the stage gives the mail to both"] if facts.together else []
        if facts.second and (facts.second.serves or facts.second.paired):
            found.append(f"a mail server runs on {self.move.second.name}")
        if facts.first and facts.first.paired:
            found.append(f"{self.move.new.name} still looks for a second server")
        return found

    @override
    def do(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        move.write_secrets()
        # The server that the mail came from is no more: whoever has its addresses is judged again.
        op.stage.update({HOSTS: [each.name for each in move.both], PEERS: None})
        move.on_both()
        with op.report.task(f"Make the mailboxes on {move.second.name} alike"):
            self._until_open()

    @override
    def undo(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        if facts.second is None:
            op.report.say(
                f"[yellow]{move.second.name} cannot be reached: {move.new.name} has what it had "
                "accepted, and delivers it. Wipe it before it comes back[/]"
            )
        elif facts.together and facts.first is not None:
            with op.report.task(f"Let {move.second.name} hand over what it has"):
                self._hand_over()
        op.stage.update({HOSTS: None})
        self.puppet(undo=True)
        for host in move.both:
            more = "dovecot.service postfix.service" if host == move.second else ""
            script = f"""
                systemctl disable --now {" ".join(UNITS)} {more} 2>/dev/null || true
                nft delete table inet mail_pair 2>/dev/null || true
                rm -rf /run/mail-pair /var/lib/mail-pair /etc/dovecot/replicator.conf
            """
            try:
                op.ssh.run(host.name, script)
            except SshError as error:
                op.report.say(f"[yellow]{error}: stop it there by hand[/]")

    def _until_open(self) -> None:
        """Wait until both let people in.

        Raises:
            StepError: the mailboxes do not become alike.
        """
        move = self.move
        deadline = time.monotonic() + _ALIKE_SECONDS
        while wrong := self.lacks(move.observe()):
            if time.monotonic() > deadline:
                raise StepError(
                    "; ".join(wrong),
                    where=move.second.name,
                    remedy="`replicator status` there says what it waits for",
                )
            time.sleep(_POLL_SECONDS)

    def _hand_over(self) -> None:
        """Close the second server to the world, empty its queue, make the mailboxes alike.

        Raises:
            StepError: something stays that is only there.
        """
        host = self.move.second.name
        script = """
            systemctl stop mail-pair.service
            mail-pair shut
            postqueue -f
            until [ -z "$(postqueue -j)" ]; do sleep 0.3; done
            replicator wait --timeout 120
        """
        try:
            self.move.op.ssh.run(host, script, timeout=_LEAVING_SECONDS)
        except SshError as error:
            raise StepError(
                f"it has mail that is nowhere else: {error.what}",
                where=host,
                remedy="`postqueue -p` and `replicator status` there say what. It can be run again",
            ) from error


class Certify(PairPhase):
    """The second server shows a certificate that programs believe."""

    name: ClassVar[str] = "certify"
    title: ClassVar[str] = "Obtain a certificate of its own for the second server"
    undoing: ClassVar[str] = "Nothing: certificates stay until they expire"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Join(move=self.move).lacks(facts))
        if facts.second and not facts.second.certified:
            wrong.append(f"{self.move.second.name} has no certificate for all of its names")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return ()

    @override
    def do(self, facts: Facts) -> None:
        obtain_certificates(self.move.op, self.move.second.name)

    @override
    def undo(self, facts: Facts) -> None:
        """Do nothing."""


class Seal(PairPhase):
    """Other servers know the keys of both."""

    name: ClassVar[str] = "seal"
    title: ClassVar[str] = "Publish the second server's key"
    undoing: ClassVar[str] = "Take the second server's key back"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [*Certify(move=self.move).lacks(facts), *self.otherwise(facts, self._wanted(facts))]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        if not facts.before:
            return []
        return self.otherwise(facts, self.as_it_was(facts, self._wanted(facts)))

    @override
    def settles(self, facts: Facts) -> int:
        return longest(self._wanted(facts), facts.zones)

    @override
    def do(self, facts: Facts) -> None:
        self.publish(facts, self._wanted(facts))

    @override
    def undo(self, facts: Facts) -> None:
        self.publish(facts, self.as_it_was(facts, self._wanted(facts)), undo=True)

    def _wanted(self, facts: Facts) -> Records:
        key = facts.second.key if facts.second else ""
        return self.move.sealed(self.originals(facts), key=key)


class Lead(PairPhase):
    """Whoever does not find the first server is led to the second."""

    name: ClassVar[str] = "lead"
    title: ClassVar[str] = "Let names and MX records lead to both"
    undoing: ClassVar[str] = "Let names and MX records lead to the first server alone"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [*Seal(move=self.move).lacks(facts), *self.otherwise(facts, self._wanted(facts))]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        if not facts.before:
            return []
        return self.otherwise(facts, self.as_it_was(facts, self._wanted(facts)))

    @override
    def settles(self, facts: Facts) -> int:
        return longest(self._wanted(facts), facts.zones)

    @override
    def fades(self, facts: Facts) -> int:
        return longest(self._wanted(facts), facts.zones)

    @override
    def do(self, facts: Facts) -> None:
        self.publish(facts, self._wanted(facts))

    @override
    def undo(self, facts: Facts) -> None:
        if facts.first is None or not facts.first.serves:
            raise StepError(
                "it does not serve, and everybody would be led there",
                where=self.move.new.name,
                remedy="Bring it back, then go back again",
            )
        self.publish(facts, self.as_it_was(facts, self._wanted(facts)))

    def _wanted(self, facts: Facts) -> Records:
        return self.move.led(self.originals(facts))


def phases(move: Move) -> tuple[Phase[Facts], ...]:
    """Return all phases of the step, in their order."""
    return tuple(each(move=move) for each in _PHASES)


_PHASES: Final = (Announce, Join, Certify, Seal, Lead)

"""The last phases of the wipe: the old host is made anew, and enrols as the standby."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Final

from typing_extensions import override

from lab.operator.backup import LEFT_OUT, how_to_restore
from lab.operator.enrolment import Enrolment
from lab.operator.mailboxes import HOME as WAY_TO_MAILBOXES
from lab.operator.site_data import FIRST_STEP
from lab.parallel import meanwhile, side_by_side
from lab.steps import wipe_remains
from lab.steps.base import StepCheckError, StepError
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.web_facts import PASSAGE
from lab.steps.wipe_facts import BARE, CLIENTS, ENROLLED, FOREIGN, GONE, OLD, WIPING, Facts
from lab.steps.wipe_move import Move
from lab.steps.wipe_phases import Forget, Keep, Watch, Watched, WipePhase
from lab.steps.wipe_records import at_parents, leading

_MOST_TOLD: Final = 12


def depends(move: Move, facts: Facts) -> list[str]:
    """Return what still leads to the old host, or is on it alone; nothing is changed."""
    naming, old = move.naming(facts.content), move.old.name
    records = [*leading(naming, facts.content), *leading(naming, facts.zones)]
    found = [
        f"{each} leads to {old}: take it out of {CONTENT_FILE} on {move.op.puppet.control}, or let "
        "it lead elsewhere"
        for each in dict.fromkeys(records)
    ]
    found += [
        f"{each}: change it at the registrar"
        for each in at_parents(naming, facts.content, move.parents(list(facts.content)))
    ]
    remains = wipe_remains.look(move.mail, move.web)
    for line in wipe_remains.told(remains, old):
        move.op.report.say(line)
    return found + list(wipe_remains.refusals(remains, old))


def refuse(found: Sequence[str], host: str) -> None:
    """Refuse to go on when something was *found*.

    Raises:
        StepCheckError: something was.
    """
    if found:
        more = f"; and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
        raise StepCheckError(
            f"{host} is still needed: {'; '.join(found[:_MOST_TOLD])}{more}", where="step wipe"
        )


class Wipe(WipePhase):
    """The old host is bare."""

    name: ClassVar[str] = "wipe"
    title: ClassVar[str] = "Look at everything once more; make the old server anew"
    undoing: ClassVar[str] = "Let the old server be"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        if facts.host == BARE:
            return []
        if facts.host == FOREIGN:
            return [f"{self.move.old.name} was made anew with {facts.system}"]
        return [*Watched(move=self.move).lacks(facts), f"{self.move.old.name} is not bare"]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [f"{self.move.old.name} was to be wiped"] if facts.wiping else []

    @override
    def do(self, facts: Facts) -> None:
        move, op, host = self.move, self.move.op, self.move.old.name
        if facts.host == OLD:
            with op.report.task(f"See that nothing depends on {host}"):
                self.refuse_uses(move.callers.look())
                # Should somebody come here by another way.
                wanting = Watched(move=move).lacks(facts)
                refuse([*wanting, *depends(move, facts)], host)
        # From here on nobody can tell by looking whether there was ever anything to lose.
        if not facts.wiping:
            op.stage.update({WIPING: facts.identity})
        with op.report.task(f"Make {host} anew"):
            op.reinstaller.reinstall(move.old, identity=facts.wiping or facts.identity)

    @override
    def undo(self, facts: Facts) -> None:
        if facts.host != OLD:
            raise StepError(
                f"{self.move.old.name} was wiped, which cannot be undone: "
                + where_it_is(self.move, facts),
                where="step wipe",
            )
        self.move.op.stage.update({WIPING: None})


class Enrol(WipePhase):
    """Puppet has made it the standby."""

    name: ClassVar[str] = "enrol"
    title: ClassVar[str] = "Let the bare host enrol as the standby"
    undoing: ClassVar[str] = "Forget that it may enrol"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        host = self.move.old.name
        wrong = [] if facts.host == BARE else [f"{host} is not bare"]
        wrong += [] if host in facts.enrolled else [f"the stage does not enrol {host}"]
        wrong += [] if facts.signed else [f"Puppet has not made {host} what it shall be"]
        return wrong + ([f"{host} may send backups"] if host in facts.clients else [])

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        host = self.move.old.name
        return [f"the stage enrols {host}"] if host in facts.enrolled else []

    @override
    def do(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        host, control = move.old.name, move.op.puppet.control
        if facts.host == GONE:
            raise StepError("it cannot be reached", where=host, remedy="Bring it back first")
        first = [each.name for each in op.fleet.hosts.values() if each.enrols == FIRST_STEP]
        names = list(dict.fromkeys([*(facts.enrolled or first), host]))
        # Whoever has the old server's keys is nobody's peer any more. What the mail server allows
        # its addresses stays: without it a listener comes back, and Dovecot 2.4.1 dies of that.
        op.stage.update({ENROLLED: names, CLIENTS: {}, PASSAGE: None})
        enrolment = Enrolment(ssh=op.ssh, site=op.site, puppet=op.puppet)
        with (
            meanwhile(partial(enrolment.prepare, host)),
            op.report.task(f"Puppet on {control}; an agent for {host}"),
        ):
            op.puppet.agent(control)
        others = [each for each in names if each not in {host, control}]
        with (
            meanwhile(partial(self._tell, others)),
            op.report.task(f"Enrol {host}; let {', '.join(others)} know it"),
        ):
            enrolment.enrol(host, key=op.secrets.enrolment_key)

    @override
    def undo(self, facts: Facts) -> None:
        rest = [each for each in facts.enrolled if each != self.move.old.name]
        self.move.op.stage.update({ENROLLED: rest or None})

    def _tell(self, others: Sequence[str]) -> None:
        """Let other hosts know the standby, and the new server forget the way to the old one."""
        op = self.move.op
        op.ssh.run(self.move.new.name, ["rm", "-rf", WAY_TO_MAILBOXES])
        side_by_side(op.puppet.agent, others)


def where_it_is(move: Move, facts: Facts) -> str:
    """Return where everything is that was on the old host."""
    return how_to_restore(
        host=move.old.name,
        store=move.new.name,
        snapshot=str(facts.backup.get("snapshot", "latest"))[:8],
        left_out=LEFT_OUT,
    )


def phases(move: Move) -> tuple[WipePhase, ...]:
    """Return all phases of the wipe, in their order."""
    return tuple(each(move=move) for each in _PHASES)


_PHASES: Final = (Forget, Watch, Keep, Watched, Wipe, Enrol)

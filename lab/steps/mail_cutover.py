"""The last phases of the move: the mailboxes are on the new server, and so are the names."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import ClassVar, Final, Protocol

from typing_extensions import override

from lab.errors import GeneralproveError
from lab.operator.mail_accounts import Account
from lab.operator.old_mail import GATHERING, HOLDING, PASSING, SERVING
from lab.operator.ssh import SshError
from lab.steps.base import StepError
from lab.steps.dns_facts import TTL_LIMIT
from lab.steps.mail_facts import COPIED, ENFORCE, POLICY, TESTING, Facts
from lab.steps.mail_move import Move
from lab.steps.mail_phases import Announce, Certify, Lower, MailPhase, Open, Serve
from lab.steps.mail_records import Records, longest, pointed, sealed


class Carry(Protocol):
    """Carries mailboxes, one way or the other."""

    def __call__(self, accounts: Sequence[Account], *, seconds: float = ...) -> None:
        """Carry them within so many seconds."""


HOLD_SECONDS: Final = 10.0
"""After which a hold ends by itself, whatever has become of the operator."""

QUICK_SECONDS: Final = 3.0
"""How long a delta may take before the last one is tried, for which people wait."""

DELTA_SECONDS: Final = 4.0
"""How long the last delta may take before it is given up and everybody goes on as before."""

_DELTAS: Final = 10
_DRAIN_SECONDS: Final = 60.0


class Copy(MailPhase):
    """The new server has every mailbox, as it was a moment ago."""

    name: ClassVar[str] = "copy"
    title: ClassVar[str] = "Copy the mailboxes while people use them"
    undoing: ClassVar[str] = "Forget that the mailboxes were copied"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Certify(move=self.move).lacks(facts))
        if facts.old.mode in {PASSING, GATHERING}:
            return wrong
        missing = {each.address for each in self.move.directory.accounts} - facts.new.copied
        return wrong + [f"the mailbox of {each} was not copied" for each in sorted(missing)]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return ["mailboxes were copied"] if facts.new.copied else []

    @override
    def do(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        accounts = move.directory.accounts
        with op.report.task(f"Copy {len(accounts)} mailboxes"):
            move.mailboxes.forth(accounts)
        with op.report.task("Copy what has changed meanwhile"):
            move.mailboxes.forth(accounts)
        noted = "".join(f"{each.address}\n" for each in accounts)
        op.ssh.write(move.new.name, COPIED, noted)

    @override
    def undo(self, facts: Facts) -> None:
        with suppress(SshError):  # then it is gone with the host
            self.move.op.ssh.run(self.move.new.name, ["rm", "-f", COPIED])


class Take(MailPhase):
    """The mailboxes are the new server's; the old one passes everything on."""

    name: ClassVar[str] = "take"
    title: ClassVar[str] = "Move the last of the mail while everybody waits a moment"
    undoing: ClassVar[str] = "Move the mail back while everybody waits a moment"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Copy(move=self.move).lacks(facts))
        if facts.old.mode != PASSING:
            wrong.append(f"{self.move.old.name} does not pass everything on")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        if facts.old.mode == SERVING:
            return []
        return [f"the mail server on {self.move.old.name} is {facts.old.mode}"]

    @override
    def do(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        server = move.server
        if facts.old.mode == GATHERING:
            server.become("pass")
            return
        if facts.old.mode == HOLDING:
            server.become("release")
        with op.puppet.held([move.new.name], "mail moves"):
            self._until_quick(move.mailboxes.forth)
            with self._held():
                with op.report.task(f"Hold the mail on {move.old.name}"):
                    server.become("hold", seconds=HOLD_SECONDS)
                with op.report.task("Move the last of it"):
                    self._last(move.mailboxes.forth, back=False)
                with op.report.task(f"Let {move.old.name} pass everything on"):
                    server.become("pass")

    @override
    def undo(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        server = move.server
        if facts.old.mode == HOLDING:
            server.become("release")
            return
        if not facts.reachable:
            raise StepError(
                "it cannot be reached, and mail that arrived there is on no other server",
                where=move.new.name,
                remedy="Bring it back, then go back again",
            )
        with op.puppet.held([move.new.name], "mail moves back"):
            self._until_quick(move.mailboxes.back)
            self._drain()
            with self._gathered():
                with op.report.task("Hold the mail on both servers"):
                    server.become("gather", seconds=HOLD_SECONDS)
                    self._drain()
                    server.become("close")
                    op.ssh.run(move.new.name, ["systemctl", "stop", "dovecot.service"])
                with op.report.task("Move the last of it back"):
                    self._last(move.mailboxes.back, back=True)
                with op.report.task(f"Let {move.old.name} serve again"):
                    server.become("serve")

    def _last(self, carry: Carry, *, back: bool) -> None:
        """Carry mail and filters at once: people wait for both."""
        accounts = self.move.directory.accounts
        with ThreadPoolExecutor() as pool:
            filters = pool.submit(self.move.mailboxes.filters, accounts, back=back)
            carry(accounts, seconds=DELTA_SECONDS)
            filters.result()
        self.move.compare.counted(accounts)

    def _until_quick(self, carry: Carry) -> None:
        """Carry what has changed until that takes so little time that people can wait for it."""
        op, accounts = self.move.op, self.move.directory.accounts
        for _ in range(_DELTAS):
            begun = time.monotonic()
            with op.report.task("Copy what has changed meanwhile"):
                carry(accounts)
            if time.monotonic() - begun < QUICK_SECONDS:
                return
        raise StepError(
            f"what changes between two copies takes longer than {QUICK_SECONDS:.0f} s to copy",
            where=self.move.old.name,
            remedy="Nobody was kept waiting. Run the step again when the servers have less to do",
        )

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Let the old server go on as before when the last of the mail does not arrive."""
        try:
            yield
        except BaseException as error:
            with suppress(SshError):  # then it does so by itself
                self.move.server.become("release")
            if isinstance(error, GeneralproveError):
                raise StepError(
                    f"the last of the mail was not moved: {error}",
                    remedy=f"{self.move.old.name} serves as before, nothing is lost. "
                    "The step can be run again, or rolled back",
                ) from error
            raise

    @contextmanager
    def _gathered(self) -> Iterator[None]:
        """Let the new server go on when the last of the mail does not come back."""
        try:
            yield
        except BaseException as error:
            with suppress(SshError):
                self.move.op.ssh.run(self.move.new.name, ["systemctl", "start", "dovecot.service"])
            with suppress(SshError):  # then it does so by itself
                self.move.server.become("pass")
            if isinstance(error, GeneralproveError):
                raise StepError(
                    f"the last of the mail was not moved back: {error}",
                    remedy=f"{self.move.new.name} serves on, nothing is lost. "
                    "The rollback can be run again",
                ) from error
            raise

    def _drain(self) -> None:
        """Wait until the new server has nothing queued for its own mailboxes."""
        move = self.move
        domains = "|".join(each.replace(".", "\\.") for each in move.directory.domains)
        script = f"""
            postqueue -f
            while waiting=$(postqueue -j | grep -cE '"address": "[^"]*@({domains})"'); do
                sleep 0.2
            done
        """
        try:
            move.op.ssh.run(move.new.name, f"set +e\n{script}", timeout=_DRAIN_SECONDS)
        except SshError as error:
            raise StepError(
                f"mail waits there that is delivered to no mailbox: {error.what}",
                where=move.new.name,
                remedy="`postqueue -p` there says why",
            ) from error


class Point(MailPhase):
    """The names lead to the new server."""

    name: ClassVar[str] = "point"
    title: ClassVar[str] = "Let the names lead to the new server"
    undoing: ClassVar[str] = "Let the names lead to the old server again"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [
            *Take(move=self.move).lacks(facts),
            *Open(move=self.move).lacks(facts),
            *self.otherwise(facts, self._wanted(facts)),
        ]

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
        self.publish(facts, self.as_it_was(facts, self._wanted(facts)))

    def _wanted(self, facts: Facts) -> Records:
        return pointed(self.move.naming(facts.content), self.originals(facts))


class Seal(MailPhase):
    """Other servers are told to insist on a sealed connection; everything may be remembered."""

    name: ClassVar[str] = "seal"
    title: ClassVar[str] = "Tell other servers to insist on TLS; raise the times to live"
    undoing: ClassVar[str] = "Tell other servers no more to insist on TLS"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = [*Point(move=self.move).lacks(facts), *self.otherwise(facts, self._wanted(facts))]
        if facts.ttl_limit:
            wrong.append(f"nothing may be remembered for more than {facts.ttl_limit} s")
        if facts.policy != ENFORCE:
            wrong.append("other servers are not told to insist on TLS")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        if not facts.before:
            return []
        told = ["other servers are told to insist on TLS"] if facts.policy == ENFORCE else []
        return told + self.otherwise(facts, self.as_it_was(facts, self._wanted(facts)))

    @override
    def fades(self, facts: Facts) -> int:
        return longest(self._wanted(facts), facts.zones)

    @override
    def do(self, facts: Facts) -> None:
        self.move.op.stage.update({TTL_LIMIT: None, POLICY: ENFORCE})
        self.publish(facts, self._wanted(facts))

    @override
    def undo(self, facts: Facts) -> None:
        self.move.op.stage.update({POLICY: TESTING})
        self.publish(facts, self.as_it_was(facts, self._wanted(facts)), undo=True)

    def _wanted(self, facts: Facts) -> Records:
        naming = self.move.naming(facts.content)
        return sealed(naming, self.originals(facts), self.move.sealing(facts))


def phases(move: Move) -> tuple[MailPhase, ...]:
    """Return all phases of the move, in their order."""
    return tuple(each(move=move) for each in _PHASES)


_PHASES: Final = (Lower, Announce, Serve, Certify, Copy, Take, Open, Point, Seal)

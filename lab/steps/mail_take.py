"""The mailboxes change hands: copied while people use them, the last of it while they wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import ClassVar, Final, Protocol

from typing_extensions import override

from lab.errors import GeneralproveError
from lab.operator.mail_accounts import Account
from lab.operator.mailboxes import MailboxesError
from lab.operator.old_mail import GATHERING, HOLDING, PASSING, SERVING
from lab.operator.ssh import SshError
from lab.steps.base import StepError
from lab.steps.mail_facts import COPIED, Facts
from lab.steps.mail_phases import Certify, MailPhase


class Carry(Protocol):
    """Carries mailboxes, one way or the other."""

    def __call__(self, accounts: Sequence[Account], *, seconds: float = ...) -> dict[str, str]:
        """Carry them within so many seconds, and return what was not finished."""


HOLD_SECONDS: Final = 10.0
"""After which a hold ends by itself, whatever has become of the operator."""

QUICK_SECONDS: Final = 2.0
"""How long a delta may take before the last one is tried, for which people wait."""

DELTA_SECONDS: Final = 3.0
"""How long the last delta may take before it is given up and everybody goes on as before."""

_DELTAS: Final = 10
_HOLDS: Final = 3
_DRAIN_SECONDS: Final = 60.0
_LOOKS: Final = 3


class Copy(MailPhase):
    """The new server has every mailbox, as it was a moment ago."""

    name: ClassVar[str] = "copy"
    title: ClassVar[str] = "Copy the mailboxes while people use them"
    undoing: ClassVar[str] = "Forget that the mailboxes were copied"
    meanwhile: ClassVar[bool] = True

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
            unfinished = move.mailboxes.forth(accounts)
        for _ in range(_DELTAS):
            if not unfinished:
                break
            again = [each for each in accounts if each.address in unfinished]
            with op.report.task(f"Copy {len(again)} that changed meanwhile again"):
                unfinished = move.mailboxes.forth(again)
        _finished(unfinished)
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
        if facts.old.mode == GATHERING:
            move.server.become("pass")
            return
        if facts.old.mode == HOLDING:
            move.server.become("release")
        try:
            with op.puppet.held([move.new.name], "mail moves"):
                self._in_turns(move.mailboxes.forth, self._over)
        except GeneralproveError as error:
            raise StepError(
                f"the last of the mail was not moved: {error}",
                remedy=f"{move.old.name} serves as before, nothing is lost. "
                "The step can be run again, or rolled back",
            ) from error

    @override
    def undo(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        if facts.old.mode == HOLDING:
            move.server.become("release")
            return
        if not facts.reachable:
            raise StepError(
                "it cannot be reached, and mail that arrived there is on no other server",
                where=move.new.name,
                remedy="Bring it back, then go back again",
            )
        try:
            with op.puppet.held([move.new.name], "mail moves back"):
                self._in_turns(move.mailboxes.back, self._over_again)
        except GeneralproveError as error:
            raise StepError(
                f"the last of the mail was not moved back: {error}",
                remedy=f"{move.new.name} serves on, nothing is lost. The rollback can be run again",
            ) from error

    def _over(self) -> None:
        move, task = self.move, self.move.op.report.task
        with self._held():
            with task(f"Hold the mail on {move.old.name}"):
                move.server.become("hold", seconds=HOLD_SECONDS)
            with task("Move the last of it"):
                self._last(move.mailboxes.forth, back=False)
            with task(f"Let {move.old.name} pass everything on"):
                move.server.become("pass")

    def _over_again(self) -> None:
        move, task = self.move, self.move.op.report.task
        self._drain()
        with self._gathered():
            with task("Hold the mail on both servers"):
                move.server.become("gather", seconds=HOLD_SECONDS)
                self._drain()
                with ThreadPoolExecutor() as pool:
                    closed = pool.submit(move.server.become, "close")
                    move.op.ssh.run(move.new.name, ["systemctl", "stop", "dovecot.service"])
                    closed.result()
            with task("Move the last of it back"):
                self._last(move.mailboxes.back, back=True)
            with task(f"Let {move.old.name} serve again"):
                move.server.become("serve")

    def _in_turns(self, carry: Carry, exchange: Callable[[], None]) -> None:
        """Let the mailboxes change hands; whoever is not quick enough lets people go on first."""
        for turn in range(_HOLDS):
            self._until_quick(carry)
            try:
                exchange()
            except MailboxesError as error:
                if turn + 1 == _HOLDS:
                    raise
                self.move.op.report.say(f"[yellow]{error}: people go on, and it is tried again[/]")
            else:
                return

    def _last(self, carry: Carry, *, back: bool) -> None:
        """Carry mail and filters at once: people wait for both."""
        accounts = self.move.directory.accounts
        with ThreadPoolExecutor() as pool:
            filters = pool.submit(self.move.mailboxes.filters, accounts, back=back)
            _finished(carry(accounts, seconds=DELTA_SECONDS))
            filters.result()
        self.move.compare.counted(accounts)

    def _until_quick(self, carry: Carry) -> None:
        """Carry what has changed until that takes so little time that people can wait for it."""
        op, accounts = self.move.op, self.move.directory.accounts
        unfinished: dict[str, str] = {}
        for _ in range(_DELTAS):
            begun = time.monotonic()
            with op.report.task("Copy what has changed meanwhile"):
                unfinished = carry(accounts)
            if not unfinished and time.monotonic() - begun < QUICK_SECONDS:
                return
        _finished(unfinished)
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
        except BaseException:
            with suppress(SshError):  # then it does so by itself
                self.move.server.become("release")
            raise

    @contextmanager
    def _gathered(self) -> Iterator[None]:
        """Let the new server go on when the last of the mail does not come back."""
        try:
            yield
        except BaseException:
            with suppress(SshError):
                self.move.op.ssh.run(self.move.new.name, ["systemctl", "start", "dovecot.service"])
            with suppress(SshError):  # then it does so by itself
                self.move.server.become("pass")
            raise

    def _drain(self) -> None:
        """Wait until the new server has nothing queued for its own mailboxes."""
        move = self.move
        domains = "|".join(each.replace(".", "\\.") for each in move.directory.domains)
        # One look may miss a message that moves from one part of the queue to another.
        script = f"""
            postqueue -f
            empty=0
            while [ $empty -lt {_LOOKS} ]; do
                empty=$((empty + 1))
                ! postqueue -j | grep -qE '"address": "[^"]*@({domains})"' || empty=0
                sleep 0.1
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


def _finished(unfinished: dict[str, str]) -> None:
    """See that every mailbox was carried.

    Raises:
        MailboxesError: one was not, and why.
    """
    if unfinished:
        told = "; ".join(f"{address}: {why}" for address, why in unfinished.items())
        raise MailboxesError(f"mailboxes were not carried: {told}")

"""The rollout: one host after the other, each of which goes back by itself unless confirmed.

What it does is decided by the journal alone (:mod:`lab.promote.journal`), so that a promotion
that was killed is the same work with less to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.markup import escape

from lab.errors import CheckFailedError, CouldNotError, Exit, GeneralproveError
from lab.fleet import Host
from lab.operator import Operator
from lab.operator.puppet_run import PuppetCheckError
from lab.operator.releases import Releases
from lab.operator.ssh import SshError
from lab.promote import host_checks
from lab.promote.deadman import DeadMan
from lab.promote.journal import At, Entry, Event, Journal, Standing
from lab.promote.soak import CHANGE, Soak

# A host that went back by itself still has a run of Puppet before it, and perhaps a boot.
_RETURN_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 1.0
# Connections may break once more on the way back; each try does what is left.
_WAYS_BACK: Final = 3


class RolloutError(CouldNotError):
    """A host could not be reached, or could not be brought back."""


class RolledBackError(CheckFailedError):
    """The promotion hurt, and every host is back on the release before."""

    exit_code = Exit.ROLLED_BACK


class RollbackIncompleteError(CouldNotError):
    """The promotion hurt, and not every host could be brought back."""

    exit_code = Exit.ROLLBACK_INCOMPLETE


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long things may take, in seconds.

    Attributes:
        soak: for how long users are watched after each host.
        confirm_within: after which a host goes back by itself.
    """

    soak: float = 60.0
    confirm_within: float = 900.0


class Rollout:
    """Brings one promotion forward, or back, from wherever the journal says that it stands.

    Args:
        operator: of the site.
        journal: of the site.
        pace: how long things may take.
        retake_lock: takes the lock again where the control host was away.
    """

    def __init__(
        self,
        *,
        operator: Operator,
        journal: Journal,
        pace: Pace,
        retake_lock: Callable[[], None],
    ) -> None:
        self._op = operator
        self._journal = journal
        self._pace = pace
        self._retake_lock = retake_lock
        self._releases = Releases(puppet=operator.puppet)
        self._deadman = DeadMan(puppet=operator.puppet)

    def forward(self, standing: Standing) -> None:
        """Bring every host that is not confirmed to the new release.

        Raises:
            RolledBackError: it hurt; every host is back.
            RollbackIncompleteError: it hurt, and some host is not back.
        """
        begin = standing.begin
        try:
            self._switch(standing, begin.release)
            with Soak(operator=self._op) as soak:
                for name in standing.waiting:
                    begun = standing.hosts[name] is not At.UNTOUCHED
                    self._change(begin, self._op.fleet.hosts[name], soak, resumed=begun)
        except GeneralproveError as error:
            self._op.report.say(f"[red]✗[/] {escape(str(error))}")
            self.back(standing, why=str(error))
        self._op.puppet.release(begin.hosts)
        self._write(begin, "end", why="promoted")

    def back(self, standing: Standing, *, why: str) -> None:
        """Bring every host that was touched back to the release before, and say so.

        Args:
            standing: as it was last known; the journal is read anew.
            why: it is undone.

        Raises:
            RolledBackError: every host is back.
            RollbackIncompleteError: some host is not.
        """
        begin = standing.begin
        self._op.report.say(f"[bold]Back to {begin.previous}[/]")
        lost = ""
        for _ in range(_WAYS_BACK):
            try:
                self._go_back(standing, why=why)
            except SshError as error:
                lost = str(error)  # a connection that breaks must not be the end of it
            except GeneralproveError as error:
                lost = str(error)
                break
            else:
                raise RolledBackError(f"{why}. {self._words(standing)}", where="promotion")
        raise RollbackIncompleteError(
            f"{why}. Going back failed: {lost}. {self._words(standing)}",
            where="promotion",
            remedy="`./invoke promote --rollback` goes on from here",
        )

    def _go_back(self, before: Standing, *, why: str) -> None:
        """Do what is left of the way back."""
        self._await_control()
        standing = self._journal.standing() or before
        begin = standing.begin
        if not standing.going_back:
            self._write(begin, "go back", why=why)
        self._switch(standing, begin.previous)
        for name in standing.touched:
            self._return(begin, self._op.fleet.hosts[name])
        self._op.puppet.release(begin.hosts)
        self._write(begin, "end", why=f"rolled back: {why}")

    def _change(self, begin: Entry, host: Host, soak: Soak, *, resumed: bool) -> None:
        """Bring one host to the new release, and confirm that it can still be reached."""
        op, name = self._op, host.name
        began = soak.now()
        if resumed:
            self._deadman.stop(name)  # it may be at work, or have been
        self._write(begin, "arm", host=name)
        with op.report.task(f"Change {name}"):
            self._deadman.arm(name, back_to=begin.previous, seconds=self._pace.confirm_within)
            changed = op.puppet.agent(name, though_held=True).changed
            # What is open already stays open, whatever the change did to new connections.
            op.ssh.forget(name)
        with op.report.task(f"Run Puppet on {name} again: nothing may change"):
            again = op.puppet.agent(name, though_held=True)
            if again.changed:
                raise PuppetCheckError(
                    f"a second run changed {again.changed} resources", where=name
                )
        self._check(host)
        if changed or resumed:
            soak.judge(f"while {name} was changed", since=began, budget=CHANGE)
            soak.watch(name, seconds=self._pace.soak)
        self._deadman.confirm(name)
        self._write(begin, "confirm", host=name)

    def _return(self, begin: Entry, host: Host) -> None:
        """Bring one host back to the release before; its dead-man may have been quicker."""
        op, name = self._op, host.name
        with op.report.task(f"Bring {name} back to {begin.previous}"):
            self._await_host(name)
            self._deadman.stop(name)
            op.puppet.agent(name, though_held=True)
        self._check(host)
        self._write(begin, "returned", host=name)

    def _check(self, host: Host) -> None:
        with self._op.report.task(f"Check {host.name}"):
            host_checks.check(self._op, host, reached=self._op.stage.reached())

    def _switch(self, standing: Standing, release: str) -> None:
        """Let hosts be given *release*; they stay held, each is run in its turn."""
        begin, op = standing.begin, self._op
        op.puppet.hold(begin.hosts, f"promotion of {begin.release} by {begin.who}")
        self._write(begin, "switch", release=release)
        with op.report.task(f"Switch {op.puppet.control} to {release}"):
            self._releases.switch(release, held=True)

    def _await_control(self) -> None:
        """Wait for the control host, without which nobody can be brought back."""
        control = self._op.puppet.control
        self._await_host(control)
        self._retake_lock()
        self._op.puppet.wait_for_server()

    def _await_host(self, name: str) -> None:
        """Wait until *name* lets us in again, by its dead-man at the latest.

        Raises:
            RolloutError: it does not.
        """
        deadline = time.monotonic() + self._pace.confirm_within + _RETURN_SECONDS
        while True:
            self._op.ssh.forget(name)
            try:
                self._op.ssh.run(name, ["true"], timeout=20)
            except SshError as error:
                if time.monotonic() > deadline:
                    raise RolloutError(
                        f"it did not come back: {error.what}",
                        where=name,
                        remedy="Its console is at the provider's",
                    ) from error
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _words(self, before: Standing) -> str:
        """Return what state each host is in, as well as it can be known."""
        try:
            return (self._journal.standing() or before).words()
        except GeneralproveError:
            return before.words()

    def _write(
        self, begin: Entry, event: Event, *, host: str = "", why: str = "", release: str = ""
    ) -> None:
        self._journal.write(
            Entry(promotion=begin.promotion, event=event, host=host, why=why, release=release)
        )


def order(hosts: Sequence[Host]) -> list[str]:
    """Return the order in which hosts are changed: the least dangerous first."""
    return [host.name for host in sorted(hosts, key=lambda one: one.promotion_order)]

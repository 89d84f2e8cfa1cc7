"""A promotion from the first question to the last host: gate, plan, rollout, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from lab.errors import CheckFailedError, Exit
from lab.operator import Operator
from lab.operator.release import Release
from lab.operator.releases import Releases
from lab.promote import plan as planning
from lab.promote.gate import MAX_AGE, Refusal
from lab.promote.journal import Entry, Journal, Standing
from lab.promote.plan import Plan
from lab.promote.proof import Proof
from lab.promote.rollout import Pace, Rollout, order
from lab.promote.site_lock import SiteLock, me

PUPPET: Final = "puppet"
"""The control repository, below the top of a checkout."""


class RefusedError(CheckFailedError):
    """The promotion may not begin; nothing was touched."""

    exit_code = Exit.REFUSED


class UnfinishedError(CheckFailedError):
    """A promotion was begun and has not ended."""

    exit_code = Exit.REFUSED


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a promotion would do.

    Attributes:
        plan: the change, host by host.
        refusals: why it may not begin; empty when it may.
    """

    plan: Plan
    refusals: Sequence[Refusal]

    @property
    def pointless(self) -> bool:
        """Whether there is nothing to promote."""
        return self.plan.old == self.plan.new and not self.plan.changed


class Promotion:
    """Promotion of one checkout to one site.

    Args:
        operator: of the site.
        repository: the checkout.
        pace: how long things may take.
        why: what for, as others find it in the journal.
        accepted: resources that may differ though nothing predicted it, such as ``File[/etc/x]``.
        max_age: how old a scenario's pass may be.
    """

    def __init__(
        self,
        *,
        operator: Operator,
        repository: Path,
        pace: Pace | None = None,
        why: str = "",
        accepted: Sequence[str] = (),
        max_age: timedelta = MAX_AGE,
    ) -> None:
        self._op = operator
        self._tree = repository / PUPPET
        self._pace = pace or Pace()
        self._why = why or "promotion"
        self._accepted = frozenset(accepted)
        control = operator.puppet.control
        self._journal = Journal(ssh=operator.ssh, host=control)
        self._lock = SiteLock(ssh=operator.ssh, host=control)
        self._releases = Releases(puppet=operator.puppet)
        self.proof = Proof(operator=operator, repository=repository, max_age=max_age)

    def preview(self, *, refusals: Sequence[Refusal] | None = None) -> Preview:
        """Return what would happen, and what stands against it; no host is changed.

        Args:
            refusals: the gate's, where it has been asked already.

        Raises:
            UnfinishedError: a promotion has to be ended first.
        """
        self._nothing_unfinished()
        if refusals is None:
            refusals = self.proof.refusals()
        release = Release.of(self._tree)
        self._releases.push(release)
        made = planning.make(
            operator=self._op,
            release=release.name,
            report=self._op.report,
        )
        return Preview(plan=made, refusals=[*refusals, *self._of(made)])

    def apply(self, preview: Preview) -> None:
        """Do what *preview* says.

        Raises:
            RefusedError: it may not begin; nothing was touched.
            RolledBackError: it hurt, and every host is back.
            RollbackIncompleteError: it hurt, and some host is not.
        """
        plan = preview.plan
        if preview.refusals:
            raise RefusedError(
                f"refused for {counted(len(preview.refusals), 'reason')}",
                remedy="Nothing was touched",
            )
        with self._lock.held(f"{plan.new}: {self._why}"):
            self._nothing_unfinished()
            if self._releases.in_force() != plan.old:
                raise RefusedError(
                    f"{plan.old} was in force when this was planned, and is no more",
                    where=self._op.puppet.control,
                    remedy="Plan again",
                )
            self.proof.show(plan.new)
            self._begin(plan.new, previous=plan.old)

    def resume(self) -> None:
        """Go on with what was begun, in the direction that it had.

        Raises:
            RefusedError: nothing was begun.
        """
        with self._lock.held(f"resume: {self._why}"):
            standing = self._begun()
            if standing.going_back:
                self._rollout.back(standing, why=standing.going_back)
            self.proof.judge(standing.begin.release)
            self._rollout.forward(standing)

    def rollback(self, release: str = "") -> None:
        """Undo what was begun; or, when nothing is under way, bring *release* back.

        Args:
            release: on the control host; the one before the last promotion when empty.

        Raises:
            RolledBackError: what was begun is undone.
            RefusedError: there is no such release.
        """
        with self._lock.held(f"rollback: {self._why}"):
            standing = self._journal.standing()
            if standing is not None and standing.open:
                self._rollout.back(standing, why=standing.going_back or f"{me()} wanted it back")
            there = self._releases.names()
            target = release or (standing.begin.previous if standing else "")
            if target not in there:
                raise RefusedError(
                    f"there is no release {target!r}" if target else "nothing was promoted yet",
                    where=self._op.puppet.control,
                    remedy=f"There are {', '.join(there)}",
                )
            self._begin(target, previous=self._releases.in_force())

    @property
    def _rollout(self) -> Rollout:
        return Rollout(
            operator=self._op,
            journal=self._journal,
            pace=self._pace,
            retake_lock=lambda: self._lock.retake(self._why),
        )

    def _begin(self, release: str, *, previous: str) -> None:
        """Write down that *release* is promoted, and do it."""
        enrolled = self._op.puppet.enrolled()
        hosts = order([self._op.fleet.hosts[name] for name in enrolled])
        now = datetime.now(UTC)
        self._journal.write(
            Entry(
                promotion=f"{now:%Y%m%dT%H%M%S}-{release}",
                event="begin",
                who=me(),
                why=self._why,
                release=release,
                previous=previous,
                hosts=tuple(hosts),
            )
        )
        self._rollout.forward(self._begun())

    def _begun(self) -> Standing:
        standing = self._journal.standing()
        if standing is None or not standing.open:
            raise RefusedError(
                "no promotion is under way",
                where=self._op.puppet.control,
                remedy="`./invoke promote` plans one",
            )
        return standing

    def _nothing_unfinished(self) -> None:
        standing = self._journal.standing()
        if standing is not None and standing.open:
            raise UnfinishedError(
                unfinished(standing),
                where=self._op.puppet.control,
                remedy="`./invoke promote --resume` or `./invoke promote --rollback` ends it",
            )

    def _of(self, plan: Plan) -> list[Refusal]:
        """Return what the plan itself says against the promotion."""
        wrong = [
            Refusal(what=f"{host.host}: {host.error}", remedy="Mend it, and rehearse it again")
            for host in plan.errors
        ]
        drift = [
            Refusal(
                what=f"{host}: {ref} would change, and nothing in this release says why",
                remedy=f"See `./invoke drift`; --accept '{ref}' promotes all the same",
            )
            for host, ref in plan.unaccepted(self._accepted)
        ]
        return wrong + drift


def unfinished(standing: Standing) -> str:
    """Return where an unfinished promotion stands, as one line."""
    begin = standing.begin
    way = f" and was going back ({standing.going_back})" if standing.going_back else ""
    return f"{begin.who} began to promote {begin.release} at {begin.at}{way}: {standing.words()}"


def counted(number: int, what: str) -> str:
    """Return *number* of *what*, as people write it."""
    return f"{number} {what}{'' if number == 1 else 's'}"

"""What users notice of a promotion: they ask all the while, and a change that hurts is undone.

Two budgets. While a host is changed its services may restart, and a user may wait a little;
afterwards, for the time called *soak*, nothing at all may go wrong.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Protocol, Self

from lab.errors import CheckFailedError
from lab.history import History, Mark
from lab.lookups import lookups
from lab.operator import Operator, zone_data
from lab.steps.dns_facts import CONTENT_FILE
from lab.store import root
from lab.users.here import UsersHere
from lab.users.plan import standard_plan
from lab.users.probes import LOOKUP, Lookup, Plan
from lab.users.session import Progress, Users
from lab.verdict import Budget, Outcome, Verdict, guarded, judge

CHANGE: Final = Budget(failed=2_000, gap=10, at_least=1)
"""While a host is changed: a restart, but no outage that anybody would call one."""


class SoakCheckError(CheckFailedError):
    """Users noticed more of a change than they were meant to."""


class Watchers(Protocol):
    """Users who ask, wherever they sit."""

    def progress(self) -> Progress:
        """Return the counts so far; raises when they died."""

    def history(self) -> History:
        """Return everything written so far."""


class Soak:
    """Users at work during a promotion.

    ::

        with Soak(operator=operator) as soak:
            began = soak.now()
            ...  # change a host
            soak.judge("oslo is changed", since=began, budget=CHANGE)
            soak.watch("oslo", seconds=60)

    Args:
        operator: of the site.
    """

    def __init__(self, *, operator: Operator) -> None:
        self._operator = operator
        stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-promotion"
        self._directory = root() / "records" / stamp
        self._plan = plan(operator)
        self._users: (Users | UsersHere) | None = None

    @property
    def asks(self) -> bool:
        """Whether anything of the fleet is served by what Puppet manages, so that users ask."""
        return self._plan is not None

    def __enter__(self) -> Self:
        """Start the users."""
        if self._plan is not None:
            self._users = self._at(self._plan)
            self._users.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send the users home."""
        if self._users is not None:
            self._users.__exit__(exc_type, exc, trace)

    def now(self) -> int:
        """Return this moment, for :meth:`judge`."""
        return time.monotonic_ns()

    def judge(self, what: str, *, since: int, budget: Budget) -> Verdict | None:
        """Judge what users saw from *since* until now; None where nobody asks.

        Args:
            what: was done meanwhile.
            since: a moment from :meth:`now`.
            budget: what it may cost.

        Raises:
            SoakCheckError: it cost more.
            UsersError: the users died, so nothing is known.
        """
        if self._users is None:
            return None
        self._users.progress()
        seen = since_then(self._users.history(), since, time.monotonic_ns())
        verdict = guarded(what, lambda: judge(seen, subject=what, kind=LOOKUP, budget=budget))
        if verdict.outcome is not Outcome.OK:
            raise SoakCheckError(str(verdict), remedy=f"{self._directory} has what they saw")
        return verdict

    def watch(self, host: str, *, seconds: float) -> Verdict | None:
        """Let users go on for *seconds*, in which nothing may fail.

        Raises:
            SoakCheckError: something did.
            UsersError: the users died, so nothing is known.
        """
        if self._plan is None:
            return None
        began = self.now()
        self._operator.report.countdown(f"Watch users after the change of {host}", seconds)
        # Half of what they can ask: a slow machine does not make a change a bad one.
        budget = Budget(failed=0, at_least=max(1, int(self._plan.rate * seconds / 2)))
        return self.judge(f"after the change of {host}", since=began, budget=budget)

    def _at(self, wanted: Plan) -> Users | UsersHere:
        vantage = self._operator.vantage
        if vantage.host is None:
            return UsersHere(plan=wanted, directory=self._directory)
        return Users(
            ssh=self._operator.ssh,
            plan=wanted,
            directory=self._directory,
            host=vantage.host,
        )


def plan(operator: Operator) -> Plan | None:
    """Return what users ask of what Puppet manages at this stage; None while that is nothing."""
    if "dns" not in operator.stage.reached():
        return None
    zones = zone_data.from_hiera(operator.ssh.read(operator.puppet.control, CONTENT_FILE))
    vantage = operator.vantage
    return standard_plan(
        resolver=vantage.resolver,
        root=vantage.root,
        lookups=lookups(zones.values()),
        fresh=[Lookup(name=f"*.{operator.fleet.domain}", type="A", rcode="NXDOMAIN")],
    )


def since_then(history: History, start_ns: int, end_ns: int) -> History:
    """Return what was asked in a span, as if users had stopped at its end.

    They have not: that they still ask is no sign that they were cut short.
    """
    part = history.between(start_ns, end_ns)
    stopped = tuple(
        Mark(kind="probe", name=mark.name, phase="end", at_ns=end_ns, detail=mark.detail)
        for mark in history.marks
        if (mark.kind, mark.phase) == ("probe", "start")
    )
    return replace(part, marks=part.marks + stopped)

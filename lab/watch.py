"""Users at work in a lab while something happens to it: judged at the end, and kept as a record."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import operate, watch_failover, watch_mail, watch_web, watch_wipe
from lab.history import History, HistoryWriter
from lab.lab import Lab
from lab.lookups import lookups, together
from lab.operator import zone_data
from lab.operator.bind import Bind
from lab.operator.zones import Zone
from lab.report.record import Run, render
from lab.steps.dns_facts import CONTENT_FILE
from lab.store import root
from lab.users.ledger import balance
from lab.users.mail_ledger import taken_here
from lab.users.mail_plan import MAIL
from lab.users.plan import both, paced, standard_plan
from lab.users.probes import LOOKUP, Lookup, Plan
from lab.users.session import Users, UsersError
from lab.users.visits import ENTRY, VISIT
from lab.verdict import Budget, Verdict, broken_off, guarded
from lab.watch_failover import FailoverBudget
from lab.watch_mail import MailBudget
from lab.world.machines import REGISTRY, RESOLVER
from lab.world.names import fleet_zones, machine_address

# At a hundred look-ups or pages a second; a run that needs longer has lost its users.
HOLD_SECONDS = 600.0

# A hold ends by itself after 8 s; whoever writes waits hardly longer (lab/steps/web_cutover.py).
LONGEST_WAIT = 10.0


Listener = Callable[[Verdict], object]
"""Whoever wants to know of every judgement."""

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let somebody hear of every judgement while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


class Watch:
    """Users who look up everything the fleet's zones say, from the start of a block to its end.

    ::

        with Watch(lab=lab, title="Oslo loses power", budget=Budget(gap=20)) as watch:
            with Faults(lab=lab, marks=watch.marks).power_loss("oslo"):
                ...
        print(watch.verdict)

    Args:
        lab: the lab.
        title: what happens meanwhile, for people.
        budget: what it may cost those who look names up.
        secure: whether the resolver must have validated what it tells them.
        visits: what it may cost visitors of the sites; without it there are none.
        failover: the same where two servers serve them, for visitors of either and of both.
        mail: what it may cost those who read and write mail; without it there are none.
        both_sides: whether some of them write to each of two mail servers by its address.
        pace: of those who come to the web, write and send; 2 is twice the usual one.
        cadence: seconds between two questions of one of the ten who look names up.
    """

    def __init__(
        self,
        *,
        lab: Lab,
        title: str,
        budget: Budget,
        secure: bool = False,
        visits: Budget | None = None,
        failover: FailoverBudget | None = None,
        mail: MailBudget | None = None,
        both_sides: bool = False,
        pace: float = 1.0,
        cadence: float = 0.1,
    ) -> None:
        self._lab = lab
        self._title = title
        self._budget = budget
        self._visits = visits
        self._failover = failover
        self._mail = mail
        self._both_sides = both_sides
        self._started = datetime.now(UTC)
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        self.directory = root() / "records" / f"{self._started:%Y%m%d-%H%M%S}-{slug}"
        self._playing = paced(self._plan(secure=secure, cadence=cadence), pace)
        self._users = Users(ssh=lab.ssh, plan=self._playing, directory=self.directory)
        self._also: list[Callable[[], Verdict]] = []
        self.verdicts: tuple[Verdict, ...] = ()
        self.memory = 0

    @property
    def verdict(self) -> Verdict:
        """The worst of the judgements; of equals the first."""
        return max(self.verdicts, key=lambda each: each.outcome)

    @property
    def marks(self) -> HistoryWriter:
        """Where this side writes what it does, into the users' own history."""
        return self._users.marks

    @property
    def record(self) -> Path:
        """The page that shows the run."""
        return self.directory / "record.html"

    def __enter__(self) -> Self:
        """Start the users."""
        self._users.__enter__()
        return self

    def hold(self, *, until: int = 0, visits: int = 0, mail: int = 0) -> None:
        """Let the users go on until they have asked often enough.

        Args:
            until: look-ups.
            visits: pages.
            mail: messages, from elsewhere.

        Raises:
            UsersError: they do not get there.
        """
        deadline = time.monotonic() + HOLD_SECONDS
        for kind, wanted in ((LOOKUP, until), (VISIT, visits), (MAIL, mail)):
            while (total := self._users.progress(kind).total) < wanted:
                if time.monotonic() > deadline:
                    raise UsersError(f"only {total} of {wanted} {kind}s in {HOLD_SECONDS:.0f} s")
                time.sleep(0.5)

    def accepted(self) -> int:
        """Return how many messages the fleet itself has taken so far, not somebody on the way.

        Raises:
            UsersError: the users died.
        """
        self._users.progress(MAIL)  # it fetches what there is
        return len(taken_here(History.read(self.directory), self._playing.mail))

    def hold_enough(self) -> None:
        """Let the users go on until what they saw is enough to judge by."""
        self.hold(
            until=self._budget.at_least + self._budget.failed,
            visits=self._visits.at_least + self._visits.failed if self._visits else 0,
            mail=self._mail.at_least if self._mail else 0,
        )

    def also(self, checker: Callable[[], Verdict]) -> None:
        """Judge something else as well, once the users have stopped."""
        self._also.append(checker)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the users, judge what they saw, write the record."""
        self._users.__exit__(exc_type, exc, trace)
        self.verdicts = (
            self._users.verdict(self._title, budget=self._budget),
            *(self._of_the_web(self._visits) if self._visits else ()),
            *(self._of_both(self._failover) if self._failover else ()),
            *(self._of_mail(self._mail) if self._mail else ()),
            *(guarded(f"{self._title}: more", each) for each in self._also),
            *([broken_off(f"{self._title}: what was done", exc)] if exc else ()),
        )
        for listener in _listeners:
            for verdict in self.verdicts:
                listener(verdict)
        history = self._users.history()
        self.memory = history.memory()
        run = Run(
            title=self._title,
            fleet=self._lab.fleet.name,
            started=self._started,
            commit=commit(),
            engine=self._lab.engine.name,
            facts={
                "lab": self._lab.name,
                "limits": self._lab.engine.limits() or "as in fleet.yaml",
                "memory of the users": f"{self.memory / 1e6:.0f} MB",
            },
        )
        page = render(run, history=history, verdicts=self.verdicts)
        self.record.write_text(page)

    def _plan(self, *, secure: bool, cadence: float) -> Plan:
        zones, lab = current_zones(self._lab), self._lab
        operator = operate.in_lab(lab)
        plan = standard_plan(
            resolver=both(machine_address(lab.site, RESOLVER)),
            root=both(machine_address(lab.site, REGISTRY)),
            lookups=lookups(
                zones,
                secure=secure,
                moving=together(
                    watch_web.moving(operator, zones) if self._visits else {},
                    watch_web.joining(operator, zones) if self._visits else {},
                    watch_mail.moving(operator, zones) if self._mail else {},
                    watch_wipe.leaving(operator, zones),
                ),
            ),
            fresh=[Lookup(name=f"*.{zones[0].origin}", type="A", rcode="NXDOMAIN")],
            cadence=cadence,
        )
        if self._visits:
            visitors, writers = watch_web.visitors(lab, operator, zones)
            plan = replace(plan, visitors=visitors, writers=writers)
        if self._failover:
            visitors, writers = watch_failover.visitors(lab, operator, zones)
            plan = replace(plan, visitors=visitors, writers=writers)
        if self._mail:
            users = watch_mail.mail_users(lab, both_sides=self._both_sides)
            plan = replace(plan, mail=users)
        if self._visits or self._failover or self._mail:
            plan = replace(plan, authorities=operator.acme.roots())
        return plan

    def _of_the_web(self, budget: Budget) -> Iterator[Verdict]:
        """Judge what visitors saw, and what became of what they wrote."""
        title, users = self._title, self._users
        yield users.verdict(f"{title}: visits", budget=budget, kind=VISIT)
        entries = Budget(failed=budget.failed, gap=LONGEST_WAIT)
        yield users.verdict(f"{title}: entries", budget=entries, kind=ENTRY)
        subject = f"{title}: what was accepted"

        def ledger() -> Verdict:
            book = watch_web.book(self._lab, operate.in_lab(self._lab))
            return balance(users.history(), book, subject=subject)

        yield guarded(subject, ledger)

    def _of_both(self, budget: FailoverBudget) -> Iterator[Verdict]:
        """Judge what visitors of two servers saw, and what became of what they wrote."""
        return watch_failover.verdicts(
            self._lab, self._users.history, budget=budget, title=self._title
        )

    def _of_mail(self, budget: MailBudget) -> Iterator[Verdict]:
        """Judge what became of mail, and of those who read and write it."""
        return watch_mail.verdicts(
            self._lab,
            self._users.history,
            plan=self._playing,
            budget=budget,
            title=self._title,
        )


def current_zones(lab: Lab) -> list[Zone]:
    """Return the fleet's zones: as the old server has them, or as data once it has retired."""
    operator = operate.in_lab(lab)
    bind = Bind(ssh=operator.ssh, dns=operator.dns, host=lab.fleet.legacy.name)
    if bind.state().active:
        found = bind.zones()
    else:
        found = zone_data.from_hiera(operator.ssh.read(operator.puppet.control, CONTENT_FILE))
    return [found[name.rstrip(".")] for name in fleet_zones(lab.fleet, lab.site)]


def commit() -> str:
    """Return the commit that runs, with ``-dirty`` where the working tree differs."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"

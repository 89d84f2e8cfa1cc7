"""How fast two mail servers are one, part of ``invoke bench``: real mail, from the outside.

All moments of one figure are read from one clock (:mod:`lab.users.mail_pace`). Both servers, those
who write and whatever else runs share this machine's cores: on two machines it is faster.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Final

from lab.bench_mail import Told
from lab.bench_pair_hosts import Hosts, people
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator
from lab.pair.strikes import PAIR
from lab.pair.trial import served
from lab.users.mail_pace import Paced, Passage, Work
from lab.users.mail_plan import Account, MailUsers
from lab.users.probes import Plan
from lab.watch_mail import mail_users, outside

_NS: Final = 1_000_000_000
_OPEN: Final = 120.0
_SECONDS: Final = 180
"""Seconds that one piece of work may take, on the outside machine."""

_WRITERS: Final = 20
_EACH: Final = 30
_EVERY: Final = 1.0

_TO: Final = 10
_MANY: Final = 1_000
_SIZE: Final = 5_000

_GROWTH: Final = (10, 100, 1_000)
_ACTIVE: Final = 0.01
_IDLE: Final = 10.0
_FLAT: Final = 1.0
"""Milliseconds of a processor a second by which more people may make an idle replicator busier."""

_LARGE: Final = 100_000
_ONES: Final = 10
_APART: Final = 3.0


def measure(lab: Lab, *, told: Told) -> None:
    """Measure how soon mail is on the other server, what that costs, and how it grows.

    Args:
        lab: at the milestone of the step that joins the two, or a later one.
        told: takes the figures.
    """
    operator = in_lab(lab)
    bench = Bench(lab=lab, operator=operator, told=told)
    with lab.report.task("Until both serve"):
        served(lab, within=_OPEN, begun=time.monotonic())
    with operator.puppet.held(PAIR, "bench"):
        bench.pace()
        bench.burst()
        bench.growth()
        bench.large()


@dataclass(frozen=True, kw_only=True)
class Delays:
    """How long it took until messages were on the other server, in seconds.

    Attributes:
        median: half of them took less.
        most: 95 % of them took less.
        longest: none took more.
        rate: messages a second meanwhile.
    """

    median: float
    most: float
    longest: float
    rate: float

    @classmethod
    def of(cls, passages: Sequence[Passage]) -> Delays:
        """Return those of at least two messages: from the last look that did not find one."""
        values = sorted((each.seen - each.missing) / _NS for each in passages)
        begun = [each.sent for each in passages]
        return cls(
            median=statistics.median(values),
            most=statistics.quantiles(values, n=20, method="inclusive")[-1],
            longest=values[-1],
            rate=(len(begun) - 1) * _NS / (max(begun) - min(begun)),
        )


def rate(messages: int, times: Sequence[Paced]) -> float:
    """Return messages a second, so many each time, until every server had all of them."""
    return len(times) * messages * _NS / sum(max(each.complete) - each.begun for each in times)


class Bench:
    """The measurements.

    Args:
        lab: where both serve.
        operator: its operator.
        told: takes the figures.
    """

    def __init__(self, *, lab: Lab, operator: Operator, told: Told) -> None:
        self._lab = lab
        self._told = told
        self._hosts = Hosts(ssh=operator.ssh, first=PAIR[0], second=PAIR[1], report=operator.report)
        standard = mail_users(lab)
        self._sender = standard.correspondents[0].letters[0].sender
        self._plan = Plan(
            authorities=operator.acme.roots(),
            mail=MailUsers(resolver=standard.resolver, host=standard.host, twins=standard.twins),
        )

    def pace(self) -> None:
        """Tell how soon messages are on the other server, at a pace."""
        with self._known(_WRITERS) as accounts:
            found = self._work("follow", accounts, each=_EACH, every=_EVERY)
        delays = Delays.of(found.passages)
        what = f"delivery to visible on the peer, {delays.rate:.1f} messages a second"
        self._told(f"{what}: median", delays.median * 1000, goal=200, unit="ms")
        self._told("  95 % of them", delays.most * 1000, goal=400, unit="ms")
        self._told("  all of them", delays.longest * 1000, unit="ms")
        self._told("  a packet there and back", self._hosts.distance(), unit="ms")

    def burst(self) -> None:
        """Tell how soon many messages are on both, and how much faster one server is alone.

        Twice each, in the order in which a machine that grows busier or idler favours neither.
        """
        hosts = self._hosts
        with self._known(_TO) as accounts:

            def work(servers: int) -> Paced:
                each = _MANY // _TO
                return self._work("burst", accounts, each=each, size=_SIZE, servers=servers)

            both = [work(2)]
            with hosts.plain():
                hosts.deliver(accounts)
                alone = [work(1), work(1)]
            with self._lab.report.task("Until both are alike again"):
                hosts.sweep()
                hosts.settle()
            both.append(work(2))
        after = max((max(each.complete) - each.complete[0]) / _NS for each in both)
        what = f"{_MANY:,} messages of {_SIZE // 1000} kB into {_TO} users"
        self._told(f"{what}: on both after the last delivery", after, goal=1, unit="s")
        fast, slow = rate(_MANY, alone), rate(_MANY, both)
        self._told("  with replication and journal, until on both", slow, unit="/s")
        self._told("  the same Dovecot and Postfix without both", fast, unit="/s")
        self._told("  share of that", slow / fast * 100, goal=50, unit="%", least=True)

    def growth(self) -> None:
        """Tell what more people cost a replicator."""
        flat: float | None = None
        for count in _GROWTH:
            with self._known(count, alone=True) as accounts:
                with self._lab.report.task(f"Sync {count:,} users"):
                    swept = self._hosts.sweep()
                    self._hosts.deliver(accounts[: max(1, round(count * _ACTIVE))])
                    self._hosts.settle()
                before = self._hosts.cost()
                self._lab.report.countdown(f"Watch the replicator of {count:,} users", _IDLE)
                after = self._hosts.cost()
            idle = (after.cpu - before.cpu) * 1000 / _IDLE
            self._told(f"{count:,} users, 1 % active: full sweep", swept, unit="s")
            self._told("  replicator when idle", idle, goal=flat, unit="CPU ms/s")
            self._told("  its memory (RSS)", after.rss, unit="MB")
            flat = idle + _FLAT if flat is None else flat

    def large(self) -> None:
        """Tell how soon one message is on the other server in a large mailbox."""
        report, hosts = self._lab.report, self._hosts
        [owner] = people(1, domain=self._lab.fleet.domain)
        with hosts.people([owner]):
            with report.task(f"Fill a mailbox with {_LARGE:,} messages"):
                hosts.fill(owner, _LARGE)
            with report.task("Sync it in full"):
                hosts.sweep()
                hosts.settle()
            found = self._work("follow", [owner], each=_ONES, every=_APART)
            with report.task("Sync it in full again"):
                hosts.sweep()
        delays = Delays.of(found.passages)
        what = f"one new message of {_LARGE:,}: visible on the peer, the slowest of {_ONES}"
        self._told(what, delays.longest, goal=1, unit="s")
        self._told("  median", delays.median, unit="s")

    @contextmanager
    def _known(self, count: int, *, alone: bool = False) -> Iterator[list[Account]]:
        """Have people whose mailboxes both servers have."""
        accounts = people(count, domain=self._lab.fleet.domain)
        with self._hosts.people(accounts, alone=alone):
            with self._lab.report.task(f"Make {count:,} mailboxes"):
                self._hosts.deliver(accounts)
                self._hosts.settle()
            yield accounts
            with self._lab.report.task("Until nothing is under way"):
                self._hosts.settle()

    def _work(
        self,
        pace: str,
        accounts: Sequence[Account],
        *,
        each: int,
        every: float = 0.0,
        size: int = 0,
        servers: int = len(PAIR),
    ) -> Paced:
        """Have outsiders write to these accounts."""
        work = Work(sender=self._sender, each=each, every=every, size=size)
        mail = replace(
            self._plan.mail,
            accounts=tuple(accounts),
            twins=self._plan.mail.twins[:servers],
        )
        told = f"Write {each * len(accounts):,} messages to {len(accounts)} users"
        with self._lab.report.task(told + (", to one server alone" if servers == 1 else "")):
            said = outside(
                self._lab,
                replace(self._plan, mail=mail),
                "lab.users.mail_pace",
                pace,
                json.dumps(asdict(work)),
                seconds=_SECONDS,
            )
        return Paced.of(said)

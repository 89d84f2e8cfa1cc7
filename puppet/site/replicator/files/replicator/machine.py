"""What is to be synced, in which order, and when: the state machine of the replicator.

Pure: it is told what happened and the time, and says what to do. It promises that

- nobody whose mail has changed is forgotten before a full sync that began after the change,
- no user is synced twice at a time,
- a sweep reaches everybody,
- on a host that has never had the mailboxes, nobody is synced both ways before all of their mail
  has come in one direction.

Two servers that merge take a mailbox of which one has only a part for two that went different ways:
messages get new numbers, and what was thrown away meanwhile comes back. So a part must never meet
the whole: until it is the whole, it only receives, and is put right by force.

Whoever's mail has changed gets a quick sync at once. It starts from the state that the last sync of
either server left, reads in Dovecot's logs what is new since, and what has left. That has been
wrong now and then, for good; so a full one follows soon, and the marker stays until then. It begins
like a quick one, and then both servers are compared; where they stay apart, everything is looked at
(:mod:`replicator.compare`). Whoever has no state is synced in full at once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from replicator.breaker import Breaker, State
from replicator.job import CARRIED, Job, Kind, Outcome, Past

COPIES: Final = 2
"""So many first copies must have worked in a row. The last has looked at all that came before it,
while it could still be put right by force: once a message of one that had worked had no file, and
Dovecot made the folder's index anew."""

HANGING: Final = 8
"""How many times as many syncs as usual may be under way while some hang."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much, how soon.

    Attributes:
        parallel: syncs at a time.
        full_share: full syncs of a user take one in so many seconds...
        full_within: ...but the next is due in so many seconds at the latest...
        full_after: ...and in so many at the earliest, behind the quick one.
        retry_first: seconds until a failed sync is tried again, which double...
        retry_longest: ...up to so many.
        sweep_patience: a sweep waits for so many seconds behind what has changed.
        doubts: syncs of a user that may fail in a row, some 50 minutes: what they start from may be
            to blame, though a disk is full more often. Without it what people have thrown away
            meanwhile comes back.
        disturbances: syncs of a user that may be disturbed in a row, for the same reason.
    """

    parallel: int = 8
    full_share: float = 10.0
    full_within: float = 30.0
    full_after: float = 5.0
    retry_first: float = 1.0
    retry_longest: float = 30.0
    sweep_patience: float = 2.0
    doubts: int = 100
    disturbances: int = 3


@dataclass(kw_only=True)
class Debt:
    """What is owed to one user.

    Attributes:
        full_at: when the full sync is due.
        since: when the oldest change came that no sync has carried yet.
        quick: whether a quick sync has something to carry.
        ready: not before this time, after a failure.
        failures: in a row.
        disturbed: syncs in a row during which something changed that mattered.
        again: when the first change came during the sync under way.
        resweep: whether a sweep began during the sync under way.
    """

    full_at: float
    since: float | None = None
    quick: bool = False
    ready: float = 0.0
    failures: int = 0
    disturbed: int = 0
    again: float | None = None
    resweep: bool = False


class Machine:
    """The state of everything that is to be synced with one peer.

    Attributes:
        empty: whether this host has never had the mailboxes.
        sweeps_begun: how many sweeps have begun.
        sweeps_done: the number of the last one that is done.
    """

    def __init__(self, *, limits: Limits, breaker: Breaker, empty: bool = False) -> None:
        """Make one that owes nobody anything."""
        self.empty = empty
        self._copies: dict[str, int] = {}
        self._limits = limits
        self._breaker = breaker
        self._debts: dict[str, Debt] = {}
        self._jobs: dict[str, Job] = {}
        self._past: dict[str, Past] = {}
        self._unswept: set[str] = set()
        self.sweeps_begun = 0
        self.sweeps_done = 0

    def learn(self, user: str, *, seconds: float, state: str, at: float) -> None:
        """Take note of what a user's sync left that was not made by this program.

        What a later one has left is kept.

        Args:
            user: whose sync it was.
            seconds: how long the last full one took, for whoever has made none yet.
            state: what it left.
            at: when; long ago where that is not known.
        """
        past = self._past.get(user)
        if past and past.at > at:
            return
        self._past[user] = Past(
            seconds=past.seconds if past else seconds,
            ended=past.ended if past else -math.inf,
            state=state,
            at=at,
        )

    def past(self, user: str) -> Past | None:
        """Return what a user's syncs have taught."""
        return self._past.get(user)

    def mark(self, user: str, *, now: float) -> None:
        """Take note that a user's mail has changed."""
        debt = self._debts.get(user)
        if debt is None:
            self._debts[user] = Debt(full_at=self._full_due(user, now), since=now, quick=True)
        elif user in self._jobs:
            debt.again = now if debt.again is None else debt.again
        else:
            debt.since = now if debt.since is None else debt.since
            debt.quick = True

    def sweep(self, users: Collection[str], *, now: float) -> int:
        """Owe these users a full sync that begins from now on; return the number of the sweep.

        It takes the place of one that is not done yet: when it is done, so is that.
        """
        self.sweeps_begun += 1
        self._unswept = set(users)
        self.require(users, now=now)
        self._settle_sweep()
        return self.sweeps_begun

    def require(self, users: Collection[str], *, now: float) -> None:
        """Owe these users a full sync that begins from now on; failures keep nobody waiting."""
        for user in users:
            debt = self._debts.setdefault(user, Debt(full_at=now))
            debt.full_at = min(debt.full_at, now)
            debt.ready = 0.0
            debt.resweep = user in self._jobs

    def next(self, *, now: float) -> Job | None:
        """Return the sync to begin now, if there is one; from here it is under way."""
        if self._busy():
            return None
        ripe = [(self._rank(debt), user) for user, debt in self._waiting() if self._ripe(debt, now)]
        if not ripe:
            return None
        user = min(ripe)[1]
        debt = self._debts[user]
        past = self._past.get(user)
        quick = self._takes_quick(user) and debt.quick and now < debt.full_at
        first = self.empty and self._copies.get(user, 0) < COPIES
        job = Job(
            user=user,
            kind=Kind.FIRST if first else Kind.QUICK if quick else Kind.FULL,
            state=past.state if past and not first else "",
            started=now,
            sweep=self.sweeps_begun,
        )
        self._jobs[user] = job
        return job

    def finish(
        self, job: Job, outcome: Outcome, *, now: float, state: str = "", at: float | None = None
    ) -> bool:
        """Take note that a sync has ended.

        Args:
            job: the sync.
            outcome: how.
            now: when.
            state: what it left, for a quick sync to start from.
            at: when it left that; now, if nothing was looked at afterwards.

        Returns:
            Whether what was marked before the sync began is settled, for the marker to go.
        """
        debt = self._debts[job.user]
        del self._jobs[job.user]
        reached = outcome is Outcome.GONE or (job.kind is Kind.FULL and outcome in CARRIED)
        settled = reached and outcome is not Outcome.MOVING
        self._learn(job, outcome, now=now, state=state, at=now if at is None else at)
        if outcome is Outcome.FAILED:
            debt.failures += 1
            delay = self._limits.retry_first * 2 ** min(debt.failures - 1, 10)
            debt.ready = now + min(delay, self._limits.retry_longest)
        else:
            debt.failures, debt.ready = 0, 0.0
        debt.disturbed = debt.disturbed + 1 if outcome is Outcome.CHANGED else 0
        if job.kind is Kind.FIRST:
            worked = outcome is Outcome.DONE
            self._copies[job.user] = self._copies.get(job.user, 0) + 1 if worked else 0
        elif outcome in CARRIED:
            debt.since, debt.quick = None, False
        if outcome is Outcome.MOVING:
            debt.full_at = now + self._apart(now - job.started)
        # Who waits for a sweep does not wait until everybody has come to rest.
        if reached and job.sweep == self.sweeps_begun:
            self._unswept.discard(job.user)
            self._settle_sweep()
        self._carry_over(job.user, debt, settled=settled, now=now)
        return settled

    def wake_at(self, *, now: float) -> float | None:
        """Return when there may be something to begin, if nothing else happens before."""
        if self._busy():
            return None
        times = [self._next_of(user, debt) for user, debt in self._waiting()]
        return max(now, min(times)) if times else None

    @property
    def queue(self) -> int:
        """How many users wait for a sync."""
        return len(self._debts) - len(self._jobs)

    @property
    def unswept(self) -> int:
        """How many users the sweep under way has still to reach."""
        return len(self._unswept)

    def running(self) -> list[Job]:
        """Return the syncs under way."""
        return list(self._jobs.values())

    def since(self, user: str) -> float | None:
        """Return when the oldest change of a user came that no sync has carried yet."""
        debt = self._debts.get(user)
        return debt.since if debt else None

    def debts(self) -> Iterator[tuple[str, Debt]]:
        """Return every user who is owed something."""
        yield from self._debts.items()

    def _learn(self, job: Job, outcome: Outcome, *, now: float, state: str, at: float) -> None:
        """Keep what the next sync starts from, unless that may be what is wrong."""
        if outcome is Outcome.GONE or self._doubtful(job, outcome):
            self._past.pop(job.user, None)
            return
        past = self._past.get(job.user)
        nothing = outcome is not Outcome.DONE and not state
        if past is not None and (past.at > at or nothing):
            state, at = past.state, past.at
        if outcome is Outcome.DONE and job.kind is Kind.FULL:
            self._past[job.user] = Past(seconds=now - job.started, ended=now, state=state, at=at)
        elif past is not None:
            self._past[job.user] = replace(past, state=state, at=at)

    def _carry_over(self, user: str, debt: Debt, *, settled: bool, now: float) -> None:
        """Go on with what came during the sync, or forget a user who is owed nothing more."""
        again, resweep = debt.again, debt.resweep
        debt.again, debt.resweep = None, False
        if settled and again is None and not resweep:
            del self._debts[user]
            return
        if settled:
            debt.full_at = self._full_due(user, now)
            debt.since, debt.quick = again, again is not None
        elif again is not None:
            debt.since = again if debt.since is None else debt.since
            debt.quick = True
        if resweep or not self._takes_quick(user):
            debt.full_at = min(debt.full_at, now)

    def _doubtful(self, job: Job, outcome: Outcome) -> bool:
        """Say whether what a sync started from may be why it failed, or never comes to an end."""
        if not job.state:
            return False
        debt, limits = self._debts[job.user], self._limits
        if outcome is Outcome.FAILED:
            return debt.failures + 1 >= limits.doubts
        return outcome is Outcome.CHANGED and debt.disturbed + 1 >= limits.disturbances

    def _takes_quick(self, user: str) -> bool:
        past = self._past.get(user)
        return past is not None and bool(past.state)

    def _full_due(self, user: str, now: float) -> float:
        past = self._past.get(user)
        if past is None or not self._takes_quick(user):
            return now
        return max(now + self._limits.full_after, past.ended + self._apart(past.seconds))

    def _apart(self, seconds: float) -> float:
        """Return how far from one full sync the next is, by how long it took."""
        limits = self._limits
        return max(limits.full_after, min(seconds * limits.full_share, limits.full_within))

    def _busy(self) -> bool:
        """Say whether as much is under way as may be.

        What is from before the breaker's last turn hangs somewhere until it times out, and does
        not count; but there is an end to that, too.
        """
        parallel = self._limits.parallel
        allowed = 0 if self._breaker.state is State.OPEN else parallel
        turned = self._breaker.since
        counted = sum(job.started >= turned for job in self._jobs.values())
        return counted >= allowed or len(self._jobs) >= parallel * HANGING

    def _waiting(self) -> Iterator[tuple[str, Debt]]:
        return ((user, debt) for user, debt in self._debts.items() if user not in self._jobs)

    def _next_of(self, user: str, debt: Debt) -> float:
        soon = debt.quick and self._takes_quick(user)
        return debt.ready if soon else max(debt.ready, debt.full_at)

    def _ripe(self, debt: Debt, now: float) -> bool:
        return now >= debt.ready and (debt.quick or now >= debt.full_at)

    def _rank(self, debt: Debt) -> float:
        return debt.full_at + self._limits.sweep_patience if debt.since is None else debt.since

    def _settle_sweep(self) -> None:
        if not self._unswept:
            self.sweeps_done = self.sweeps_begun

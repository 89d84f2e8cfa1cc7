"""One sync of one user: what Dovecot is asked, and how it ended. It takes its time."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from replicator.compare import LOOKS, Comparison, Seen, held
from replicator.doveadm import CHANGED, NO_USER, Doveadm, DoveadmError
from replicator.gossip import Gossip, GossipError, Lesson
from replicator.job import Job, Kind, Outcome, Past

LOG = logging.getLogger("replicator")


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a sync ended.

    Attributes:
        outcome: in a word.
        reached: whether the peer had a say in it, where that is known.
        state: what it left.
        at: when it left that, on the clock that only goes on; before it was looked at.
        error: why it failed.
        seen: whether what was thrown away before it began is seen to be gone.
        back: how many folders and subscriptions of those had come back, and were taken away again.
    """

    outcome: Outcome
    reached: bool | None
    state: str = ""
    at: float = -math.inf
    error: str = ""
    seen: bool = False
    back: int = 0


@dataclass(frozen=True, kw_only=True)
class Thrown:
    """What was thrown away before a sync.

    Attributes:
        folders: by their GUIDs.
        subscriptions: by the names of their folders.
    """

    folders: Collection[str] = ()
    subscriptions: Collection[str] = ()

    def __bool__(self) -> bool:
        """Say whether there is anything."""
        return bool(self.folders or self.subscriptions)


class Syncs:
    """The syncs of one user, each from the newest state that either server has left.

    Attributes:
        state: what the last one left.
        at: when it did, on the clock that only goes on.
    """

    def __init__(
        self, *, doveadm: Doveadm, gossip: Gossip, job: Job, newest: Callable[[str], Past | None]
    ) -> None:
        """Make it, with what the job starts from.

        Args:
            doveadm: this host's Dovecot.
            gossip: the peer's replicator.
            job: what is to be done.
            newest: says what this host knows of a user.
        """
        self._doveadm = doveadm
        self._gossip = gossip
        self._user = job.user
        self._newest = newest
        self.state = job.state
        self.at = -math.inf

    def make(self, *, full: bool = False) -> None:
        """Make one, and tell the peer at once what it left: it may be about to start the next.

        Raises:
            DoveadmError: it did not work, or something changed meanwhile.
        """
        past = self._newest(self._user)
        if past is not None and past.state and past.at > self.at:
            self.state = past.state
        self.state = self._doveadm.sync(self._user, state="" if full else self.state)
        self.at = time.monotonic()
        if self.state:
            seconds = past.seconds if past else 0.0
            self._gossip.tell(Lesson(user=self._user, seconds=seconds, state=self.state))

    def result(self, outcome: Outcome, *, reached: bool, error: str = "") -> Result:
        """Return how the job ended, with what was left before that."""
        return Result(outcome=outcome, reached=reached, state=self.state, at=self.at, error=error)

    def compare(self) -> Seen:
        """Go on until both servers have been seen to have the same, or never will.

        Raises:
            DoveadmError: a sync did not work, or the peer is not there any more.
        """
        looking = Comparison(
            mine=lambda: held(self._doveadm, self._user),
            theirs=lambda: self._gossip.held(self._user),
        )
        for more in reversed(range(LOOKS)):
            try:
                seen = looking.look()
            except GossipError as error:
                if not error.reached:
                    raise DoveadmError(str(error)) from error
                return self._not_compared(error)
            except DoveadmError as error:
                return self._not_compared(error)
            if seen is Seen.APART:
                folders = ", ".join(sorted(looking.apart))
                LOG.info("%s: not the same, so synced in full: %s", self._user, folders)
            if seen is not Seen.MOVING or not more:
                break
            self.make()
        return seen

    def _not_compared(self, why: Exception) -> Seen:
        LOG.warning("%s: not compared, so synced in full: %s", self._user, why)
        return Seen.APART


def sync(
    doveadm: Doveadm,
    job: Job,
    *,
    thrown: Thrown,
    gossip: Gossip,
    newest: Callable[[str], Past | None],
) -> Result:
    """Do it.

    Args:
        doveadm: this host's Dovecot.
        job: what is to be done.
        thrown: what was thrown away before it.
        gossip: the peer's replicator.
        newest: says what this host knows of a user.
    """
    syncs = Syncs(doveadm=doveadm, gossip=gossip, job=job, newest=newest)
    outcome = Outcome.DONE
    try:
        if job.kind is Kind.FIRST:
            doveadm.receive(job.user)
            return Result(outcome=Outcome.DONE, reached=True, at=time.monotonic())
        if job.state:
            syncs.make()
        if job.kind is Kind.FULL:
            seen = syncs.compare() if job.state else Seen.APART
            if seen is Seen.APART:
                syncs.make(full=True)
            elif seen is Seen.MOVING:
                outcome = Outcome.MOVING
    except DoveadmError as error:
        if error.code == CHANGED:
            return syncs.result(Outcome.CHANGED, reached=True)
        if error.code == NO_USER:
            return _unknown(doveadm, job.user)
        return syncs.result(Outcome.FAILED, reached=False, error=str(error))
    done = syncs.result(outcome, reached=True)
    if job.kind is Kind.FULL and thrown:
        return _seen_gone(doveadm, job.user, thrown, done=done)
    return done


def _seen_gone(doveadm: Doveadm, user: str, thrown: Thrown, *, done: Result) -> Result:
    """Look whether what was thrown away is gone; what has come back is taken away again.

    Where that cannot be done the sync has worked all the same: the next one looks again.
    """
    back = 0
    try:
        if thrown.folders:
            for guid, name in doveadm.folders(user).items():
                if guid in thrown.folders:
                    doveadm.throw_away(user, name=name, guid=guid)
                    back += 1
        if thrown.subscriptions:
            for name in doveadm.subscriptions(user).intersection(thrown.subscriptions):
                doveadm.unsubscribe(user, name=name)
                back += 1
    except DoveadmError as error:
        LOG.warning("%s: whether what was thrown away is gone is not known: %s", user, error)
        return replace(done, back=back)
    if back:
        return replace(done, outcome=Outcome.CHANGED, back=back)
    return replace(done, seen=done.outcome is Outcome.DONE)


def _unknown(doveadm: Doveadm, user: str) -> Result:
    """Say whether a user is gone, or is one whom the peer does not know yet."""
    try:
        known = doveadm.users(user)
    except DoveadmError as error:
        return Result(outcome=Outcome.FAILED, reached=None, error=str(error))
    if not known:
        return Result(outcome=Outcome.GONE, reached=None)
    return Result(outcome=Outcome.FAILED, reached=True, error="unknown to the peer")

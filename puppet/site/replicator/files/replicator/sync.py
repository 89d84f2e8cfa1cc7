"""One sync of one user: what Dovecot is asked, and how it ended. It takes its time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from replicator.compare import LOOKS, Comparison, held
from replicator.doveadm import CHANGED, NO_USER, Doveadm, DoveadmError
from replicator.gossip import GossipError
from replicator.machine import Job, Kind, Outcome

LOG = logging.getLogger("replicator")


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a sync ended.

    Attributes:
        outcome: in a word.
        reached: whether the peer had a say in it, where that is known.
        state: what it left.
        error: why it failed.
        seen: whether what was thrown away before it began is seen to be gone.
        back: how many folders and subscriptions of those had come back, and were taken away again.
    """

    outcome: Outcome
    reached: bool | None
    state: str = ""
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


def sync(
    doveadm: Doveadm, job: Job, *, thrown: Thrown, peer: Callable[[str], Mapping[str, str]]
) -> Result:
    """Do it.

    Args:
        doveadm: this host's Dovecot.
        job: what is to be done.
        thrown: what was thrown away before it.
        peer: says what a user has on the peer, or raises GossipError.
    """
    state, alike = "", False
    try:
        if job.kind is Kind.FIRST:
            doveadm.receive(job.user)
        else:
            if job.state:
                state = doveadm.sync(job.user, state=job.state)
            if job.kind is Kind.FULL and job.state:
                state, alike = _until_alike(doveadm, job.user, state=state, peer=peer)
            if job.kind is Kind.FULL and not alike:
                state = doveadm.sync(job.user)
    except DoveadmError as error:
        if error.code == CHANGED:
            return Result(outcome=Outcome.CHANGED, reached=True)
        if error.code == NO_USER:
            return _unknown(doveadm, job.user)
        return Result(outcome=Outcome.FAILED, reached=False, error=str(error))
    if job.kind is Kind.FULL and thrown:
        return _seen_gone(doveadm, job.user, thrown, state=state)
    return Result(outcome=Outcome.DONE, reached=True, state=state)


def _until_alike(
    doveadm: Doveadm, user: str, *, state: str, peer: Callable[[str], Mapping[str, str]]
) -> tuple[str, bool]:
    """Sync from a state until both servers have been seen to have the same.

    Returns:
        What the last sync left, and whether they have.

    Raises:
        DoveadmError: a sync did not work.
    """
    looking = Comparison(mine=lambda: held(doveadm, user), theirs=lambda: peer(user))
    for more in reversed(range(LOOKS)):
        try:
            alike = looking.look()
        except (DoveadmError, GossipError) as error:
            LOG.warning("%s: not compared, so synced in full: %s", user, error)
            return state, False
        if alike or looking.hopeless:
            return state, alike
        if more:
            state = doveadm.sync(user, state=state)
    LOG.info("%s: not the same, so synced in full: %s", user, ", ".join(sorted(looking.left or ())))
    return state, False


def _seen_gone(doveadm: Doveadm, user: str, thrown: Thrown, *, state: str) -> Result:
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
        return Result(outcome=Outcome.DONE, reached=True, state=state, back=back)
    if back:
        return Result(outcome=Outcome.CHANGED, reached=True, back=back)
    return Result(outcome=Outcome.DONE, reached=True, state=state, seen=True)


def _unknown(doveadm: Doveadm, user: str) -> Result:
    """Say whether a user is gone, or is one whom the peer does not know yet."""
    try:
        known = doveadm.users(user)
    except DoveadmError as error:
        return Result(outcome=Outcome.FAILED, reached=None, error=str(error))
    if not known:
        return Result(outcome=Outcome.GONE, reached=None)
    return Result(outcome=Outcome.FAILED, reached=True, error="unknown to the peer")

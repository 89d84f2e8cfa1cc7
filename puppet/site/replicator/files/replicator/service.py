"""The service: what happens to the spool, to Dovecot and to the peer, put together.

Everything is decided in one thread, the event loop's. What may take long (a sync, a probe, a list
of users) has a thread of its own, which only says how it ended.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from replicator import compare, report
from replicator.breaker import Breaker, State
from replicator.discarded import Discarded, Unsubscribed
from replicator.doveadm import Doveadm, DoveadmError, reachable
from replicator.gossip import Gossip, Lesson
from replicator.inotify import Watch
from replicator.job import CARRIED, Job, Outcome
from replicator.machine import Limits, Machine
from replicator.metrics import Metrics
from replicator.notes import Notes
from replicator.settings import Settings
from replicator.spool import Spool
from replicator.sync import Result, Thrown, sync

LOG = logging.getLogger("replicator")
T = TypeVar("T")

PROBE_SECONDS: Final = 2.0
SLOW_SECONDS: Final = 2.0
"""A sync that takes longer has the peer probed: it may hang."""
UNSUBSCRIBED_WITHIN: Final = 5.0
"""Until a full sync is asked for, if there was none: folders that go are looked after at once."""
START_SECONDS: Final = 3.0
"""Until everybody is synced, after the start, unless somebody asks for it before."""
LIST_SECONDS: Final = 2.0
"""Until users are asked for again, when Dovecot did not say."""


class Service:
    """Replicates until it is stopped."""

    def __init__(self, *, settings: Settings, doveadm: Doveadm, gossip: Gossip) -> None:
        """Make one that has not begun; inside the event loop that it runs in.

        Raises:
            OSError: what it has written down cannot be read.
        """
        self._settings = settings
        self._doveadm = doveadm
        self._gossip = gossip
        self._spool = Spool(path=Path(settings.spool))
        self._loop = asyncio.get_running_loop()
        self._breaker = Breaker(now=self._loop.time())
        self._machine = Machine(
            limits=Limits(parallel=settings.parallel),
            breaker=self._breaker,
            empty=Path(settings.empty).exists(),
        )
        if self._machine.empty:
            LOG.info("this host has never had the mailboxes: it only receives at first")
        state = Path(settings.state)
        self._discarded = Discarded(notes=Notes(path=state / "discarded"))
        self._unsubscribed = Unsubscribed()
        self._states = Notes(path=state / "states")
        self._resume()
        self._timer: asyncio.TimerHandle | None = None
        self._errors: dict[str, str] = {}
        self._probing = False
        self._probed_at = 0.0
        self._listing = False
        self._list_at: float | None = None
        self._list_error = ""
        self._sweep_began = 0.0
        self._sweep_seconds = 0.0
        self._sweep_ended = 0.0
        self._sweeps_seen = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.metrics = Metrics()

    def begin(self) -> Watch:
        """Take up what is left in the spool, watch it, and sweep soon.

        Raises:
            OSError: the spool cannot be watched or read.
        """
        watch = Watch(directory=self._spool.path)
        self._loop.add_reader(watch.fd, self._written, watch)
        self._scan()
        # Whoever lets people in on a host that has just started asks for one of their own.
        self._list_at = self._loop.time() + START_SECONDS
        self._turn()
        return watch

    def sweep(self) -> asyncio.Future[None]:
        """Sync everybody; return what is done when a sweep is that began after this."""
        done = self._loop.create_future()
        self._waiting.append((self._machine.sweeps_begun + 1, done))
        self._list_at = self._loop.time()
        self._turn()
        return done

    def require(self, users: Collection[str]) -> None:
        """Sync these users in full."""
        self._machine.require(users, now=self._loop.time())
        self._turn()

    def gone(self, user: str, folders: Collection[str]) -> None:
        """Take note that a user has thrown folders away, which had these GUIDs."""
        self._discarded.gone(user, folders)
        self.require([user])

    def unsubscribed(self, user: str, folder: str) -> None:
        """Take note that a user subscribes to a folder no more; a full sync looks soon."""
        self._unsubscribed.gone(user, folder, now=self._loop.time())
        self._loop.call_later(UNSUBSCRIBED_WITHIN, self._look_after, user, folder)

    def subscribed(self, user: str, folder: str) -> None:
        """Take note that a user subscribes to a folder, maybe again."""
        self._unsubscribed.settle(user, [folder])

    def thrown(self, user: str) -> Thrown:
        """Return what a user has thrown away that has not been seen to be gone."""
        return Thrown(
            folders=self._discarded.of(user),
            subscriptions=self._unsubscribed.of(user, now=self._loop.time()),
        )

    def held(self, user: str) -> asyncio.Future[dict[str, str] | DoveadmError]:
        """Say what a user has on this host, or why that cannot be said."""
        said: asyncio.Future[dict[str, str] | DoveadmError] = self._loop.create_future()

        def look() -> dict[str, str] | DoveadmError:
            try:
                return compare.held(self._doveadm, user)
            except DoveadmError as error:
                return error

        def say(held: dict[str, str] | DoveadmError) -> None:
            # Whoever asked may have gone meanwhile.
            if not said.done():
                said.set_result(held)

        self._aside(look, say)
        return said

    def report(self) -> report.Report:
        """Say how it stands."""
        return report.take(
            peer=self._settings.peer,
            machine=self._machine,
            breaker=self._breaker,
            errors=self._errors,
            failures=self.metrics.failures,
            sweep_seconds=self._sweep_seconds,
            sweep_ended=self._sweep_ended,
            now=self._loop.time(),
        )

    def _look_after(self, user: str, folder: str) -> None:
        if folder in self.thrown(user).subscriptions:
            self.require([user])

    def _written(self, watch: Watch) -> None:
        names = watch.read()
        if names is None:
            LOG.warning("events of the spool were lost: it is read instead")
            self._scan()
        else:
            now = self._loop.time()
            for user in filter(None, map(self._spool.marked, set(names))):
                self._machine.mark(user, now=now)
        self._turn()

    def _scan(self) -> None:
        for user in self._spool.users():
            self._machine.mark(user, now=self._loop.time())

    def _turn(self) -> None:
        """Begin what can be begun, and come back when there may be more."""
        now = self._loop.time()
        # Whoever says so ends it, before anybody may write here; and for good.
        self._machine.empty = self._machine.empty and Path(self._settings.empty).exists()
        while (job := self._machine.next(now=now)) is not None:
            self._start(job)
        if self._list_at is not None and now >= self._list_at and not self._listing:
            self._listing, self._list_at = True, None
            self._aside(self._list, self._listed)
        if self._wants_probe(now) and not self._probing:
            self._probing = True
            self._aside(self._probe, self._probed)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._wake_at(now), self._turn)

    def _wake_at(self, now: float) -> float:
        times = [self._machine.wake_at(now=now), self._breaker.probe_at(), self._list_at]
        if self._machine.running():
            times.append(now + SLOW_SECONDS)
        if self._probing or self._listing:
            times = [each for each in times if each is None or each > now]
        return min((each for each in times if each is not None), default=now + 3600)

    def _start(self, job: Job) -> None:
        try:
            self._spool.begin(job.user)
        except OSError as error:
            failed = Result(outcome=Outcome.FAILED, reached=None, error=str(error))
            self._loop.call_soon(lambda: self._finished(job, failed, thrown=Thrown()))
            return
        thrown = self.thrown(job.user)
        self._aside(
            lambda: sync(
                self._doveadm, job, thrown=thrown, gossip=self._gossip, newest=self._machine.past
            ),
            lambda result: self._finished(job, result, thrown=thrown),
        )

    def _finished(self, job: Job, result: Result, *, thrown: Thrown) -> None:
        now = self._loop.time()
        since = self._machine.since(job.user)
        lag = now - since if since is not None and result.outcome in CARRIED else None
        self.metrics.synced(job.kind, result.outcome, seconds=now - job.started, lag=lag)
        if self._machine.finish(job, result.outcome, now=now, state=result.state, at=result.at):
            self._settle(job.user)
        self._remember(job.user)
        if result.seen:
            self._discarded.settle(job.user, thrown.folders)
            self._unsubscribed.settle(job.user, thrown.subscriptions)
        if result.back:
            LOG.info(
                "%s: %d folders or subscriptions had come back, and are taken away",
                job.user,
                result.back,
            )
            self.metrics.came_back(result.back)
        if result.error:
            LOG.warning("%s: %s", job.user, result.error)
            self._errors[job.user] = result.error
        else:
            self._errors.pop(job.user, None)
        if result.reached is False:
            self._breaker.failed(job.user, now=now)
            self._probed_at = min(self._probed_at, now - SLOW_SECONDS)
        elif result.reached and self._breaker.succeeded(now=now):
            self._healed()
        self._note_sweep(now)
        self._turn()

    def learn(self, lesson: Lesson) -> None:
        """Take note of what a sync of the peer's has left."""
        now = self._loop.time()
        self._machine.learn(lesson.user, seconds=lesson.seconds, state=lesson.state, at=now)
        self._remember(lesson.user)

    def _resume(self) -> None:
        """Go on from what the last syncs left, before this program began."""
        for user, note in self._states.read().items():
            with suppress(ValueError):
                lesson = Lesson.of(user, note)
                self._machine.learn(user, seconds=lesson.seconds, state=lesson.state, at=-math.inf)

    def _remember(self, user: str) -> None:
        """Write down what a user's last sync has left."""
        past = self._machine.past(user)
        if past is None or not past.state:
            self._states.write(user, None)
            return
        lesson = Lesson(user=user, seconds=past.seconds, state=past.state)
        self._states.write(user, lesson.note())

    def _settle(self, user: str) -> None:
        try:
            self._spool.settle(user)
        except OSError as error:
            LOG.error("the marker stays, and is one sync too many: %s", error)  # noqa: TRY400

    def _wants_probe(self, now: float) -> bool:
        at = self._breaker.probe_at()
        if at is not None:
            return now >= at
        hanging = any(now - job.started >= SLOW_SECONDS for job in self._machine.running())
        failing = bool(self._errors)
        return (hanging or failing) and now - self._probed_at >= SLOW_SECONDS

    def _probe(self) -> bool:
        """Say whether a sync could work: this host's Dovecot is there, and the peer's is."""
        api = self._settings.api
        try:
            socket.create_connection((api.host, api.port), timeout=PROBE_SECONDS).close()
        except OSError:
            return False
        return reachable(self._settings.peer_dovecot, seconds=PROBE_SECONDS)

    def _probed(self, answered: bool) -> None:  # noqa: FBT001 - what a probe says
        now = self._loop.time()
        self._probing, self._probed_at = False, now
        before = self._breaker.state
        if not answered:
            self._breaker.unreachable(now=now)
            if before is State.CLOSED:
                LOG.error("the peer does not answer: nothing is synced until it does")
        elif self._breaker.reachable(now=now):
            self._healed()
        self._turn()

    def _healed(self) -> None:
        LOG.info("the peer answers again: everybody is synced")
        self._list_at = self._loop.time()

    def _list(self) -> list[str] | DoveadmError:
        try:
            return self._doveadm.users()
        except DoveadmError as error:
            return error

    def _listed(self, users: list[str] | DoveadmError) -> None:
        now = self._loop.time()
        self._listing = False
        if isinstance(users, DoveadmError):
            if self._list_error != str(users):
                LOG.warning("nobody can be swept yet: %s", users)
            self._list_error = str(users)
            self._list_at = now + LIST_SECONDS
        else:
            self._list_error = ""
            self._sweep_began = now
            self._machine.sweep(users, now=now)
            self._note_sweep(now)
            if self._list_at is None:
                self._list_at = now + self._settings.sweep_interval
        self._turn()

    def _note_sweep(self, now: float) -> None:
        if self._machine.sweeps_done != self._sweeps_seen:
            self._sweeps_seen = self._machine.sweeps_done
            self._sweep_seconds = now - self._sweep_began
            self._sweep_ended = time.time()
            for number, done in self._waiting:
                if number <= self._sweeps_seen and not done.done():
                    done.set_result(None)
            self._waiting = [each for each in self._waiting if not each[1].done()]

    def _aside(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - it is raised where it can be seen
                self._loop.call_soon_threadsafe(_raise, error)
            else:
                self._loop.call_soon_threadsafe(then, result)

        # A daemon: when the service ends, what hangs does not keep it.
        threading.Thread(target=run, daemon=True).start()


def _raise(error: Exception) -> None:
    raise error

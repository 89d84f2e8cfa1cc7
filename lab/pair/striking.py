"""Strikes carried out in a lab, each on time and each healed, however it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final

from lab.errors import CouldNotError
from lab.faults import Faults
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator.mailboxes import STORE
from lab.pair.alike import wait_to_look_often
from lab.pair.strikes import CLOCK_SECONDS, LOSS_PERCENT, PAIR, Kind, Strike

MAIL_UNITS: Final = ("postfix.service", "dovecot.service")
"""Who uses the mailboxes, in the order in which they stop."""

CLOCKED: Final = (
    "pdns.service",
    "nginx.service",
    "postfix.service",
    "dovecot.service",
)
"""What a wrong clock is given to: whoever compares times with somebody else.

HAProxy does not start under libfaketime: 90 s, then systemd gives it up.
"""

_MEGABYTES: Final = 600
_POLL: Final = 0.2

Doing = Callable[[str], AbstractContextManager[None]]
"""Does something to a host while a block runs."""


class StrikeError(CouldNotError):
    """A strike could not be carried out."""


def means(faults: Faults, more: Mapping[Kind, Doing]) -> dict[Kind, Doing]:
    """Return how each kind is carried out.

    Args:
        faults: of the lab.
        more: what is no fault of the lab's, such as a drain or a rebuild.
    """
    return {
        Kind.POWER: faults.power_loss,
        Kind.FROZEN: faults.frozen,
        Kind.CUT: faults.silent_cut,
        Kind.CUT_FROM: lambda host: faults.one_way_cut(host, "from"),
        Kind.CUT_TO: lambda host: faults.one_way_cut(host, "to"),
        Kind.LOSS: lambda host: faults.loss(host, percent=LOSS_PERCENT),
        Kind.FULL: lambda host: faults.full_volume(host, STORE),
        Kind.CLOCK: lambda host: faults.clock_off(host, CLOCKED, seconds=CLOCK_SECONDS),
        Kind.PARTITION: lambda _host: faults.partition(*PAIR),
        **more,
    }


@contextmanager
def prepared(lab: Lab, strikes: Sequence[Strike]) -> Iterator[None]:
    """Make ready, before anybody looks, what some strikes need.

    A disk that can be full: a host's mail stands still while its mailboxes go to a volume of their
    own, and come back. And a pair that has not just been started, for a cut between the two.
    """
    with ExitStack() as volumes:
        for host in sorted({each.host for each in strikes if each.kind == Kind.FULL}):
            volumes.enter_context(_room(lab, host))
        if any(each.kind == Kind.PARTITION for each in strikes):
            wait_to_look_often(in_lab(lab))
        yield


@contextmanager
def _room(lab: Lab, host: str) -> Iterator[None]:
    running = [unit for unit in MAIL_UNITS if _runs(lab, host, unit)]
    stop, start = (["systemctl", verb, *running] for verb in ("stop", "start"))
    with ExitStack() as lasting:
        lasting.callback(lab.ssh.run, host, start)
        lab.ssh.run(host, stop)
        volume = Faults(lab=lab).small_volume(host, STORE, megabytes=_MEGABYTES, kept=True)
        lasting.enter_context(volume)
        lasting.callback(lab.ssh.run, host, stop)
        lab.ssh.run(host, start)
        yield


def _runs(lab: Lab, host: str, unit: str) -> bool:
    return lab.ssh.run(host, ["systemctl", "is-active", "--quiet", unit], check=False).ok


def play(strikes: Sequence[Strike], doing: Mapping[Kind, Doing]) -> float:
    """Carry strikes out until all are healed; return when the last healing began (monotonic).

    Each has a thread of its own, so that one may begin while another is being healed. When one
    cannot be carried out, or somebody presses Ctrl-C, all are healed at once.

    Raises:
        StrikeError: there is no way to do one of them.
    """
    if unknown := sorted({str(each.kind) for each in strikes if each.kind not in doing}):
        raise StrikeError(f"nobody here knows how to do: {', '.join(unknown)}")
    over = threading.Event()
    began = time.monotonic()

    def one(strike: Strike) -> None:
        if over.wait(strike.at):
            return
        with doing[strike.kind](strike.host):
            over.wait(max(0.0, began + strike.end - time.monotonic()))

    with ThreadPoolExecutor(max_workers=max(1, len(strikes))) as threads:
        running = [threads.submit(one, strike) for strike in strikes]
        try:
            _await(running)
        finally:
            over.set()
    return began + max((each.end for each in strikes), default=0.0)


def _await(running: Sequence[Future[None]]) -> None:
    """Wait in short turns, or Ctrl-C would have to wait as well; raise what one of them raised."""
    left = set(running)
    while left:
        done, left = wait(left, timeout=_POLL, return_when=FIRST_EXCEPTION)
        for each in done:
            each.result()

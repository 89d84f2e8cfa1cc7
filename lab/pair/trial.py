"""One trial: users at work, strikes carried out and healed, both sides alike again; measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from lab import operate, rebuild
from lab.drain import Drain, DrainError
from lab.errors import GeneralproveError
from lab.faults import Faults
from lab.lab import Lab
from lab.pair.alike import AlikeCheckError, Twins, standard_parts
from lab.pair.costs import Cost
from lab.pair.matrix import Cell
from lab.pair.measured import Measured, saws
from lab.pair.strikes import PAIR, Kind
from lab.pair.striking import Doing, means, play, prepared
from lab.parallel import side_by_side
from lab.verdict import Figures, Outcome, Verdict, guarded
from lab.watch import Watch, commit

_BEFORE: Final = {"until": 500, "mail": 5}
"""What users have done when the first strike comes: whoever never succeeded notices nothing."""

SETTLED: Final = "alike again"
SERVING: Final = "both serve again"
ALIKE: Final = "alike in the end"


def trial(lab: Lab, cell: Cell, *, pace: float = 1.0, day: str = "") -> Measured:
    """Carry out what a cell says in a lab at its last milestone, and return what it cost.

    What could not be carried out to its end is measured all the same: as failed.

    Args:
        lab: the lab; it is left as the cell leaves it.
        cell: what happens, and what it may cost.
        pace: of the users; 1 is the usual one.
        day: the game day that it is a round of, by its seed.
    """
    began, at = time.monotonic(), datetime.now(UTC)
    cost = cell.cost
    watch = Watch(
        lab=lab,
        title=cell.title,
        budget=cost.of_lookups,
        failover=cost.of_visits,
        mail=cost.of_mail,
        both_sides=any(each.kind == Kind.PARTITION for each in cell.strikes),
        pace=pace,
    )
    operator = operate.in_lab(lab)
    # What users have changed, or may have. In the end everything is compared: mailboxes by their
    # owners (lab.watch_mail), message by message, all else by the operator.
    recent = Twins(operator=operator, parts=standard_parts(operator, recent=True))
    rest = {name: look for name, look in standard_parts(operator).items() if name != "mail"}
    twins = Twins(operator=operator, parts=rest)
    try:
        with prepared(lab, cell.strikes), watch:
            watch.hold(**_BEFORE)
            faults = Faults(lab=lab, marks=watch.marks)
            doing = means(faults, _by_operator(lab, faults))
            healed = play(cell.strikes, doing)
            waits: Mapping[str, Callable[[], float]] = {
                SETTLED: lambda: recent.settle(within=cost.alike, begun=healed),
                SERVING: lambda: served(lab, within=cost.alike, begun=healed),
            }
            settled, back = side_by_side(
                lambda what: timed(f"{cell.title}: {what}", waits[what]), [*waits]
            )
            watch.hold_enough()
            watch.also(lambda: settled)
            watch.also(lambda: back)
            watch.also(
                lambda: timed(f"{cell.title}: {ALIKE}", lambda: twins.wait(within=cost.alike))
            )
    except GeneralproveError:
        if not watch.verdicts:  # nobody was watching yet
            raise
    measured = Measured(
        name=cell.name,
        strikes=cell.strikes,
        budget=str(cost),
        pace=pace,
        commit=commit(),
        at=at,
        seconds=round(time.monotonic() - began, 1),
        saws=saws(watch.verdicts),
        day=day,
        load=round(os.getloadavg()[1] / (os.cpu_count() or 1), 1),
    )
    measured.keep(watch.directory)
    return measured


def timed(subject: str, waiting: Callable[[], float]) -> Verdict:
    """Judge how long something took that may take a while, and has to happen."""

    def judged() -> Verdict:
        try:
            seconds = waiting()
        except (AlikeCheckError, DrainError) as error:
            return Verdict(
                subject=subject,
                outcome=Outcome.FAIL,
                reasons=(error.what,),
                figures=Figures(total=1, failed=1),
            )
        return Verdict(
            subject=subject, outcome=Outcome.OK, figures=Figures(total=1, slowest=seconds)
        )

    return guarded(subject, judged)


def served(lab: Lab, *, within: float, begun: float) -> float:
    """Wait until people are led to both hosts again; return the seconds that it took.

    Args:
        lab: the lab.
        within: seconds that it may take.
        begun: since when, on the monotonic clock.

    Raises:
        DrainError: they are not.
    """
    operator = operate.in_lab(lab)
    for host in PAIR:
        left = max(0.0, begun + within - time.monotonic())
        Drain(operator=operator, host=lab.fleet.hosts[host]).led_to(within=left)
    taken = time.monotonic() - begun
    if taken > within:
        raise DrainError(f"served again after {taken:.0f} s", where=" and ".join(PAIR))
    return taken


def _by_operator(lab: Lab, faults: Faults) -> Mapping[Kind, Doing]:
    """Return what happens to a host by its operator's hands, not by a fault of the lab's."""
    operator = operate.in_lab(lab)

    def again(host: str) -> None:
        rebuild.rebuild(operator, host)

    @contextmanager
    def drained(host: str) -> Iterator[None]:
        # As for planned work: a host is shut down when nobody remembers it.
        draining = Drain(operator=operator, host=lab.fleet.hosts[host])
        draining.drain()
        try:
            with faults.shut_down(host):
                yield
        finally:
            draining.undrain(within=Cost().alike)

    return {
        Kind.WIPED: lambda host: faults.wiped(host, rebuild=lambda: again(host)),
        Kind.DRAIN: drained,
    }

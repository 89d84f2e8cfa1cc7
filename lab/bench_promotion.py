"""How fast a promotion is, on a lab that plays production: part of ``invoke bench``.

Evidence is left out: what is measured is the work on the hosts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Protocol

from lab.operator import Operator
from lab.operator.puppet import TREE
from lab.operator.release import Release
from lab.operator.releases import Releases
from lab.promote import plan as planning
from lab.promote.journal import Entry, Journal, Standing, standing
from lab.promote.rollout import Pace, RolledBackError, Rollout, order


class Timed(Protocol):
    """Measures a block: what it was, and the seconds that it may take."""

    def __call__(self, what: str, *, goal: float | None = None) -> AbstractContextManager[None]:
        """Measure the block."""


def measure(operator: Operator, *, timed: Timed) -> None:
    """Measure plan, switch, a promotion that changes nothing, and the way back from one."""
    releases = Releases(puppet=operator.puppet)
    old = releases.in_force()
    new = replace(Release.of(TREE), name=f"{old}-bench")
    releases.push(new)
    hosts = order([operator.fleet.hosts[name] for name in operator.puppet.enrolled()])
    with timed(f"plan of {len(hosts)} hosts", goal=20):
        planning.make(operator=operator, release=new.name, report=operator.report)
    with operator.puppet.held(hosts, "bench"):
        with timed("switch of the release, and flush", goal=1):
            releases.switch(new.name, held=True)
        releases.switch(old, held=True)
    journal = Journal(ssh=operator.ssh, host=operator.puppet.control)
    rollout = Rollout(
        operator=operator, journal=journal, pace=Pace(soak=2), retake_lock=lambda: None
    )
    begin = Entry(
        promotion="bench-forward",
        event="begin",
        who="bench",
        release=new.name,
        previous=old,
        hosts=tuple(hosts),
    )
    journal.write(begin)
    with timed("promotion that changes nothing", goal=60):
        rollout.forward(standing_of([begin]))
    # And back, as after a promotion that hurt when the last host was being changed.
    begin = replace(begin, promotion="bench-back")
    changed = [Entry(promotion=begin.promotion, event="arm", host=host) for host in hosts]
    for entry in (begin, *changed):
        journal.write(entry)
    with timed(f"rollback of {len(hosts)} hosts", goal=45), suppress(RolledBackError):
        rollout.back(standing_of([begin, *changed]), why="bench")


def standing_of(entries: Sequence[Entry]) -> Standing:
    """Return where the promotion of these entries stands; there is one."""
    found = standing(entries)
    if found is None:
        raise ValueError("no promotion begins here")
    return found

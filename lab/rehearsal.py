"""Walk a lab through the steps, from whatever milestone there is, and keep each state reached."""

from __future__ import annotations

from lab.lab import Lab
from lab.milestones import BARE, Milestones
from lab.operator import Operator, operate
from lab.steps import STEPS, Step, step_class


def operator_of(lab: Lab) -> Operator:
    """Return the operator of a lab: the same hands that work on the real servers."""
    return operate(
        fleet=lab.fleet,
        site=lab.site,
        ssh=lab.ssh,
        secrets=lab.store.secrets,
        report=lab.report,
        dry_run=False,
    )


def perform(step: Step, *, dry_run: bool = False) -> None:
    """Make one step as it is made everywhere: may it start, do it, did it work.

    Args:
        step: the step.
        dry_run: only ask whether it may start.
    """
    step.check()
    if dry_run:
        return
    step.apply()
    step.verify()


def chain(name: str) -> list[str]:
    """Return the milestones on the way to *name*, ``bare`` first."""
    if name == BARE:
        return [BARE]
    wanted = step_class(name)
    return [BARE, *(step.name for step in STEPS[: STEPS.index(wanted) + 1])]


def reach(lab: Lab, name: str) -> None:
    """Bring *lab* to the milestone *name*, as if nothing else had ever happened to it.

    The latest milestone on the way that fits what is here now is restored; the steps after it
    are made and kept as milestones.
    """
    milestones = Milestones(lab=lab)
    way = chain(name)
    found = next((one for one in reversed(way) if milestones.find(one)), None)
    if found is None:
        lab.down()
        lab.up()
        milestones.take(BARE)
        found = BARE
    else:
        milestones.restore(found)
    for one in way[way.index(found) + 1 :]:
        lab.report.say(f"[bold]Step {one}[/]")
        perform(step_class(one)(operator=operator_of(lab)))
        milestones.take(one)

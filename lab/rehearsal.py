"""Walk a lab through the steps, from whatever milestone there is, with users who keep asking."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from lab import operate
from lab.errors import CheckFailedError
from lab.lab import Lab
from lab.milestones import BARE, Milestones
from lab.operator.puppet import TREE
from lab.puppet_modules import PuppetModules, fetch_by_apt
from lab.steps import STEPS, Step, step_class
from lab.verdict import Budget, Outcome, Verdict
from lab.watch import Watch
from lab.watch_mail import RACED, MailBudget

COLOURS = {Outcome.OK: "green", Outcome.UNKNOWN: "yellow", Outcome.FAIL: "red"}
# No step may cost a look-up, and it takes many to know.
COSTS_NOTHING = Budget(failed=0, at_least=5_000)
# What steps may cost visitors of the sites, where those have anything to do with it.
VISITS: Mapping[str, Budget] = {
    "web": Budget(failed=0, at_least=20_000),
    "wipe": Budget(failed=0, at_least=5_000),
    "web_ha": Budget(failed=0, at_least=5_000),
    "watch": Budget(failed=0, at_least=5_000),
}
# Of those who come to the web, write and send: where 20,000 pages are asked for, more than usual;
# where 5,000 are, less, as they and the step share the processors.
PACES: Mapping[str, float] = {"web": 1.5, "wipe": 0.6, "web_ha": 0.6, "watch": 0.6}
# What steps may cost those who read and write mail, where those have anything to do with it.
MAIL: Mapping[str, MailBudget] = {
    "mail": MailBudget(at_least=100),
    "wipe": MailBudget(at_least=50),
    "mail_ha": MailBudget(at_least=80, alike=15.0, revived=RACED),
    "watch": MailBudget(at_least=50, revived=RACED),
}


class RehearsalCheckError(CheckFailedError):
    """Users noticed more of a step than they were meant to."""


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """One step, made under load.

    Attributes:
        step: its name.
        title: what it does.
        seconds: how long it took.
        verdicts: what the users saw meanwhile, each sort of them.
        record: the page that shows the run.
        memory: what the users took of it at most, bytes.
    """

    step: str
    title: str
    seconds: float
    verdicts: tuple[Verdict, ...]
    record: Path
    memory: int = 0

    @property
    def verdict(self) -> Verdict:
        """The worst of the judgements."""
        return max(self.verdicts, key=lambda each: each.outcome)

    @property
    def passed(self) -> bool:
        """Whether users saw no more than they were meant to."""
        return self.verdict.outcome is Outcome.OK


def perform(step: Step, *, dry_run: bool = False) -> None:
    """Make one step as it is made everywhere: may it start, do it, did it work.

    Args:
        step: the step.
        dry_run: only ask whether it may start.
    """
    report = step.operator.report
    PuppetModules(repository=TREE, fetch=fetch_by_apt(report=report), report=report).ensure()
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
        lab.report.say(f"[bold]Step {one}[/]: {step_class(one).title}")
        perform(step_class(one)(operator=operate.in_lab(lab)))
        milestones.take(one)


def rehearse(lab: Lab, *, until: str = "") -> list[Rehearsed]:
    """Make every step under load, from bare hosts on, and say what the users saw.

    Args:
        lab: the lab; it is put back to bare hosts first.
        until: the last step; all of them when empty.
    """
    last = until or STEPS[-1].name
    reach(lab, BARE)
    done: list[Rehearsed] = []
    for name in chain(last)[1:]:
        step = step_class(name)(operator=operate.in_lab(lab))
        lab.report.say(f"[bold]Step {name}[/]: {step.title}")
        done.append(under_load(lab, step))
        lab.report.say(line(done[-1]))
        if not done[-1].passed:
            break
        Milestones(lab=lab).take(name)
    return done


def under_load(lab: Lab, step: Step, *, budget: Budget = COSTS_NOTHING) -> Rehearsed:
    """Make *step* while users ask for every name, and every page, that the old server knew.

    Args:
        lab: the lab.
        step: the step.
        budget: what it may cost those who look names up.
    """
    watching = Watch(
        lab=lab,
        title=f"Step {step.name}",
        budget=budget,
        visits=VISITS.get(step.name),
        mail=MAIL.get(step.name),
        pace=PACES.get(step.name, 1.0),
    )
    with watching as watch:
        start = time.monotonic()
        with watch.marks.span("step", step.name):
            perform(step)
        seconds = time.monotonic() - start
        watch.hold_enough()
    return Rehearsed(
        step=step.name,
        title=step.title,
        seconds=seconds,
        verdicts=watch.verdicts,
        record=watch.record,
        memory=watch.memory,
    )


def line(done: Rehearsed) -> str:
    """Return what a step cost, as one line, and where its record is."""
    outcome = done.verdict.outcome
    return (
        f"[{COLOURS[outcome]}]{outcome}[/] step {done.step} in {done.seconds:.0f} s: {seen(done)}\n"
        f"   [dim]{str(done.record).replace(str(Path.home()), '~', 1)}[/]"
    )


def seen(done: Rehearsed) -> str:
    """Return what the users saw of a step."""
    return "; ".join(map(_seen, done.verdicts))


def _seen(verdict: Verdict) -> str:
    figures = verdict.figures
    what = verdict.subject.partition(": ")[2] or "look-ups"
    times = (
        f", longest gap {figures.gap:.2f} s (resolution {figures.resolution:.2f} s)"
        if figures.cadence
        else ""
    )
    notes = "".join(f", {note}" for note in verdict.notes)
    return f"{figures.failed:,} of {figures.total:,} {what} failed{times}{notes}"


def table(done: Sequence[Rehearsed]) -> Table:
    """Return all steps with what they cost."""
    made = Table(box=None, pad_edge=False)
    for heading in ("step", "seconds", "outcome", "what users saw"):
        made.add_column(heading, justify="right" if heading == "seconds" else "left")
    for one in done:
        outcome = one.verdict.outcome
        shown = f"[{COLOURS[outcome]}]{outcome}[/]"
        made.add_row(one.step, f"{one.seconds:.0f}", shown, seen(one))
    return made

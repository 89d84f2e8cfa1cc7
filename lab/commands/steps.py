"""Commands that make the steps: all of them in a rehearsal, or one."""

from __future__ import annotations

from invoke.context import Context

from lab import rehearsal
from lab.cli import command, the_lab, the_operator
from lab.commands.options import LAB, SITE, STEP_NAMES, UNTIL
from lab.console import console, save_picture
from lab.milestones import PROJECT
from lab.promote import command as promoting
from lab.rehearsal import RehearsalCheckError
from lab.steps import step_class


@command(help={**LAB, **UNTIL, "picture": "save what is printed as an SVG picture in this file"})
def rehearse(_: Context, lab: str = "default", until: str = "", picture: str = "") -> None:
    """Walk the steps while users keep asking; print the outage that each one caused.

    Examples:
      ./invoke rehearse
      ./invoke rehearse --until dns
    """
    out = console(record=bool(picture))
    it = the_lab(lab, out=out)
    with it.store.locked("rehearse"):
        done = rehearsal.rehearse(it, until=until)
    out.print(rehearsal.table(done))
    if picture:
        save_picture(out, picture, title="./invoke rehearse")
    if not all(one.passed for one in done):
        raise RehearsalCheckError("users noticed a step", remedy="Its record shows what they saw")


@command(
    positional=["name"],
    help={
        **SITE,
        "name": STEP_NAMES,
        "apply": "do it: without this, production is only checked",
        "rollback": "undo the step instead",
    },
)
def step(
    _: Context,
    name: str,
    on: str = "lab",
    lab: str = "default",
    apply: bool = False,
    rollback: bool = False,
) -> None:
    """Make one step of the migration: check, apply, verify. Run it again to resume.

    Examples:
      ./invoke step dns
      ./invoke step dns --rollback
      ./invoke step control --on production
      ./invoke step control --on production --apply
    """
    with the_operator(on=on, lab=lab, command=f"step {name}", dry_run=not apply) as operator:
        made = step_class(name)(operator=operator)
        if on == "production" and not rollback:
            promoting.guard_step(operator, name=name, repository=PROJECT, out=console())
        if rollback and not operator.dry_run:
            made.rollback()
        else:
            rehearsal.perform(made, dry_run=operator.dry_run)

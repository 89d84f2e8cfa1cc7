"""Commands that bring to the real servers what was rehearsed."""

from __future__ import annotations

from datetime import timedelta

from invoke.context import Context

from lab import rehearsal
from lab.cli import command, print_json, the_operator
from lab.commands.options import LAB
from lab.console import SilentReporter, console
from lab.milestones import PROJECT
from lab.operator.site_data import FIRST_STEP
from lab.promote import command as promoting
from lab.promote import proven
from lab.promote.plan import as_json, look_for_drift, refuse_drift
from lab.promote.plan_text import render_drift
from lab.promote.promotion import Promotion
from lab.promote.rollout import Pace
from lab.steps import STEPS, step_class


@command(help={"json": "print data for a program"})
def evidence(_: Context, json: bool = False) -> None:
    """Show what the scenarios have proven of this very tree, and what is missing.

    Examples:
      ./invoke evidence
      ./invoke evidence --json
    """
    found = proven.look(PROJECT, steps=[step.name for step in STEPS])
    if json:
        print_json(found.as_json())
    else:
        console().print(proven.render(found))


@command(
    help={**LAB, "on": "production or lab", "json": "print data for a program"},
)
def drift(_: Context, on: str = "production", lab: str = "default", json: bool = False) -> None:
    """Look where hosts are not as the release in force says; nothing is touched.

    Ends with 1 when there is any.

    Examples:
      ./invoke drift
      ./invoke drift --on lab --lab second --json
    """
    with the_operator(on=on, lab=lab, command="drift", dry_run=True) as operator:
        report = SilentReporter() if json else operator.report
        found = look_for_drift(operator=operator, report=report)
    if json:
        print_json(as_json(found))
    else:
        console().print(render_drift(found))
    refuse_drift(found)


@command(
    optional=["rollback"],
    iterable=["accept"],
    help={
        "on": "production, or a lab that plays it",
        "lab": "name of that lab",
        "apply": "do it: without this, nothing is changed",
        "bootstrap": "make a bare control host the one that the others are promoted from",
        "resume": "go on with a promotion that was interrupted",
        "rollback": "undo the promotion under way, or bring this release back",
        "accept": "a resource that may differ on a host though this release does not say why",
        "why": "what for, as others find it in the journal",
        "soak": "seconds for which users are watched after each host",
        "confirm_within": "seconds after which a host goes back by itself",
        "max_age": "days for which a scenario's pass counts",
        "page": "write the plan as an HTML page as well",
        "json": "print the plan as data",
    },
)
def promote(
    _: Context,
    *,
    accept: list[str],
    on: str = "production",
    lab: str = "default",
    apply: bool = False,
    bootstrap: bool = False,
    resume: bool = False,
    rollback: str | None = None,
    why: str = "",
    soak: float = 60.0,
    confirm_within: float = 900.0,
    max_age: float = 14.0,
    page: str = "",
    json: bool = False,
) -> None:
    """Bring exactly what passed its scenarios to the real servers.

    Without --apply it only says what would change.

    Exit codes: 0 promoted, or nothing to do; 4 refused, nothing was touched; 5 rolled back;
    6 rolled back, but not everywhere.

    Examples:
      ./invoke promote
      ./invoke promote --page plan.html
      ./invoke promote --apply --why "longer logs"
      ./invoke promote --apply --accept 'File[/etc/motd]'
      ./invoke promote --bootstrap --apply
      ./invoke promote --resume
      ./invoke promote --rollback
      ./invoke promote --on lab --lab standin
    """
    out = console(stderr=json)
    with the_operator(
        on=on, lab=lab, command="promote", dry_run=not apply, locked=False
    ) as operator:
        promotion = Promotion(
            operator=operator,
            repository=PROJECT,
            pace=Pace(soak=soak, confirm_within=confirm_within),
            why=why,
            accepted=accept,
            max_age=timedelta(days=max_age),
        )
        if bootstrap:
            promoting.guard_step(operator, name=FIRST_STEP, repository=PROJECT, out=out)
            rehearsal.perform(step_class(FIRST_STEP)(operator=operator), dry_run=not apply)
        elif resume:
            promotion.resume()
        elif rollback is not None:
            promotion.rollback("" if rollback in ("", "True") else rollback)
        else:
            printing = promoting.Printing(out=out, json=json, page=page)
            promoting.promote(promotion, apply=apply, printing=printing)

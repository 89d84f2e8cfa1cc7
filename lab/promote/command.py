"""What ``invoke promote`` does and prints; :mod:`lab.commands` only reads the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lab.operator import Operator
from lab.operator.release import Release
from lab.operator.releases import Releases
from lab.operator.site_data import FIRST_STEP
from lab.promote import plan as planning
from lab.promote import plan_text
from lab.promote.gate import Refusal
from lab.promote.promotion import PUPPET, Preview, Promotion, RefusedError
from lab.promote.proof import Proof


@dataclass(frozen=True, kw_only=True)
class Printing:
    """How a plan is shown.

    Attributes:
        out: where to.
        json: as data for a program.
        page: also as an HTML page in this file; nowhere when empty.
    """

    out: Console
    json: bool = False
    page: str = ""


def promote(promotion: Promotion, *, apply: bool, printing: Printing) -> None:
    """Show what a promotion would do, and do it when told to.

    Args:
        promotion: which one.
        apply: do it; without this no host is changed.
        printing: how the plan is shown.

    Raises:
        RefusedError: it may not begin.
        RolledBackError: it hurt, and every host is back.
        RollbackIncompleteError: it hurt, and some host is not.
    """
    out = printing.out
    refusals = None
    if apply:
        refusals = promotion.proof.refusals()
        _stop_early(refusals, out)
    preview = promotion.preview(refusals=refusals)
    show(preview, printing)
    if preview.pointless:
        if not printing.json:
            out.print(f"nothing to do: {preview.plan.new} is in force and every host has it")
        return
    if apply:
        promotion.apply(preview)
        hosts = ", ".join(host.host for host in preview.plan.hosts)
        out.print(
            f"[green]promoted[/] {preview.plan.new} to {hosts}; before it was {preview.plan.old}"
        )
        return
    if preview.refusals:
        raise RefusedError("this would be refused", remedy="The reasons are above")
    if not printing.json:
        out.print("nothing was changed; --apply does it")


def show(preview: Preview, printing: Printing) -> None:
    """Print a plan, and what stands against it."""
    if printing.page:
        Path(printing.page).write_text(plan_text.page(preview.plan), encoding="utf-8")
    if printing.json:
        data = planning.as_json(preview.plan) | {"refused": [str(one) for one in preview.refusals]}
        print(json.dumps(data, indent=2, default=str))
        return
    printing.out.print(plan_text.render(preview.plan))
    for refusal in preview.refusals:
        printing.out.print(f"[red]✗[/] {escape(str(refusal))}")


def _stop_early(refusals: Sequence[Refusal], out: Console) -> None:
    """Refuse before anything is compiled: that the evidence lacks is known at once."""
    for refusal in refusals:
        out.print(f"[red]✗[/] {escape(str(refusal))}")
    if refusals:
        raise RefusedError("refused; nothing was touched", remedy="The reasons are above")


def guard_step(operator: Operator, *, name: str, repository: Path, out: Console) -> None:
    """Let a step be made on production only by what was rehearsed, and is in force there.

    Args:
        operator: of the site.
        name: of the step.
        repository: the checkout.
        out: where refusals are printed.

    Raises:
        RefusedError: it may not be made.
    """
    _stop_early(Proof(operator=operator, repository=repository).refusals(step=name), out)
    release = Release.of(repository / PUPPET).name
    there = Releases(puppet=operator.puppet).in_force()
    if name != FIRST_STEP and there != release:
        raise RefusedError(
            f"{there or 'no release'} is in force, this checkout is {release}",
            where=operator.puppet.control,
            remedy="`./invoke promote --apply` brings it there first",
        )

"""A plan as one HTML page that fetches nothing, for a colleague who is asked what they think."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from lab.report.record import span

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.promote.catalog_diff import Change
    from lab.promote.plan import Plan

_MARKS: Final = {"+": "plus", "-": "minus", "@": "at"}


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What it comes to.

    Attributes:
        words: for people.
        look: how it is painted.
        sign: before the words.
    """

    words: str
    look: str
    sign: str


def page(plan: Plan, *, filters: dict[str, Callable[..., object]]) -> str:
    """Return the page.

    Args:
        plan: what is shown.
        filters: how its parts are put into words, the same as in the terminal.
    """
    environment = Environment(
        loader=PackageLoader("lab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters, seconds=span, lines=lines)
    return environment.get_template("plan.html.j2").render(
        plan=plan,
        outcome=headline(plan),
        accept=[shlex.quote(ref) for ref in dict.fromkeys(ref for _, ref in plan.unpredicted)],
        twins=twins(plan),
        marks=_MARKS,
    )


def headline(plan: Plan) -> Headline:
    """Say in one line what a plan comes to."""
    if plan.errors:
        names = ", ".join(host.host for host in plan.errors)
        return Headline(words=f"No answer for {names}", look="fail", sign="✗")
    if plan.unpredicted:
        names = ", ".join(dict.fromkeys(host for host, _ in plan.unpredicted))
        return Headline(words=f"Changed by hand: {names}", look="fail", sign="✗")
    names = ", ".join(host.host for host in plan.hosts if host.changes)
    if names:
        return Headline(words=f"Changes {names}", look="changes", sign="~")
    return Headline(words="Nothing to do", look="ok", sign="✓")


def twins(plan: Plan) -> dict[tuple[str, str], str]:
    """Return the changes that another host has before -> which host; they are shown once."""
    first: dict[Change, str] = {}
    found: dict[tuple[str, str], str] = {}
    for host in plan.hosts:
        for change in host.changes:
            if before := first.get(change):
                found[host.host, change.ref] = before
            else:
                first[change] = host.host
    return found


def lines(change: Change) -> int:
    """Return how many lines of text a change has."""
    return sum(len(text.lines) for text in change.texts)

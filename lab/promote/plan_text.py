"""A plan for the terminal: the whole fleet at a glance, then host by host what would change."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.promote.blast import Blast
from lab.promote.catalog_diff import Change, Kind, Parameter, TextDiff
from lab.promote.noop import RESTARTED, Event
from lab.promote.plan import HostPlan, Plan, Verdict
from lab.report import plan as report

MOST_LINES = 40
"""Lines shown of one file; the page has all of them."""

_STYLES = {Verdict.UNCHANGED: "green", Verdict.CHANGED: "yellow", Verdict.ERROR: "bold red"}
_SIGNS = {Kind.ADDED: ("+", "green"), Kind.REMOVED: ("-", "red"), Kind.CHANGED: ("~", "yellow")}
_LINES = {"+": "green", "-": "red", "@": "cyan"}
_WIDE = 100


def render(plan: Plan) -> RenderableType:
    """Return a plan as people read it."""
    parts: list[RenderableType] = [
        Text.assemble("Release ", (plan.old, "bold"), " -> ", (plan.new, "bold")),
        _glance(plan),
    ]
    seen: dict[Change, str] = {}
    for host in plan.hosts:
        if host.verdict is Verdict.UNCHANGED and not host.unpredicted:
            continue
        parts += [
            "",
            Text.assemble((f"{host.host}: ", "bold"), (host.verdict, _STYLES[host.verdict])),
        ]
        parts += [_indented(one, 2) for one in _host(host, seen)]
        for change in host.changes:
            seen.setdefault(change, host.host)
    parts += ["", *_last(plan)]
    return Group(*parts)


def page(plan: Plan) -> str:
    """Return a plan as an HTML page, in the same words."""
    return report.page(plan, filters={"summary": summary, "effects": effects, "short": short})


def render_drift(plan: Plan) -> RenderableType:
    """Return as a table where hosts are not as the release in force says."""
    drifted = [host for host in plan.hosts if host.actual or host.error or host.unpredicted]
    if not drifted:
        names = ", ".join(host.host for host in plan.hosts)
        return Text.assemble(("✓ ", "green"), f"as release {plan.new} says: {names}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("host", "resource", "what", "is", "should be"):
        table.add_column(title, header_style="dim", overflow="fold")
    for host in drifted:
        if host.error:
            table.add_row(host.host, "", Text(host.error, style="red"), "", "")
        for event in host.actual:
            old, new = _sides(event)
            table.add_row(host.host, Text(event.ref), event.property, Text(old), Text(new))
        for ref in host.unpredicted:
            if ref not in {event.ref for event in host.actual}:
                table.add_row(host.host, Text(ref), Text(host.unseen.get(ref, "failed")), "", "")
    return Group(f"Release {plan.new}", table)


def summary(changes: Sequence[Change]) -> str:
    """Say how many resources are new, gone and different."""
    counts = {kind: sum(change.kind is kind for change in changes) for kind in Kind}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "none"


def effects(blast: Blast) -> list[tuple[str, str]]:
    """Return how far a change reaches: what sort of thing, and which."""
    by_verb: dict[str, list[str]] = {}
    for service in blast.services:
        by_verb.setdefault(service.verb, []).append(service.name)
    found = [(verb, ", ".join(names)) for verb, names in sorted(by_verb.items())]
    found += [
        ("run", ", ".join(blast.commands)),
        ("open", ", ".join(map(str, blast.opened))),
        ("close", ", ".join(map(str, blast.closed))),
        ("install", ", ".join(blast.installed)),
        ("remove", ", ".join(blast.removed)),
    ]
    return [(what, which) for what, which in found if which]


def _glance(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("host", "verdict", "changes", "reaches", "not predicted"):
        table.add_column(title, header_style="dim", overflow="fold")
    for host in plan.hosts:
        table.add_row(
            host.host,
            Text(host.verdict, style=_STYLES[host.verdict]),
            summary(host.changes),
            Text("\n".join(f"{what} {which}" for what, which in effects(host.blast)) or "-"),
            Text(str(len(host.unpredicted) or "-"), style="red" if host.unpredicted else ""),
        )
    return table


def _indented(text: Text, by: int) -> Text:
    """Return text further to the right, whole lines of it however long they are."""
    lines = [Text(" " * by).append_text(line) for line in text.split("\n", allow_blank=True)]
    return Text("\n").join(lines)


def _host(host: HostPlan, seen: dict[Change, str]) -> Iterator[Text]:
    if host.error:
        yield Text(host.error, style="red")
    if host.note:
        yield Text(host.note, style="yellow")
    for change in host.changes:
        yield from _change(change, as_on=seen.get(change, ""))
    for what, which in effects(host.blast):
        yield Text.assemble((f"{what}: ", "bold"), which)
    if host.already:
        yield Text(f"nothing to do on the host itself: {', '.join(host.already)}", style="dim")
    for ref, why in host.unseen.items():
        yield Text(f"cannot be looked at yet: {ref}: {why}", style="dim")
    for ref in host.unpredicted:
        yield from _unpredicted(host, ref)


def _change(change: Change, *, as_on: str) -> Iterator[Text]:
    sign, style = _SIGNS[change.kind]
    head = Text.assemble((f"{sign} {change.ref}", style))
    if change.place:
        head.append(f"  {change.place}", style="dim")
    yield head
    if as_on:
        yield Text(f"    as on {as_on}", style="dim")
        return
    if change.kind is Kind.REMOVED:
        yield Text("    Puppet no longer manages it; it stays on the host as it is", style="dim")
    for parameter in change.parameters:
        yield _indented(_parameter(parameter), 4)
    for text in change.texts:
        yield _indented(_text(text, own=change.ref == f"File[{text.path}]"), 4)


def _parameter(parameter: Parameter) -> Text:
    line = Text.assemble((f"{parameter.name} ", "bold"))
    if parameter.secret:
        return line.append("secret: changed" if parameter.old else "secret", style="magenta")
    if parameter.old:
        line.append(parameter.old, style="red").append(" -> ")
    return line.append(parameter.new or "(none)", style="green")


def _text(text: TextDiff, *, own: bool) -> Text:
    lines = Text()
    if not own:
        lines.append(f"{text.path}\n", style="bold")
    if text.hidden:
        return lines.append(f"content changed ({text.hidden})", style="magenta")
    for line in text.lines[:MOST_LINES]:
        lines.append(f"{line}\n", style=_LINES.get(line[:1], "dim"))
    if len(text.lines) > MOST_LINES:
        lines.append(f"… {len(text.lines) - MOST_LINES} lines more\n", style="dim")
    lines.rstrip()
    return lines


def _unpredicted(host: HostPlan, ref: str) -> Iterator[Text]:
    yield Text(f"! {ref} is not as the release in force says: it was changed by hand", style="red")
    for event in host.actual:
        if event.ref == ref:
            old, new = _sides(event)
            said = f"{event.property}: {old} -> {new}" if new else event.message
            yield Text(f"    {said}", style="red")


def _sides(event: Event) -> tuple[str, str]:
    """Return what is and what should be; checksums only as far as people compare them."""
    if event.property == RESTARTED:
        return "", "it would react to another"
    if not event.new:
        return "", event.message
    return short(event.old), short(event.new)


def short(value: str) -> str:
    """Return a value as long as it is read; of a checksum, what people compare."""
    if value.startswith("{sha256}"):
        return value[: len("{sha256}") + 8] + "…"
    return value if len(value) <= _WIDE else value[: _WIDE - 1] + "…"


def _last(plan: Plan) -> Iterator[Text]:
    """Say in words what it comes to, and what to do."""
    for host in plan.errors:
        yield Text.assemble(("✗ ", "red"), f"there is no answer for {host.host}, see above")
    if plan.unpredicted:
        refs = dict.fromkeys(ref for _, ref in plan.unpredicted)
        accept = " ".join(f"--accept {shlex.quote(ref)}" for ref in refs)
        yield Text.assemble(
            ("✗ ", "red"),
            "Somebody changed a host by hand, and a run of Puppet would undo it. "
            "`./invoke drift` shows what; bring it into the repository, or give it up with ",
            (accept, "bold"),
        )
    if not plan.errors and not plan.unpredicted:
        said = "this would change what is above" if plan.changed else "there is nothing to do"
        yield Text.assemble(("✓ ", "green"), said, (f"  {plan.seconds:.1f} s", "dim"))

"""What has been proven of a tree, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from lab.promote import scenario_files
from lab.promote.evidence import Evidence, Stored
from lab.promote.gate import Gate, Refusal, cases_of
from lab.promote.results import Latest, latest
from lab.promote.signing import ALLOWED, Signer
from lab.promote.tree import Tree


@dataclass(frozen=True, kw_only=True)
class Row:
    """One scenario that a promotion may need.

    Attributes:
        file: where it is.
        scenario: its name.
        result: the latest, in words.
        when: it ran; None when it never did.
        signer: who signed that.
        missing: why it does not count; empty when it does.
    """

    file: str
    scenario: str
    result: str
    when: datetime | None
    signer: str
    missing: str


@dataclass(frozen=True, kw_only=True)
class Proven:
    """What has been proven of a tree.

    Attributes:
        tree: the tree.
        rows: its scenarios.
        refusals: what would stand in the way if every step had been made.
        unlisted: the line that lets one's own key sign; empty when it may.
    """

    tree: Tree
    rows: tuple[Row, ...]
    refusals: tuple[Refusal, ...]
    unlisted: str = ""

    def as_json(self) -> dict[str, object]:
        """Return it as data."""
        return asdict(self)


def look(repository: Path, *, steps: Sequence[str]) -> Proven:
    """Look at a checkout and at the user's evidence.

    Args:
        repository: top of the checkout.
        steps: those whose scenarios must have passed.
    """
    signer = Signer.own()
    gate = Gate(
        tree=Tree.of(repository),
        files=scenario_files.read(repository),
        steps=steps,
        now=datetime.now(UTC),
        signer=signer.line(),
    )
    found = proven(gate, Evidence.of(repository).statements(of=gate.tree))
    listed = signer.is_listed((repository / ALLOWED).read_text())
    return found if listed else replace(found, unlisted=signer.line())


def proven(gate: Gate, stored: Sequence[Stored]) -> Proven:
    """Say what evidence shows.

    Args:
        gate: what decides.
        stored: the evidence.
    """
    found = latest(gate.tree, stored, gate.files)
    return Proven(
        tree=gate.tree,
        rows=tuple(row for file in gate.files for row in _rows(gate, file, found)),
        refusals=tuple(gate.refusals(stored)),
    )


def render(found: Proven) -> Group:
    """Return it for a terminal."""
    table = Table(box=None, pad_edge=False)
    for heading, width in (("scenario", 32), ("latest result", 22), ("when", 16), ("signer", 8)):
        table.add_column(heading, min_width=width)
    last = ""
    for row in found.rows:
        if row.file != last:
            last = row.file
            table.add_row(f"[bold]{last}[/]")
        colour, sign = ("yellow", "✗") if row.missing else ("green", "✓")
        # What is not passed says so itself.
        why = f", {row.missing}" if row.missing and row.result.startswith("passed") else ""
        table.add_row(
            f"[{colour}]{sign}[/] {escape(spoken(row.scenario))}",
            f"[{colour}]{row.result}{why}[/]",
            f"{row.when:%Y-%m-%d %H:%M}" if row.when else "",
            escape(row.signer),
        )
    ends = [f"[red]✗[/] {escape(str(refusal))}" for refusal in found.refusals]
    if found.unlisted and not any(found.unlisted in one.remedy for one in found.refusals):
        ends.insert(
            0, f"[yellow]![/] your key may not sign: {ALLOWED} has no line\n{found.unlisted}"
        )
    return Group(table, "", *(ends or ["[green]✓[/] everything has been proven of this tree"]))


def spoken(test: str) -> str:
    """Return the name of a test as the sentence that it is."""
    return test.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def _rows(
    gate: Gate, file: scenario_files.ScenarioFile, found: Mapping[str, Latest]
) -> Iterator[Row]:
    for name, cases in file.tests:
        results = [found[key] for key in cases_of(file, name, found)]
        missing = gate.judge(results, cases)
        # Of several cases the one that stands in the way, or the oldest.
        shown = min(results, key=lambda one: (one.passed, one.result.started), default=None)
        empty = Row(
            file=file.path, scenario=name, result="none", when=None, signer="", missing=missing
        )
        yield (
            replace(empty, result=str(shown), when=shown.result.started, signer=shown.signer)
            if shown
            else empty
        )

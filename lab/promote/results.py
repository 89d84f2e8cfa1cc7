"""What all statements together say of one tree: the latest result of each scenario counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.promote.evidence import Stored
from lab.promote.scenario_files import ScenarioFile
from lab.promote.statement import Result, Statement, Verdict
from lab.promote.tree import Tree
from lab.promote.versions import Versions


@dataclass(frozen=True, kw_only=True)
class Latest:
    """What counts of one scenario.

    Attributes:
        result: the latest.
        signer: who signed it.
        failed_before: how often the same tree failed before.
    """

    result: Result
    signer: str
    failed_before: int = 0

    @property
    def passed(self) -> bool:
        """Whether it passed."""
        return self.result.verdict is Verdict.PASSED

    @property
    def failures(self) -> int:
        """How often the same tree failed, this time included."""
        return self.failed_before + (self.result.verdict is Verdict.FAILED)

    def __str__(self) -> str:
        """Return the verdict, and that it was another one before."""
        if self.passed and self.failed_before:
            return f"passed after {self.failed_before} failed of the same tree"
        return str(self.result.verdict)


def about(tree: Tree, stored: Sequence[Stored]) -> list[tuple[Stored, Statement]]:
    """Return the good statements of exactly this tree."""
    return [
        (one, one.statement)
        for one in stored
        if one.good and one.statement is not None and one.statement.tree.same_as(tree)
    ]


def latest(
    tree: Tree, stored: Sequence[Stored], files: Sequence[ScenarioFile]
) -> dict[str, Latest]:
    """Return what counts, by scenario.

    Args:
        tree: the tree.
        stored: all evidence; what is not good or of another tree counts for nothing.
        files: the scenarios as they are now; what another text of them showed does not count.
    """
    texts = {file.path: file.sha256 for file in files}
    found: list[tuple[Result, str]] = []
    for one, statement in about(tree, stored):
        ran = {file.path: file.sha256 for file in statement.files}
        found += [
            (result, one.signature.signer)
            for result in statement.results
            if result.file in texts and ran.get(result.file) == texts[result.file]
        ]
    found.sort(key=lambda pair: pair[0].started)
    last: dict[str, Latest] = {}
    for result, signer in found:
        before = last.get(result.scenario)
        failures = before.failures if before else 0
        last[result.scenario] = Latest(result=result, signer=signer, failed_before=failures)
    return last


def rehearsed(tree: Tree, stored: Sequence[Stored]) -> Mapping[str, frozenset[Versions]]:
    """Return host -> what it ran while this tree was rehearsed."""
    found: dict[str, frozenset[Versions]] = {}
    for _, statement in about(tree, stored):
        for host, versions in statement.surroundings.versions.items():
            found[host] = found.get(host, frozenset()) | {versions}
    return found

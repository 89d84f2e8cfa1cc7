"""Makes a statement of every run of the scenarios: a plugin for pytest, without an engine.

What surrounds the scenarios it is told (``scenarios/conftest.py``). Whatever goes wrong with the
statement is said in one line at the end, and changes nothing of the tests' own results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import verdict
from lab.errors import CouldNotError, GeneralproveError
from lab.promote import scenario_files
from lab.promote.evidence import Evidence
from lab.promote.signing import Signer
from lab.promote.statement import Result, Statement, Surroundings, Verdict
from lab.promote.tree import Tree


class RecordingError(CouldNotError):
    """What ran is not what is here now."""


class Recorder:
    """Collects what the scenarios show, and keeps it as signed evidence.

    Args:
        repository: top of the checkout.
        surroundings: asked once, at the end: where the scenarios ran.
    """

    def __init__(self, *, repository: Path, surroundings: Callable[[], Surroundings]) -> None:
        self._repository = repository
        self._surroundings = surroundings
        self._tree: Tree | None = None
        self._files: tuple[scenario_files.ScenarioFile, ...] = ()
        self._results: dict[str, Result] = {}
        self._heard: dict[str, object] = {}
        self.said = ""

    def begin(self) -> None:
        """Note which tree it is that runs; until then nothing can be said of any."""
        with suppress(GeneralproveError):
            self._files = scenario_files.read(self._repository)
            self._tree = Tree.of(self._repository)

    def hear(self, found: verdict.Verdict) -> None:
        """Take the figures of a judgement; they belong to the scenario that is running."""
        self._heard[found.subject] = figures(found)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one phase of one scenario."""
        before = self._results.get(report.nodeid) or Result(
            scenario=report.nodeid,
            verdict=Verdict.UNFINISHED,
            started=datetime.fromtimestamp(report.start, UTC),
            seconds=0.0,
        )
        heard, self._heard = self._heard, {}
        self._results[report.nodeid] = replace(
            before,
            verdict=after_phase(before.verdict, report.when or "", report.outcome),
            seconds=round(before.seconds + report.duration, 3),
            figures={**before.figures, **heard, **dict(report.user_properties)},
        )

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Iterator[None]:
        """Make the statement when all is taken down, of an interrupted run as well."""
        try:
            yield
        finally:
            self._record()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the statement is, or why there is none."""
        if self.said:
            terminalreporter.write_line(self.said)

    def _record(self) -> None:
        if not self._results:
            return
        try:
            evidence = Evidence.of(self._repository)
            path = evidence.record(self._statement(), signer=Signer.own())
            self.said = f"evidence: {path}"
            if wrong := evidence.read(path).wrong:
                self.said += f" ({wrong}: `./invoke evidence` has the line to add)"
        except Exception as error:  # noqa: BLE001 - the tests' results must not go under
            self.said = f"no evidence of this run: {error}"

    def _statement(self) -> Statement:
        if self._tree is None:
            raise RecordingError(
                "it is not known which tree ran: no lab was made, or git does not answer"
            )
        files = scenario_files.read(self._repository)
        if files != self._files or not self._tree.same_as(Tree.of(self._repository)):
            raise RecordingError("the tree was changed while the scenarios ran")
        return Statement(
            tree=self._tree,
            surroundings=self._surroundings(),
            files=self._files,
            results=tuple(self._results.values()),
        )


def after_phase(before: Verdict, phase: str, outcome: str) -> Verdict:
    """Return how a scenario stands after one of setup, call and teardown.

    Only what is taken down well has passed; whatever failed stays so.
    """
    if outcome == "failed" or before is Verdict.FAILED:
        return Verdict.FAILED
    if outcome == "skipped":
        return Verdict.SKIPPED
    return Verdict.PASSED if phase == "call" else before


def figures(found: verdict.Verdict) -> Mapping[str, object]:
    """Return what a judgement says, for a statement."""
    return {
        "outcome": str(found.outcome),
        "reasons": list(found.reasons),
        "budget": str(found.budget or ""),
        **{
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(found.figures).items()
            if name != "target"
        },
    }

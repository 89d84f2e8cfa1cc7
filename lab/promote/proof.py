"""The evidence for one checkout, before the gate here and before the control host itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab.operator import Operator
from lab.promote import scenario_files, versions
from lab.promote.acceptance import Acceptance
from lab.promote.evidence import Evidence
from lab.promote.gate import MAX_AGE, Gate, Refusal
from lab.promote.signing import Signer
from lab.promote.tree import Tree


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Whether a checkout may go to a site.

    Attributes:
        operator: of the site.
        repository: the checkout.
        max_age: how old a result may be.
    """

    operator: Operator
    repository: Path
    max_age: timedelta = MAX_AGE

    def refusals(self, *, step: str = "") -> list[Refusal]:
        """Return everything that stands in the way.

        Args:
            step: one that is about to be made, whose scenarios must have passed as well.
        """
        op = self.operator
        reached = op.stage.reached()
        tree = Tree.of(self.repository)
        gate = Gate(
            tree=tree,
            files=scenario_files.read(self.repository),
            steps=[*reached, *([step] if step and step not in reached else [])],
            now=datetime.now(UTC),
            max_age=self.max_age,
            signer=Signer.own().line(),
        )
        enrolled = op.puppet.enrolled()
        found = versions.read(op.ssh, enrolled)
        silent = [
            Refusal(what=f"{host} does not answer", remedy=f"Try `ssh {host}` by hand")
            for host in enrolled
            if host not in found
        ]
        stored = Evidence.of(self.repository).statements(of=tree)
        return [*silent, *gate.refusals(stored, production=found)]

    def show(self, release: str) -> None:
        """Bring the evidence to the control host, and let it judge.

        Raises:
            AcceptanceCheckError: it refuses the release.
        """
        stored = Evidence.of(self.repository).statements(of=Tree.of(self.repository))
        Acceptance(puppet=self.operator.puppet).offer(release, stored)
        self.judge(release)

    def judge(self, release: str) -> None:
        """Let the control host judge a release of which it has the evidence.

        Raises:
            AcceptanceCheckError: it refuses the release.
        """
        Acceptance(puppet=self.operator.puppet).judge(release)

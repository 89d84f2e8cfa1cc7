"""A stand-in for production: the scenarios' lab, of which a promotion knows only SSH addresses.

A promotion is made from a checkout, so the scenarios have one of their own, in which they commit
good and bad changes. The stand-in trusts its key, because the release that it begins with says so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from lab.console import Reporter
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator
from lab.operator.release import Release
from lab.operator.releases import Releases
from lab.promote import scenario_files, versions
from lab.promote.deadman import UNIT
from lab.promote.evidence import Evidence, signature_of
from lab.promote.journal import Journal
from lab.promote.promotion import Promotion
from lab.promote.rollout import Pace
from lab.promote.signing import ALLOWED, Signer
from lab.promote.statement import Result, Statement, Surroundings, Verdict
from lab.promote.tree import Tree

PROJECT: Final = Path(__file__).resolve().parent.parent
PACE: Final = Pace(soak=5, confirm_within=60)
COMMON: Final = "puppet/data/common.yaml"


@dataclass(kw_only=True)
class StandIn:
    """The stand-in, and the checkout that is promoted to it.

    Attributes:
        lab: what plays production.
        checkout: the clone.
        base: the commit that its release in force was made from.
        bare: whether nothing is in force there yet.
    """

    lab: Lab
    checkout: Path
    base: str = ""
    bare: bool = False
    _signer: Signer = field(init=False)
    _recorded: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the clone, let it trust a key of its own, and give that to the stand-in."""
        self.git("clone", "--quiet", "--shared", str(PROJECT), str(self.checkout), at=PROJECT)
        shutil.copytree(PROJECT / "puppet/modules", self.checkout / "puppet/modules", symlinks=True)
        self._signer = Signer.own(self.checkout.parent / "key")
        self.base = self.commit({ALLOWED: ("", f"{self._signer.line()}\n")})
        if self.bare:
            return
        operator = self.operator()
        Releases(puppet=operator.puppet).deploy(self.checkout / "puppet")
        for host in operator.puppet.enrolled():
            operator.puppet.agent(host)

    @property
    def release(self) -> str:
        """The release in force."""
        return Releases(puppet=self.operator().puppet).in_force()

    def operator(self, *, report: Reporter | None = None) -> Operator:
        """Return an operator of the stand-in."""
        found = in_lab(self.lab)
        return found if report is None else replace(found, report=report)

    def commit(self, changes: Mapping[str, tuple[str, str]]) -> str:
        """Commit a change on top of what is in force: path -> (old text, new text).

        An empty old text stands for the end of the file.
        """
        if self.base:
            self.git("reset", "--quiet", "--hard", self.base)
        for path, (old, new) in changes.items():
            file = self.checkout / path
            text = file.read_text()
            assert old in text, f"{path} has no {old!r}"
            file.write_text(text.replace(old, new, 1) if old else text + new)
        author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        self.git(*author, "commit", "--quiet", "--all", "--message", f"Change {', '.join(changes)}")
        return self.git("rev-parse", "HEAD").strip()

    def journal(self, megabytes: int) -> str:
        """Commit a change that hurts nobody: how much disk the journal may use."""
        text = self.git("show", f"{self.base}:{COMMON}")
        (line,) = (one for one in text.splitlines() if one.startswith("profile::journald::max_use"))
        return self.commit({COMMON: (line, f"profile::journald::max_use: {megabytes}M")})

    def prove(self, *, ago: timedelta = timedelta(), signer: Signer | None = None) -> None:
        """Say that every scenario passed on this tree, as a run of them would.

        The scenarios that pass for real are in this very run; here only their evidence counts.
        """
        operator = self.operator()
        when = datetime.now(UTC) - ago
        files = scenario_files.read(self.checkout)
        results = tuple(
            Result(
                scenario=f"{file.path}::{name}" + (f"[{case}]" if cases > 1 else ""),
                verdict=Verdict.PASSED,
                started=when,
                seconds=1.0,
            )
            for file in files
            for name, cases in file.tests
            for case in range(cases)
        )
        statement = Statement(
            tree=Tree.of(self.checkout),
            surroundings=Surroundings(
                fleet=operator.fleet.name,
                versions=versions.read(operator.ssh, operator.puppet.enrolled()),
            ),
            files=files,
            results=results,
        )
        path = Evidence.of(self.checkout).record(statement, signer=signer or self._signer)
        self._recorded.append(path)

    def push_past_the_gate(self) -> None:
        """Bring the checkout's release and its evidence to the control host, and ask it."""
        promotion = self.promotion()
        release = Release.of(self.checkout / "puppet")
        Releases(puppet=self.operator().puppet).push(release)
        promotion.proof.show(release.name)

    def forget(self) -> None:
        """Remove the evidence: it is of a tree that nobody else has."""
        for path in self._recorded:
            path.unlink()
            signature_of(path).unlink()

    def promotion(self, *, report: Reporter | None = None, pace: Pace = PACE) -> Promotion:
        """Return a promotion of the checkout, in this process."""
        return Promotion(
            operator=self.operator(report=report),
            repository=self.checkout,
            pace=pace,
            why="a scenario",
        )

    def command(self, *options: str) -> list[str]:
        """Return the command line of `invoke promote`, run in the checkout."""
        pace = ("--soak", f"{PACE.soak:.0f}", "--confirm-within", f"{PACE.confirm_within:.0f}")
        site = ("--on", "lab", "--lab", self.lab.name)
        return [sys.executable, "-m", "invoke", "promote", *site, *pace, *options]

    def promote(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run `invoke promote` as a person does, and wait for it."""
        return subprocess.run(
            self.command(*options),
            cwd=self.checkout,
            capture_output=True,
            text=True,
            check=False,
        )

    def releases(self) -> dict[str, str]:
        """Return what release each host was last run with."""
        operator = self.operator()
        return {
            host: operator.ssh.run(
                host, "grep '^  config:' /var/cache/puppet/public/last_run_summary.yaml"
            )
            .stdout.split(":", 1)[1]
            .strip(" \n\"'")
            for host in operator.puppet.enrolled()
        }

    def at_rest(self) -> list[str]:
        """Return what a promotion left behind: open work, held hosts, armed dead-men."""
        operator = self.operator()
        standing = Journal(ssh=operator.ssh, host=operator.puppet.control).standing()
        found = ["an open promotion"] if standing is not None and standing.open else []
        script = f"""
            test ! -e /var/cache/puppet/state/agent_disabled.lock || echo held
            ! systemctl is-active --quiet {UNIT}.timer || echo armed
        """
        for host in operator.puppet.enrolled():
            said = operator.ssh.run(host, script).stdout.split()
            found += [f"{host} is {what}" for what in said]
        return found

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run git in the checkout."""
        return subprocess.run(
            ["git", "-C", str(at or self.checkout), *arguments],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

"""What tests of evidence share: a small checkout, keys that may sign, statements."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lab.promote import scenario_files
from lab.promote.evidence import Evidence, Stored
from lab.promote.gate import Gate, Refusal
from lab.promote.signing import ALLOWED, Signer
from lab.promote.statement import Result, Statement, Surroundings, Verdict
from lab.promote.tree import Tree
from lab.promote.versions import Versions

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
STEP = "scenarios/test_step_control.py"
FAILOVER = "scenarios/test_failover_control.py"
PASSED = {f"{STEP}::test_one": "passed", f"{STEP}::test_two[a]": "passed"}
PASSED |= {f"{STEP}::test_two[b]": "passed", f"{FAILOVER}::test_three": "passed"}

FILES = {
    "puppet/manifests/site.pp": "include role::base\n",
    "puppet/modules.lock": "modules: {}\n",
    "puppet/modules/stdlib/metadata.json": "{}\n",
    ALLOWED: "",
    ".gitignore": "puppet/modules/\n__pycache__/\n",
    "fleet.yaml": "name: small\n",
    "lab/operator/ssh.py": "PORT = 22\n",
    "lab/steps/control.py": "NAME = 'control'\n",
    STEP: (
        "import pytest\n\n\ndef test_one():\n    pass\n\n\n"
        "@pytest.mark.parametrize('host', ['a', 'b'])\ndef test_two(host):\n    pass\n\n\n"
        "@pytest.mark.slow\ndef test_slow():\n    pass\n"
    ),
    FAILOVER: "def test_three():\n    pass\n",
}


def git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@nordlys.example")
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def new_key(path: Path, name: str) -> Signer:
    """Make a key pair."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
    subprocess.run(command, check=True)
    return Signer(key=path)


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A small repository with somebody who may sign, and the evidence of it.

    Attributes:
        path: its top.
        signer: may sign.
        stranger: may not.
    """

    path: Path
    signer: Signer
    stranger: Signer

    @property
    def evidence(self) -> Evidence:
        """The evidence."""
        return Evidence(self.path.parent / "evidence", allowed=self.path / ALLOWED)

    @classmethod
    def at(cls, directory: Path) -> Checkout:
        """Return the one in a directory."""
        signer, stranger = (Signer(key=directory / name) for name in ("oda", "mallory"))
        return cls(path=directory / "checkout", signer=signer, stranger=stranger)

    @classmethod
    def make(cls, directory: Path) -> None:
        """Make one, committed."""
        signer, _ = (new_key(directory / name, name) for name in ("oda", "mallory"))
        path = directory / "checkout"
        for name, content in FILES.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(content)
        (path / ALLOWED).write_text(f"# who may\n{signer.line()}\n")
        git(path, "init", "--quiet")
        git(path, "add", ".")
        git(path, "commit", "--quiet", "--message", "first")

    def change(self, name: str, content: str) -> None:
        """Change a file and commit it."""
        (self.path / name).write_text(content)
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "--message", "change")

    def show(
        self,
        verdicts: dict[str, str] | None = None,
        *,
        ago: timedelta = timedelta(hours=2),
        signer: Signer | None = None,
        agent: str = "8.10.0",
    ) -> Path:
        """Record a run that ended some time ago."""
        results = tuple(
            Result(
                scenario=scenario,
                verdict=Verdict(verdict),
                started=NOW - ago + timedelta(seconds=number),
                seconds=1.5,
                figures={"gap": 0.1},
            )
            for number, (scenario, verdict) in enumerate((verdicts or PASSED).items())
        )
        statement = Statement(
            tree=Tree.of(self.path),
            surroundings=Surroundings(
                fleet="small",
                engine="Docker 27.0",
                images={"base:1": "0" * 64},
                versions={"oslo": Versions(debian="13", agent=agent)},
            ),
            files=scenario_files.read(self.path),
            results=results,
        )
        return self.evidence.record(statement, signer=signer or self.signer)

    def gate(self, *, steps: Sequence[str] = ("control",)) -> Gate:
        """Return the gate as it stands."""
        return Gate(
            tree=Tree.of(self.path),
            files=scenario_files.read(self.path),
            steps=steps,
            now=NOW,
            signer=self.stranger.line(),
        )

    def refusals(self, *, production: dict[str, Versions] | None = None) -> list[Refusal]:
        """Return what stands in the way."""
        return self.gate().refusals(self.stored(), production=production)

    def stored(self) -> list[Stored]:
        """Return all evidence."""
        return self.evidence.statements()


def tamper(path: Path, old: str, new: str) -> None:
    """Change a statement after it was signed."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

"""What must be green before anything is called done: one list, the same for people and CI."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import puppet_check
from lab.console import TerminalReporter, console
from lab.errors import CheckFailedError
from lab.parallel import meanwhile

PROJECT = Path(__file__).resolve().parent.parent


class ChecksFailedError(CheckFailedError):
    """One of the checks said no."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One command that must end with 0.

    Attributes:
        title: what it checks.
        argv: the command, run in the checkout.
        loud: whether its output is shown while it runs, not only when it fails.
    """

    title: str
    argv: Sequence[str]
    loud: bool = False


def python(*argv: str) -> list[str]:
    """Return the command line of a Python program of this environment."""
    return [sys.executable, "-m", *argv]


def tool(name: str, *argv: str) -> list[str]:
    """Return the command line of a program installed beside this Python."""
    return [str(Path(sys.executable).with_name(name)), *argv]


def fast_checks() -> list[Check]:
    """Return the checks that need no engine."""
    shell = [path for path in _tracked() if _is_shell(PROJECT / path)]
    yaml = [path for path in _tracked() if path.endswith((".yaml", ".yml"))]
    return [
        Check(title="ruff: lint", argv=tool("ruff", "check", "--quiet", ".")),
        Check(title="ruff: format", argv=tool("ruff", "format", "--check", "--quiet", ".")),
        Check(title="mypy --strict", argv=python("mypy", "--no-error-summary")),
        Check(title="shellcheck", argv=tool("shellcheck", *shell)),
        Check(title="yamllint", argv=tool("yamllint", "--strict", *yaml)),
        Check(title="unit tests", argv=python("pytest", "-q"), loud=True),
    ]


def run(checks: Sequence[Check]) -> None:
    """Run *checks* in order; the first that fails ends it.

    Raises:
        ChecksFailedError: a check failed; its output has been shown.
    """
    report = TerminalReporter()
    for check in checks:
        if check.loud:
            _run(check)
        else:
            with report.task(check.title):
                _run(check)


def _run(check: Check) -> None:
    done = subprocess.run(
        check.argv, cwd=PROJECT, check=False, capture_output=not check.loud, text=True
    )
    if done.returncode:
        console(stderr=True).print(f"{done.stdout or ''}{done.stderr or ''}", markup=False)
        raise ChecksFailedError("failed; what it said is above", where=check.title)


def fast() -> None:
    """Run every check but the scenarios: lint, types, unit tests, and beside those Puppet."""
    *quick, unit_tests = fast_checks()
    run(quick)
    with meanwhile(puppet) as code:
        run([unit_tests])
        code.result()


def puppet() -> None:
    """Run the checks of the Puppet code."""
    puppet_check.run(report=TerminalReporter())


def scenarios(*, slow: bool) -> None:
    """Run the scenarios; with *slow* also those that do not fit into continuous integration.

    Without Vagrant and libvirt those of virtual machines are left out, and it is said.
    """
    without = [] if slow else ["not slow"]
    if not all(map(shutil.which, ("vagrant", "virsh"))):
        without.append("not virtual")
        TerminalReporter().say("No Vagrant with libvirt here: no virtual machine is tried")
    chosen = ["--durations=30", *(["-m", " and ".join(without)] if without else [])]
    run([Check(title="scenarios", argv=python("pytest", *chosen, "scenarios"), loud=True)])


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    return [path for path in listed.stdout.splitlines() if (PROJECT / path).is_file()]


def _is_shell(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(40)
    return first.startswith((b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash"))

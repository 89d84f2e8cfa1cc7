"""The checks of one host, run where it stands: the same files in the lab and in production."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.errors import CheckFailedError, CouldNotError
from lab.fleet import Host
from lab.operator import Operator

PROJECT: Final = Path(__file__).resolve().parents[2]
CHECKS: Final = "scenarios/hosts"
_SECONDS: Final = 180
_RAN: Final = (0, 1)  # pytest's: all passed, some failed


class HostChecksError(CouldNotError):
    """The checks could not be run."""


class HostChecksCheckError(CheckFailedError):
    """A host is not as it has to be."""


def check(operator: Operator, host: Host, *, reached: Sequence[str]) -> int:
    """Check *host*, and return how many checks it passed.

    Args:
        operator: of the site.
        host: which one.
        reached: the steps of the migration that are made.

    Raises:
        HostChecksError: they could not be run.
        HostChecksCheckError: some failed; the first of them is named.
    """
    done = subprocess.run(
        command(operator, host, reached=reached),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    said = done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", said)
    if done.returncode not in _RAN or not passed:
        raise HostChecksError(f"the checks did not run: {_last(said)}", where=host.name)
    if done.returncode:
        failed = re.findall(r"^FAILED \S+::(\S+)(.*)$", said, flags=re.MULTILINE)
        names = "; ".join(f"{name.partition('[')[0]}{why}" for name, why in failed)
        raise HostChecksCheckError(f"{len(failed)} checks failed: {names}", where=host.name)
    return int(passed[1])


def command(operator: Operator, host: Host, *, reached: Sequence[str]) -> list[str]:
    """Return the command line that checks *host*; it shares the operator's connection."""
    options = operator.ssh.options
    config = ["--ssh-config", options[1]] if options[:1] == ["-F"] else []
    extra = options[2:] if config else options
    return [
        *(sys.executable, "-m", "pytest", "--quiet", "--noconftest", "--no-header", "--tb=line"),
        *("-p", "no:cacheprovider", "-rf"),
        f"--hosts=ssh://{operator.ssh.alias(host.name)}",
        *config,
        f"--ssh-extra-args={shlex.join(extra)}",
        *files(host.role, reached=reached),
    ]


def files(role: str, *, reached: Sequence[str], project: Path = PROJECT) -> list[str]:
    """Return the checks for a host: those of all, of its role, of its role after each step."""
    names = ["base", role, *(f"{role}_{step}" for step in reached)]
    paths = [f"{CHECKS}/{name}.py" for name in names]
    return [path for path in paths if (project / path).is_file()]


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"

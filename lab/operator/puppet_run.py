"""One run of Puppet on one host, and what to think of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.errors import CheckFailedError, CouldNotError
from lab.operator.ssh import Result

# puppet-agent(8), --detailed-exitcodes: 2 and 6 had changes, 4 and 6 had failures.
_SUCCESS: Final = (0, 2)
_FAILURE: Final = (4, 6)

RAN: Final = (*_SUCCESS, *_FAILURE)
"""Exit codes of a run that took place, well or not."""


class PuppetError(CouldNotError):
    """A release could not be deployed, or Puppet could not run on a host."""


class PuppetCheckError(CheckFailedError):
    """Puppet found out that a host, or the release, is not as it should be."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of Puppet on one host.

    Attributes:
        host: its name.
        changed: how many resources were changed, or would be.
        failed: how many could not be brought into their state.
        seconds: how long it took from outside, including the connection.
        release: what it was made from.
    """

    host: str
    changed: int
    failed: int
    seconds: float
    release: str


def judge(done: Result, summary: Mapping[str, Mapping[str, object]], *, seconds: float) -> Run:
    """Return what a run did.

    Args:
        done: how the process ended.
        summary: Puppet's own summary of it.
        seconds: how long it took.

    Raises:
        PuppetError: it did not run at all.
        PuppetCheckError: it ran, and something failed.
    """
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    errors = [line.removeprefix("Error: ") for line in said if line.startswith("Error: ")]
    if done.code not in RAN:
        disabled = (re.search(r"administratively disabled[^;]*", line) for line in said)
        held = [match[0] for match in disabled if match]
        raise PuppetError(f"Puppet did not run: {_first(held, errors, said[-1:])}", where=done.host)
    resources = summary.get("resources", {})
    run = Run(
        host=done.host,
        # What is out of sync was changed, unless the run only looked.
        changed=_number(resources.get("out_of_sync")),
        failed=_number(resources.get("failed")) + _number(resources.get("failed_to_restart")),
        seconds=seconds,
        release=str(summary.get("version", {}).get("config", "")),
    )
    if done.code in _FAILURE or run.failed:
        raise PuppetCheckError(
            f"Puppet failed at {run.failed} resources: {_first(_reasons(said), errors, said[-1:])}",
            where=done.host,
        )
    return run


def _reasons(said: Sequence[str]) -> list[str]:
    """Return why commands failed: what each said last, with the resource that it is."""
    words = {
        found[1]: found[2]
        for line in said
        if (found := re.match(r"Notice: (/Stage.*)/returns: (.*)", line))
    }
    failed = (re.match(r"Error: (/Stage.*/(.*?\]))/returns: change from", line) for line in said)
    return [f"{each[2]}: {words[each[1]]}" for each in failed if each and each[1] in words]


def _first(*choices: Sequence[str]) -> str:
    """Return the first text of the first choice that has one."""
    return next((choice[0] for choice in choices if choice), "it said nothing")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0

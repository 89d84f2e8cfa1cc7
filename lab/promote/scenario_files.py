"""Which scenarios a file must prove, read from its source: nothing is imported or run.

What is marked slow does not count. Of a scenario with parameters every case counts, as far as
they are written down as a list.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final

from lab.errors import CouldNotError

DIRECTORY: Final = "scenarios"

_PATTERNS: Final = ("test_step_*.py", "test_failover_*.py")
_SLOW: Final = "slow"


class ScenarioFilesError(CouldNotError):
    """A file of scenarios could not be read."""


@dataclass(frozen=True, kw_only=True)
class ScenarioFile:
    """One file of scenarios.

    Attributes:
        path: from the top of the checkout.
        sha256: of its text: what another text of it has shown proves nothing.
        tests: name of each scenario that is not slow -> how many cases it has.
    """

    path: str
    sha256: str
    tests: tuple[tuple[str, int], ...]


def read(repository: Path) -> tuple[ScenarioFile, ...]:
    """Return every file that a promotion may need, by its path.

    Args:
        repository: top of the checkout.

    Raises:
        ScenarioFilesError: one is not Python.
    """
    paths = [path for pattern in _PATTERNS for path in (repository / DIRECTORY).glob(pattern)]
    return tuple(_one(path) for path in sorted(paths))


def needed(steps: Sequence[str], files: Sequence[ScenarioFile]) -> list[str]:
    """Return the paths whose scenarios must have passed for a fleet at a stage.

    Each step needs a file of its own, whether or not there is one; that of its failures counts
    where there is one.

    Args:
        steps: those reached.
        files: what there is.
    """
    there = {file.path for file in files}
    wanted = [f"{DIRECTORY}/test_step_{step}.py" for step in steps]
    failovers = [f"{DIRECTORY}/test_failover_{step}.py" for step in steps]
    return [*wanted, *(path for path in failovers if path in there)]


def scenarios_in(source: str) -> dict[str, int]:
    """Return the scenarios of a source that are not slow, each with its number of cases.

    Raises:
        SyntaxError: it is not Python.
    """
    return dict(_tests(ast.parse(source).body))


def _one(path: Path) -> ScenarioFile:
    try:
        content = path.read_bytes()
        found = scenarios_in(content.decode())
    except (OSError, SyntaxError, ValueError) as error:
        raise ScenarioFilesError(f"cannot be read: {error}", where=str(path)) from error
    return ScenarioFile(
        path=f"{DIRECTORY}/{path.name}",
        sha256=hashlib.sha256(content).hexdigest(),
        tests=tuple(found.items()),
    )


def _tests(body: Sequence[ast.stmt], prefix: str = "") -> Iterator[tuple[str, int]]:
    marks = [node.value for node in body if isinstance(node, ast.Assign) and _is_pytestmark(node)]
    if any(_names(mark, _SLOW) for value in marks for mark in _each(value)):
        return
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            if not any(_names(mark, _SLOW) for mark in node.decorator_list):
                yield from _tests(node.body, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            slow = any(_names(mark, _SLOW) for mark in node.decorator_list)
            cases = 0 if slow else prod(_cases(mark) for mark in node.decorator_list)
            if cases:
                yield f"{prefix}{node.name}", cases


def _is_pytestmark(node: ast.Assign) -> bool:
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return "pytestmark" in names


def _each(value: ast.expr) -> list[ast.expr]:
    return value.elts if isinstance(value, ast.List | ast.Tuple) else [value]


def _names(mark: ast.expr, name: str) -> bool:
    """Whether a decorator is ``pytest.mark.NAME``, called or not."""
    found = mark.func if isinstance(mark, ast.Call) else mark
    return (
        isinstance(found, ast.Attribute)
        and found.attr == name
        and isinstance(found.value, ast.Attribute)
        and found.value.attr == "mark"
    )


def _cases(mark: ast.expr) -> int:
    """Return how many cases ``pytest.mark.parametrize`` makes; 1 of anything else."""
    if not (isinstance(mark, ast.Call) and _names(mark, "parametrize")):
        return 1
    values = mark.args[1:2] or [key.value for key in mark.keywords if key.arg == "argvalues"]
    listed = [value for value in values if isinstance(value, ast.List | ast.Tuple)]
    return sum(not _is_slow(case) for case in listed[0].elts) if listed else 1


def _is_slow(case: ast.expr) -> bool:
    """Whether a case is ``pytest.param(..., marks=pytest.mark.slow)``."""
    return isinstance(case, ast.Call) and any(
        _names(mark, _SLOW)
        for keyword in case.keywords
        if keyword.arg == "marks"
        for mark in _each(keyword.value)
    )

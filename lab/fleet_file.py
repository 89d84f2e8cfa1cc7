"""A YAML file that remembers its lines, so that every complaint can name one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from lab.errors import CheckFailedError, CouldNotError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of mappings and indices of lists, from the top."""


class FleetError(CouldNotError):
    """The description of the fleet could not be read, or has nothing of that name."""


class FleetCheckError(CheckFailedError):
    """The description of the fleet was read and is wrong; one line for each reason."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: where.
        reason: why, as a clause without a full stop.
    """

    path: KeyPath
    reason: str


@dataclass(frozen=True, kw_only=True)
class FleetFile:
    """What a YAML file holds, and where.

    Attributes:
        name: the file's name, as complaints begin.
        data: its content as plain dictionaries, lists and scalars.
        lines: the line (from 1) of each key and list item.
        duplicates: keys that stand there more than once; *data* has the first of them.
    """

    name: str
    data: Any
    lines: Mapping[KeyPath, int]
    duplicates: tuple[tuple[int, Problem], ...]

    @classmethod
    def read(cls, path: Path) -> FleetFile:
        """Read a file.

        Raises:
            FleetError: it cannot be read.
            FleetCheckError: it is not YAML.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FleetError(f"cannot be read: {error}", where=str(path)) from error
        try:
            root = YAML(typ="safe", pure=True).compose(text)
            loader = YAML(typ="safe", pure=True)
            loader.allow_duplicate_keys = True  # reported below, all of them and with lines
            data = loader.load(text)
        except YAMLError as error:
            raise FleetCheckError(_syntax(path.name, error)) from error
        lines: dict[KeyPath, int] = {}
        duplicates: list[tuple[int, Problem]] = []
        if root is not None:
            _walk(root, (), lines, duplicates)
        return cls(name=path.name, data=data, lines=lines, duplicates=tuple(duplicates))

    def line(self, path: KeyPath) -> int:
        """Return the line of a value, or of the nearest thing around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def complaint(self, problems: Iterable[Problem]) -> str:
        """Return all problems (duplicate keys among them), one a line, in the file's order."""
        found = [(self.line(problem.path), problem) for problem in problems]
        ordered = sorted([*self.duplicates, *found], key=lambda item: item[0])
        return "\n".join(
            f"{self.name}:{line}: {dotted(problem.path)}: {problem.reason}"
            for line, problem in ordered
        )


def dotted(path: KeyPath) -> str:
    """Spell a path for people: ``latency[0].between``, and ``(file)`` for the top."""
    spelt = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return spelt.removeprefix(".") or "(file)"


def _syntax(name: str, error: YAMLError) -> str:
    """Put a parser's complaint of several lines on one."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return f"{name}:{error.problem_mark.line + 1}: (file): not YAML: {error.problem}"
    return f"{name}:1: (file): not YAML: {' '.join(str(error).split())}"


def _walk(
    node: Node,
    path: KeyPath,
    lines: dict[KeyPath, int],
    duplicates: list[tuple[int, Problem]],
) -> None:
    """Note the line of everything below *node*, and the keys that come again."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            below = (*path, key.value)
            line = key.start_mark.line + 1
            if below in lines:
                reason = f"duplicate key, first on line {lines[below]}"
                duplicates.append((line, Problem(path=below, reason=reason)))
                continue
            lines[below] = line
            _walk(value, below, lines, duplicates)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            below = (*path, index)
            lines[below] = item.start_mark.line + 1
            _walk(item, below, lines, duplicates)

"""What a checkout is, for evidence: its commit, and a checksum of each part that is promoted.

Two checkouts are the same tree when all parts are equal; a commit that touches nothing of them
needs no rehearsal of its own.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from lab.errors import CouldNotError
from lab.operator.release import Release

PUPPET: Final = "puppet"
"""The part that the control host can compute itself: the content of the release."""

LOCK: Final = "puppet/modules.lock"
FLEET: Final = "fleet.yaml"

_DIRECTORIES: Final = ("lab/operator", "lab/steps")
# What a run depends on: whatever is changed here was not rehearsed, or not by these scenarios.
_MATTERS: Final = (PUPPET, FLEET, "lab", "scenarios", "pyproject.toml", "requirements.txt")


class TreeError(CouldNotError):
    """The checkout could not be read."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """One checkout.

    Attributes:
        commit: of the checkout, all 40 digits.
        dirty: paths that differ from the commit, and files that git does not know.
        parts: name of each part -> SHA-256.
    """

    commit: str
    dirty: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, repository: Path) -> Self:
        """Read a checkout.

        Args:
            repository: its top.

        Raises:
            TreeError: git or a file cannot be read.
            ReleaseError: the pinned modules are not there.
        """
        commit = _git(repository, "rev-parse", "HEAD").strip()
        status = _git(
            repository,
            *("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"),
            *("--", *_MATTERS),
        )
        dirty = sorted(entry[3:] for entry in status.split("\0") if entry)
        parts = {PUPPET: Release.of(repository / PUPPET).digest}
        for name in (LOCK, FLEET):
            parts[name] = hashlib.sha256(_read(repository / name)).hexdigest()
        for name in _DIRECTORIES:
            parts[name] = _directory(repository, name)
        return cls(commit=commit, dirty=tuple(dirty), parts=parts)

    def same_as(self, other: Tree) -> bool:
        """Whether both hold the same, whatever their commits are called."""
        return bool(self.parts) and self.parts == other.parts


def _directory(repository: Path, name: str) -> str:
    """Return the checksum of a directory; Python runs what git does not know as well."""
    listed = _git(
        repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", name
    )
    digest = hashlib.sha256()
    for path in sorted({path for path in listed.split("\0") if path}):
        if (repository / path).is_file():
            content = hashlib.sha256(_read(repository / path)).hexdigest()
            digest.update(f"{content}  {path}\n".encode())
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TreeError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _git(repository: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True
        )
    except OSError as error:
        raise TreeError(f"git does not run: {error}", where=str(repository)) from error
    except subprocess.CalledProcessError as error:
        raise TreeError(f"git: {error.stderr.strip()}", where=str(repository)) from error
    return done.stdout

"""A release of the control repository: the files that Puppet is given, and what they are called.

A release holds what is in version control, as it stands in the working tree, and the pinned
modules beside it. Nothing else gets in, so that a file forgotten on a laptop changes nothing.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from lab.errors import CouldNotError

MODULES: Final = "modules"
"""Where the pinned modules are; they are checked against their lock file elsewhere."""

REVISION: Final = "REVISION"
"""The file that names the release; Puppet repeats it in every catalog and report."""

_UNUSED: Final = {"spec", "tests", ".gitignore"}
_COMMIT_DIGITS: Final = 12
_DIGEST_DIGITS: Final = 8


class ReleaseError(CouldNotError):
    """The control repository could not be read."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """What Puppet is given.

    Attributes:
        name: the commit; followed by a checksum of the content where the working tree differs
            from it.
        files: path in the release -> content.
        programs: those of the paths that may be executed.
    """

    name: str
    files: Mapping[str, bytes] = field(repr=False)
    programs: frozenset[str]

    @classmethod
    def of(cls, tree: Path) -> Self:
        """Read a release.

        Args:
            tree: the control repository, a directory of a git working tree.

        Raises:
            ReleaseError: git or the files cannot be read, or there are no modules.
        """
        if not (tree / MODULES).is_dir():
            raise ReleaseError(
                "the pinned modules are not there",
                where=str(tree / MODULES),
                remedy="`./invoke puppet-modules` fetches them",
            )
        tracked = [tree / path for path in _git(tree, "ls-files", "-z", ".").split("\0") if path]
        paths = [path for path in tracked if path.is_file()]
        paths += [path for path in (tree / MODULES).rglob("*") if path.is_file()]
        wanted = {
            path.relative_to(tree).as_posix(): path
            for path in sorted(paths)
            if not _UNUSED.intersection(path.relative_to(tree).parts)
        }
        files = {name: path.read_bytes() for name, path in wanted.items()}
        programs = frozenset(name for name, path in wanted.items() if path.stat().st_mode & 0o100)
        commit = _git(tree, "log", "-1", "--format=%H", "--", ".").strip()[:_COMMIT_DIGITS]
        clean = not _git(tree, "status", "--porcelain", "--untracked-files=no", "--", ".").strip()
        content = digest(files, programs)[:_DIGEST_DIGITS]
        name = commit if clean and commit else f"{commit or 'uncommitted'}-{content}"
        return cls(name=name, files=files | {REVISION: f"{name}\n".encode()}, programs=programs)

    @property
    def digest(self) -> str:
        """SHA-256 of the content (:func:`digest`)."""
        return digest(self.files, self.programs)

    def archive(self) -> bytes:
        """Return the release as a compressed tar archive, everything owned by root."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
            for name, content in self.files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                entry.mode = 0o755 if name in self.programs else 0o644
                tar.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()


def digest(files: Mapping[str, bytes], programs: Collection[str]) -> str:
    """Return SHA-256 over the path, the content and the right to be executed of every file.

    :data:`REVISION` is left out: the same content is the same release, whatever it is called.
    The control host computes the same from what it was sent
    (``puppet/site/profile/files/promotion/accept.py``).
    """
    lines = [
        f"{hashlib.sha256(content).hexdigest()} {'x' if name in programs else '-'} {name}\n"
        for name, content in sorted(files.items())
        if name != REVISION
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _git(tree: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=True
        )
    except OSError as error:
        raise ReleaseError(f"git does not run: {error}", where=str(tree)) from error
    except subprocess.CalledProcessError as error:
        raise ReleaseError(f"git: {error.stderr.strip()}", where=str(tree)) from error
    return done.stdout

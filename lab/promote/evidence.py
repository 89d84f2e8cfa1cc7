"""Where statements are kept: one file a run and its signature beside it, never overwritten.

Whatever is read is judged at once. A statement that is not as somebody signed it, or that
nobody signed who may, is handed out as well, with the reason: it counts for nothing, and a
person should know of it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from lab.errors import CouldNotError
from lab.promote.signing import ALLOWED, UNSIGNED, Signature, Signer, verify
from lab.promote.statement import Statement, StatementError
from lab.promote.tree import Tree
from lab.store import root

_SIGNATURE: Final = ".sig"


class EvidenceError(CouldNotError):
    """A statement could not be kept."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A statement as it was found.

    Attributes:
        path: its file.
        signature: what to think of it.
        statement: what it says; None when that is unreadable. To be believed only when
            :attr:`good`.
    """

    path: Path
    signature: Signature
    statement: Statement | None

    @property
    def good(self) -> bool:
        """Whether it counts."""
        return self.signature.good and self.statement is not None

    @property
    def wrong(self) -> str:
        """Why it does not count; empty when it does."""
        return self.signature.wrong or ("" if self.statement else "unreadable")

    def files(self) -> dict[str, bytes]:
        """Return its files by name, for whoever is to judge it again."""
        both = (self.path, signature_of(self.path))
        return {path.name: path.read_bytes() for path in both if path.exists()}


class Evidence:
    """The statements of one user.

    Args:
        directory: where they are.
        allowed: the list of those who may sign.
    """

    def __init__(self, directory: Path, *, allowed: Path) -> None:
        self.directory = directory
        self._allowed = allowed

    @classmethod
    def of(cls, repository: Path) -> Self:
        """Return the user's own, judged by the list in a checkout."""
        return cls(root() / "evidence", allowed=repository / ALLOWED)

    def record(self, statement: Statement, *, signer: Signer) -> Path:
        """Sign a statement and add it.

        Returns:
            Its file.

        Raises:
            SigningError: it could not be signed; nothing was added.
            EvidenceError: it could not be written.
        """
        data = statement.encode()
        signature = signer.sign(data)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.json"
        path = self.directory / name
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The signature first: a run that is killed here leaves no statement without one.
            for target, content in ((signature_of(path), signature), (path, data)):
                _add(target, content)
        except OSError as error:
            raise EvidenceError(f"cannot be written: {error.strerror}", where=str(path)) from error
        return path

    def statements(self, *, of: Tree | None = None) -> list[Stored]:
        """Return the statements, the oldest first.

        Args:
            of: leave out what says that it is of another tree: to judge a signature takes time,
                and there are ever more of them.
        """
        paths = sorted(self.directory.glob("*.json"))
        if of is not None:
            paths = [path for path in paths if _may_be_of(of, path)]
        return [self.read(path) for path in paths]

    def read(self, path: Path) -> Stored:
        """Return one statement, judged."""
        data = path.read_bytes()
        try:
            signature = verify(data, signature_of(path).read_bytes(), allowed=self._allowed)
        except FileNotFoundError:
            signature = Signature(wrong=UNSIGNED)
        return Stored(path=path, signature=signature, statement=_decoded(data))


def signature_of(path: Path) -> Path:
    """Return where the signature of a statement is."""
    return path.with_name(path.name + _SIGNATURE)


def _add(path: Path, content: bytes) -> None:
    """Write a file in one step; one that is there already is an error."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(content)
    try:
        os.link(aside, path)
    finally:
        aside.unlink()


def _decoded(data: bytes) -> Statement | None:
    try:
        return Statement.decode(data)
    except StatementError:
        return None


def _may_be_of(tree: Tree, path: Path) -> bool:
    statement = _decoded(path.read_bytes())
    return statement is None or statement.tree.same_as(tree)

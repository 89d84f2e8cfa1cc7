"""What a lab remembers between commands: its block, its keys, its lock.

Everything lies below ``$XDG_STATE_HOME/generalprove/labs/NAME`` (XDG base directories), never
in the checkout: a clone can be thrown away while its lab runs, and nothing is committed by
mistake.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.addresses import BLOCKS
from lab.errors import CouldNotError

NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


class StoreError(CouldNotError):
    """The lab's own notes could not be read or written, or somebody else holds them."""


def root() -> Path:
    """Return the directory of all labs of this user."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "generalprove"


class Store:
    """The notes of one lab.

    Args:
        lab: its name.
    """

    def __init__(self, *, lab: str) -> None:
        if not NAME.fullmatch(lab):
            raise StoreError(
                f"{lab!r} cannot be a lab's name",
                remedy="Use up to 20 lower-case letters, digits and hyphens, a letter first",
            )
        self.lab = lab
        self.directory = root() / "labs" / lab
        self.secrets = self.directory / "secrets"

    @property
    def exists(self) -> bool:
        """Whether this lab has notes at all."""
        return (self.directory / "lab.json").exists()

    @property
    def sockets(self) -> Path:
        """A short path for SSH's sockets, whose names are limited to about 100 bytes."""
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        return base / f"generalprove-{os.getuid()}" / self.lab

    def read(self) -> dict[str, Any]:
        """Return the notes; empty when there are none."""
        try:
            notes: dict[str, Any] = json.loads((self.directory / "lab.json").read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StoreError(
                f"unreadable: {error}",
                where=str(self.directory / "lab.json"),
                remedy=f"`./invoke lab-down --lab {self.lab}` clears it away",
            ) from error
        return notes

    def update(self, **changes: object) -> None:
        """Change some of the notes, in one step."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = self.directory / "lab.json.new"
        aside.write_text(json.dumps(self.read() | changes, indent=2, sort_keys=True) + "\n")
        aside.replace(self.directory / "lab.json")

    def block(self) -> int:
        """Return the lab's address block, the lowest free one the first time it is asked for."""
        notes = self.read()
        if "block" in notes:
            return int(notes["block"])
        with exclusive(root() / "blocks.lock", wait=True):
            taken = {Store(lab=other).read().get("block") for other in labs()}
            free = [block for block in range(BLOCKS) if block not in taken]
            if not free:
                raise StoreError(
                    f"all {BLOCKS} address blocks are taken by {', '.join(labs())}",
                    remedy="Take a lab down that is not needed: `./invoke lab-down --lab NAME`",
                )
            self.update(block=free[0])
        return free[0]

    @contextmanager
    def locked(self, command: str) -> Iterator[None]:
        """Keep every other command that changes this lab away while the block runs.

        Raises:
            StoreError: another command is at work; the message says which.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        holder = self.directory / "holder"
        try:
            with exclusive(self.directory / "lock", wait=False):
                holder.write_text(f"{command}, process {os.getpid()}")
                yield
        except BlockingIOError:
            who = holder.read_text() if holder.exists() else "another command"
            raise StoreError(
                f"{who} is at work on it",
                where=f"lab {self.lab}",
                remedy="Wait until it has ended, or use another lab: --lab NAME",
            ) from None

    def clear(self) -> None:
        """Forget everything but the lock and who holds it: that is this very command."""
        shutil.rmtree(self.sockets, ignore_errors=True)
        for path in self.directory.glob("*"):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in {"lock", "holder"}:
                path.unlink()


def labs() -> list[str]:
    """Return the names of the labs that have notes."""
    return sorted(path.parent.name for path in (root() / "labs").glob("*/lab.json"))


@contextmanager
def exclusive(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock file *path* (flock(2)): it is free again however the process ends.

    Raises:
        BlockingIOError: somebody else holds it, and *wait* is false.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield

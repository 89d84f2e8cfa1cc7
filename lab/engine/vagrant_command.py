"""Vagrant's own command, through python-vagrant, and what it complains of in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lab.engine.base import EngineError
from lab.engine.virsh import REMEDY
from lab.text import last_line

# The Vagrantfile is there.
PROJECT = Path(__file__).resolve().parent.parent.parent


def demand() -> None:
    """Refuse a computer on which there is no Vagrant.

    Raises:
        EngineError: there is none.
    """
    if shutil.which("vagrant") is None:
        raise EngineError("Vagrant is not installed", remedy=REMEDY)


def by_hand(*argv: str, where: Path = Path("/"), notes: Path | None = None) -> str:
    """Run Vagrant's command as a person does, and return what it said.

    Args:
        argv: its words.
        where: the directory that it is run in: at the root no Vagrantfile is read.
        notes: where it keeps its notes of machines; in that directory when None.

    Raises:
        EngineError: it failed.
    """
    done = subprocess.run(
        ["vagrant", *argv],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {"VAGRANT_CHECKPOINT_DISABLE": "1"}
        | ({"VAGRANT_DOTFILE_PATH": str(notes)} if notes else {}),
        cwd=where,
    )
    if done.returncode:
        raise EngineError(f"`vagrant {' '.join(argv[:2])}`: {last_line(done.stderr)}")
    return done.stdout


@contextmanager
def vagrant(*, machine: str, plan: Path, verb: str) -> Iterator[Any]:
    """Give python-vagrant for one machine of a lab.

    Args:
        machine: its name.
        plan: the file that the Vagrantfile reads of it; Vagrant's notes and its last words
            (``vagrant.log``) are kept beside it.
        verb: what is to be done, for the error.

    Raises:
        EngineError: there is no Vagrant, or it could not.
    """
    demand()
    log = plan.with_name("vagrant.log")

    @contextmanager
    def noted() -> Iterator[IO[str]]:
        with log.open("a", encoding="utf-8") as file:
            yield file

    environment = os.environ | {
        "GENERALPROVE_MACHINES": str(plan),
        "VAGRANT_DOTFILE_PATH": str(plan.with_name("vagrant")),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_NO_COLOR": "1",
    }
    log.write_text("")
    try:
        yield _library()(root=str(PROJECT), env=environment, out_cm=noted, err_cm=noted)
    except subprocess.CalledProcessError as error:
        said = complaint(log.read_text(errors="replace")) or f"exit code {error.returncode}"
        raise EngineError(f"Vagrant could not {verb} it: {said}", where=machine) from error


def complaint(log: str) -> str:
    """Return the line of Vagrant's output that says what is wrong, not where in its own code."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith(("\t", " "))]
    return last_line("\n".join(lines))


def _library() -> Callable[..., Any]:
    import vagrant as library  # noqa: PLC0415 - it warns at once where there is no Vagrant

    found: Callable[..., Any] = library.Vagrant
    return found

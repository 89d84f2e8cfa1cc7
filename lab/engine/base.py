"""The engine's side of a lab: machines that can be made, started, cut off, saved and removed.

Everything above speaks to :class:`Engine`. Docker is behind it in :mod:`lab.engine.docker`; a
second engine fits in without a change above, because no method says *container*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from lab.errors import CheckFailedError, CouldNotError


class EngineError(CouldNotError):
    """The engine could not do what was asked of it."""


class EngineCheckError(CheckFailedError):
    """The engine answers, but is not fit for a lab."""


class State(StrEnum):
    """What a machine is doing, as the engine sees it."""

    ABSENT = "absent"
    STOPPED = "stopped"
    RUNNING = "running"
    FROZEN = "frozen"


@dataclass(frozen=True, kw_only=True)
class File:
    """A file put into a machine before its first start."""

    content: str | bytes
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """One machine to be made.

    Attributes:
        name: its name within the lab, and its host name.
        image: the engine's name of the image that it starts from.
        files: absolute path -> file, written before the first start.
        cores: processor cores that it may use; 0 for no limit.
        memory_mb: memory in MiB that it may use; 0 for no limit.
        uplink: whether it also reaches what the laptop reaches (the package mirror only).
        cache: a directory in it whose content outlives the lab and is shared by all labs.
    """

    name: str
    image: str
    files: Mapping[str, File] = field(default_factory=dict)
    cores: int = 0
    memory_mb: int = 0
    uplink: bool = False
    cache: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command inside a machine said."""

    code: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.code == 0


class Engine(Protocol):
    """Machines of one lab. Every method may raise :class:`EngineError`.

    Methods that take several names work on them side by side.
    """

    def states(self) -> Mapping[str, State]:
        """Return every machine of this lab that exists, with its state."""

    def create(self, specs: Sequence[MachineSpec]) -> None:
        """Make machines, stopped; what an interrupted attempt left behind is made anew."""

    def start(self, names: Sequence[str]) -> None:
        """Start machines; those that run already are left alone. Cables come afterwards."""

    def stop(self, names: Sequence[str]) -> None:
        """Shut machines down as an administrator would."""

    def kill(self, names: Sequence[str]) -> None:
        """Take their power away."""

    def freeze(self, names: Sequence[str]) -> None:
        """Stop every process where it stands; the kernel goes on answering for them."""

    def thaw(self, names: Sequence[str]) -> None:
        """Let frozen machines go on."""

    def remove(self, names: Sequence[str]) -> None:
        """Remove machines and their disks, in whatever state they are."""

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        timeout: float = 30.0,
        check: bool = True,
    ) -> Answer:
        """Run a command in a machine, past its network: for power, faults and boot only."""

    def netns(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return how the wiring finds each running machine's network (a process id)."""

    def script(self, text: str) -> None:
        """Run a shell script that sees the networks of all machines, to lay the cables."""

    def snapshot(self, name: str, tag: str) -> None:
        """Save the disk of a stopped machine as an image called *tag*."""

    def images(self, prefix: str) -> Sequence[str]:
        """Return the names of the saved images that begin with *prefix*."""

    def discard(self, tags: Sequence[str]) -> None:
        """Forget saved images."""

    def sweep(self) -> None:
        """Remove everything that belongs to this lab."""

    def limits(self) -> str:
        """Say which limits of the hardware this engine cannot impose; empty when it can all."""

    def console(self, name: str, *, lines: int) -> str:
        """Return the last lines that a machine wrote to its console."""

    def jump(self, name: str) -> str:
        """Return the ``ProxyCommand`` (ssh_config(5)) that reaches port 22 of a machine."""

"""The engine's side of a lab: machines that can be made, started, cut off, saved and removed.

Everything above speaks to :class:`Engine`: containers are behind it in :mod:`lab.engine.docker`,
virtual machines in :mod:`lab.engine.vagrant`, a lab of both in :mod:`lab.engine.mixed`. No method
says *container*.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lab.engine.wiring import Cable, End
from lab.errors import CheckFailedError, CouldNotError

if TYPE_CHECKING:
    from lab.engine.images import Recipe


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
        cable: its cable to the router, for a machine that configures its own end.
        gateway: the router's address at the other end of the cable.
    """

    name: str
    image: str
    files: Mapping[str, File] = field(default_factory=dict)
    cores: int = 0
    memory_mb: int = 0
    uplink: bool = False
    cache: str = ""
    cable: Cable | None = None
    gateway: IPv4Address | None = None


@dataclass(frozen=True, kw_only=True)
class Room:
    """What an engine takes of this computer, for the preflight.

    Attributes:
        places: where it keeps disks and images.
        running: how many machines it runs now, those of other labs included.
    """

    places: tuple[Path, ...]
    running: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command inside a machine said."""

    code: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.code == 0

    def demand(self, argv: Sequence[str], *, where: str) -> None:
        """Refuse it unless it is ok.

        Args:
            argv: the command.
            where: the machine.

        Raises:
            EngineError: it is not; the message has the end of what the command said.
        """
        if not self.ok:
            said = self.output.strip()[-300:]
            raise EngineError(f"`{shlex.join(argv)[:80]}` exited {self.code}: {said}", where=where)


def known_as(lab: str, machine: str) -> str:
    """Return an engine's name for a machine: other labs have one that is called the same."""
    return f"gp-{lab}-{machine}"


def unknown(machine: str) -> EngineError:
    """Return the error about a machine that there is not."""
    return EngineError(
        "there is no such machine", where=machine, remedy="`./invoke lab-up` makes it"
    )


class Engine(Protocol):
    """Machines of one lab. Every method may raise :class:`EngineError`.

    Methods that take several names work on them side by side.
    """

    @property
    def name(self) -> str:
        """What machines are made by, for the record of what was seen."""

    @property
    def forms(self) -> tuple[str, ...]:
        """Forms of saved disks that machines start from, the one that it saves in first.

        A form is a word that becomes part of a milestone's key; containers' is empty.
        """

    def ensure(self, recipes: Sequence[Recipe]) -> None:
        """Make images exist, as *recipes* say."""

    def room(self) -> Room:
        """Say what the engine takes of this computer."""

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
        """Run a command in a machine, past its network: for power, faults and boot only.

        *timeout* is in seconds of the machine's own time: an emulated one is slower.
        """

    def ends(self, names: Sequence[str]) -> Mapping[str, End]:
        """Return where each running machine's end of its cable is, for the wiring."""

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

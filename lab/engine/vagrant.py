"""The machines of one lab that are virtual: the engine's side of :mod:`lab.engine.virtual`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lab.engine import vagrant_command
from lab.engine.base import Answer, EngineError, MachineSpec, Room, State, known_as, unknown
from lab.engine.disks import Disks, form
from lab.engine.virsh import domains
from lab.engine.virtual import PLAN, VirtualMachine
from lab.engine.wiring import End
from lab.parallel import side_by_side

if TYPE_CHECKING:
    from lab.engine.images import Recipe


class VagrantEngine:
    """The machines of one lab that are virtual.

    Args:
        lab: name of the lab.
        disks: where their disks come from.
        hosts: the hosts that are.
    """

    def __init__(self, *, lab: str, disks: Disks, hosts: Sequence[str]) -> None:
        self._lab = lab
        self._hosts = tuple(hosts)
        self._disks = disks
        self._directory = disks.machines(lab)

    @property
    def name(self) -> str:
        """Vagrant, whatever runs its machines."""
        return "Vagrant"

    @property
    def forms(self) -> tuple[str, ...]:
        """A virtual machine starts from its own disks, and from a container's."""
        return (hashlib.sha256(form().encode()).hexdigest()[:8], "")

    def ensure(self, recipes: Sequence[Recipe]) -> None:
        """Look whether virtual machines are possible here; their disks are made when needed."""
        del recipes
        vagrant_command.demand()
        domains()

    def room(self) -> Room:
        """Say where the disks are, and how many machines libvirt runs."""
        running = [name for name, state in domains().items() if state == "running"]
        return Room(places=(self._disks.directory,), running=len(running))

    def states(self) -> Mapping[str, State]:
        """Return every machine of this lab that was made completely, with its state."""
        made = self._made()
        if not made:
            return {}
        known = domains()
        return {name: self._machine(name).state(known) for name in made}

    def create(self, specs: Sequence[MachineSpec]) -> None:
        """Lay out disks; Vagrant makes the machines of them when they first start."""
        side_by_side(lambda spec: self._machine(spec.name).make(spec, self._disks), specs)

    def start(self, names: Sequence[str]) -> None:
        """Start machines and plug their network cards in; those that run already stay alone."""
        self._each(VirtualMachine.start, self._in(names, State.STOPPED))
        self._each(VirtualMachine.resume, self._in(names, State.FROZEN))

    def stop(self, names: Sequence[str]) -> None:
        """Shut machines down through systemd; one that does not go loses its power."""
        self._each(VirtualMachine.stop, self._in(names, State.RUNNING))

    def kill(self, names: Sequence[str]) -> None:
        """Take their power away: what the kernel in them had not written is lost."""
        self._each(VirtualMachine.cut, self._in(names, State.RUNNING, State.FROZEN))

    def freeze(self, names: Sequence[str]) -> None:
        """Stop every process but the agent; the kernel in the machine goes on."""
        self._each(VirtualMachine.freeze, names)

    def thaw(self, names: Sequence[str]) -> None:
        """Let frozen machines go on."""
        self._each(VirtualMachine.thaw, names)

    def remove(self, names: Sequence[str]) -> None:
        """Remove machines and their disks, whatever was left of them."""
        self._each(VirtualMachine.remove, names)

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        timeout: float = 30.0,
        check: bool = True,
    ) -> Answer:
        """Run a command through the machine's agent, once it answers."""
        answer = self._machine(name).run(argv, timeout=timeout)
        if check:
            answer.demand(argv, where=name)
        return answer

    def ends(self, names: Sequence[str]) -> Mapping[str, End]:
        """Return the device behind each machine's card; one whose router is gone gets another."""
        found = side_by_side(lambda name: self._machine(name).end(), names)
        return dict(zip(names, found, strict=True))

    def script(self, text: str) -> None:  # noqa: ARG002 - the protocol's signature
        """Virtual machines have no helper that sees all networks: the containers' has."""
        raise EngineError("only containers can lay cables", where=self._lab)

    def snapshot(self, name: str, tag: str) -> None:
        """Keep the disk of a stopped machine."""
        self._machine(name).save(tag, self._disks)

    def images(self, prefix: str) -> Sequence[str]:
        """Return the names of the saved disks that begin with *prefix*."""
        return self._disks.saved(prefix)

    def discard(self, tags: Sequence[str]) -> None:
        """Forget saved disks; what is in use stays."""
        self._disks.discard(tags)

    def sweep(self) -> None:
        """Remove every machine of this lab, those that lost their directory included.

        Raises:
            EngineError: libvirt does not answer; the message names those that are left.
        """
        left = {path.name for path in self._directory.glob("*")}
        try:
            known = domains()
            left |= {name for name in self._hosts if known_as(self._lab, name) in known}
            self.remove(sorted(left))
        except EngineError as error:
            if not left:
                return  # a lab that never got as far
            raise EngineError(
                f"{', '.join(sorted(left))} cannot be removed: {error}",
                where=f"lab {self._lab}",
                remedy=f"Then `./invoke lab-down --lab {self._lab}` once more",
            ) from error
        if self._directory.exists():
            self._directory.rmdir()

    def limits(self) -> str:
        """Say which machines are smaller than their hardware, or emulated."""
        return "; ".join(self._machine(name).limits() for name in self._made())

    def console(self, name: str, *, lines: int) -> str:
        """Return what the kernel and systemd wrote to the serial console."""
        return self._machine(name).console(lines=lines)

    def jump(self, name: str) -> str:
        """Virtual machines are reached through the lab's own network."""
        raise EngineError("it is reached through the machine outside", where=name)

    def _machine(self, name: str) -> VirtualMachine:
        return VirtualMachine(lab=self._lab, name=name, directory=self._directory / name)

    def _made(self) -> list[str]:
        return sorted(path.parent.name for path in self._directory.glob(f"*/{PLAN}"))

    def _in(self, names: Sequence[str], *states: State) -> list[str]:
        found = self.states()
        for name in names:
            if name not in found:
                raise unknown(name)
        return [name for name in names if found[name] in states]

    def _each(self, do: Callable[[VirtualMachine], None], names: Sequence[str]) -> None:
        side_by_side(lambda name: do(self._machine(name)), names)

"""A lab of containers and virtual machines: every machine at its own engine, one network.

The world outside is always made of containers, and the router among them lays the cables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lab.engine.base import Answer, Engine, MachineSpec, Room, State
from lab.engine.wiring import End

if TYPE_CHECKING:
    from lab.engine.images import Recipe


class MixedEngine:
    """Two engines that are one.

    Args:
        containers: the engine of every machine that is not named.
        virtual: the engine of those that are.
        named: their names.
    """

    def __init__(self, *, containers: Engine, virtual: Engine, named: Sequence[str]) -> None:
        self._containers = containers
        self._virtual = virtual
        self._named = tuple(sorted(named))

    @property
    def name(self) -> str:
        """Both, and which hosts are virtual."""
        named = ", ".join(self._named)
        return f"{self._containers.name}; {self._virtual.name} for {named}"

    @property
    def forms(self) -> tuple[str, ...]:
        """The machines that are virtual, and how their disks are made; or all containers'."""
        own, *others = self._virtual.forms
        return (f"{','.join(self._named)}={own}", *others)

    def ensure(self, recipes: Sequence[Recipe]) -> None:
        """Make both engines ready; what a virtual machine starts from is made of an image."""
        self._virtual.ensure(recipes)
        self._containers.ensure(recipes)

    def room(self) -> Room:
        """Add up what both take."""
        rooms = (self._containers.room(), self._virtual.room())
        return Room(
            places=tuple(place for room in rooms for place in room.places),
            running=sum(room.running for room in rooms),
        )

    def states(self) -> Mapping[str, State]:
        """Return the machines of both."""
        return {**self._containers.states(), **self._virtual.states()}

    def create(self, specs: Sequence[MachineSpec]) -> None:
        """Make machines, each at its engine."""
        self._virtual.create([spec for spec in specs if spec.name in self._named])
        self._containers.create([spec for spec in specs if spec.name not in self._named])

    def start(self, names: Sequence[str]) -> None:
        """Start machines; the virtual ones, which take longest, first."""
        self._each(names, lambda engine, mine: engine.start(mine))

    def stop(self, names: Sequence[str]) -> None:
        """Shut machines down."""
        self._each(names, lambda engine, mine: engine.stop(mine))

    def kill(self, names: Sequence[str]) -> None:
        """Take their power away."""
        self._each(names, lambda engine, mine: engine.kill(mine))

    def freeze(self, names: Sequence[str]) -> None:
        """Stop every process of theirs."""
        self._each(names, lambda engine, mine: engine.freeze(mine))

    def thaw(self, names: Sequence[str]) -> None:
        """Let them go on."""
        self._each(names, lambda engine, mine: engine.thaw(mine))

    def remove(self, names: Sequence[str]) -> None:
        """Remove machines."""
        self._each(names, lambda engine, mine: engine.remove(mine))

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        timeout: float = 30.0,
        check: bool = True,
    ) -> Answer:
        """Run a command in a machine."""
        return self._of(name).run(name, argv, timeout=timeout, check=check)

    def ends(self, names: Sequence[str]) -> Mapping[str, End]:
        """Return where each machine's end of its cable is."""
        found: dict[str, End] = {}
        self._each(names, lambda engine, mine: found.update(engine.ends(mine)))
        return found

    def script(self, text: str) -> None:
        """Run a script where all networks are seen."""
        self._containers.script(text)

    def snapshot(self, name: str, tag: str) -> None:
        """Save a stopped machine."""
        self._of(name).snapshot(name, tag)

    def images(self, prefix: str) -> Sequence[str]:
        """Return what was saved at either engine."""
        return sorted({*self._containers.images(prefix), *self._virtual.images(prefix)})

    def discard(self, tags: Sequence[str]) -> None:
        """Forget what was saved, wherever it was."""
        self._containers.discard(tags)
        # Later: disks that were made of images go with them.
        self._virtual.discard(tags)

    def sweep(self) -> None:
        """Remove everything that belongs to this lab; what one cannot remove keeps no other."""
        try:
            self._virtual.sweep()
        finally:
            self._containers.sweep()

    def limits(self) -> str:
        """Say what neither can impose."""
        return "; ".join(
            said for said in (self._containers.limits(), self._virtual.limits()) if said
        )

    def console(self, name: str, *, lines: int) -> str:
        """Return the last lines of a machine's console."""
        return self._of(name).console(name, lines=lines)

    def jump(self, name: str) -> str:
        """Return the ``ProxyCommand`` that reaches a machine."""
        return self._of(name).jump(name)

    def _of(self, name: str) -> Engine:
        return self._virtual if name in self._named else self._containers

    def _each(self, names: Sequence[str], do: Callable[[Engine, Sequence[str]], None]) -> None:
        for engine in (self._virtual, self._containers):
            if mine := [name for name in names if self._of(name) is engine]:
                do(engine, mine)

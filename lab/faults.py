"""What can go wrong, each as a ``with`` block that heals itself on exit.

Cuts and losses live in the router, one nftables table each, so that the hosts' own firewalls
neither see nor undo them; power and frost belong to the engine. Rules name interfaces rather
than devices, so a cut stays in force while the machine behind it restarts.

What a fault does *not* do: a killed machine keeps what its kernel had cached, so writes that
were never synced survive here and may not on a real disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from lab.engine.base import Engine, State
from lab.engine.wiring import Cable
from lab.errors import CouldNotError
from lab.fault_rules import (
    CLOCK_TOOL,
    PREFIX,
    Direction,
    between_matches,
    clock_right,
    clock_wrong,
    cut_matches,
    dropping,
    table,
)
from lab.history import HistoryWriter
from lab.lab import Lab
from lab.world.machines import REGISTRY, ROUTER

_SECONDS = 60.0
_INSTALL_SECONDS = 120.0
_RESTART_SECONDS = 120.0


class FaultError(CouldNotError):
    """A fault could not be injected or healed."""


class Faults:
    """Injects faults into one lab.

    Args:
        lab: the lab.
        marks: the history that the users write into as well; None to keep none.
    """

    def __init__(self, *, lab: Lab, marks: HistoryWriter | None = None) -> None:
        self._lab = lab
        self._engine: Engine = lab.engine
        self._marks = marks

    @contextmanager
    def silent_cut(self, machine: str) -> Iterator[None]:
        """Nothing reaches the machine and nothing leaves it; connections hang."""
        with self._rules(f"cut {machine}", cut_matches(machine)):
            yield

    @contextmanager
    def one_way_cut(self, machine: str, direction: Direction) -> Iterator[None]:
        """Only what the machine sends (``from``) or is sent (``to``) is lost."""
        matches = cut_matches(machine, directions=[direction])
        with self._rules(f"cut {direction} {machine}", matches):
            yield

    @contextmanager
    def loss(self, machine: str, *, percent: int) -> Iterator[None]:
        """Lose *percent* of the packets, either way."""
        matches = cut_matches(machine, percent=percent)
        with self._rules(f"loss {percent} {machine}", matches):
            yield

    @contextmanager
    def partition(self, one: str, other: str) -> Iterator[None]:
        """Cut two hosts off from each other; the world reaches both."""
        cables = self._cables()
        matches = between_matches(cables[one], cables[other])
        with self._rules(f"partition {one} {other}", matches):
            yield

    @contextmanager
    def registry_closed(self) -> Iterator[None]:
        """Let the registry refuse every change, as in a maintenance window; it goes on serving."""
        with self._marked("registry closed"):
            self._sh(REGISTRY, "rndc freeze")
            try:
                yield
            finally:
                self._sh(REGISTRY, "rndc thaw")

    @contextmanager
    def provider_outage(self, provider: str) -> Iterator[None]:
        """Cut off every host of a provider."""
        hosts = [h.name for h in self._lab.fleet.hosts.values() if h.provider == provider]
        if not hosts:
            raise FaultError(f"no host hangs on the provider {provider!r}", where="fleet.yaml")
        matches = [match for host in hosts for match in cut_matches(host)]
        with self._rules(f"outage {provider}", matches):
            yield

    @contextmanager
    def power_loss(self, machine: str) -> Iterator[None]:
        """Take a machine's power away; give it back, with its cable, at the end."""
        with self._marked(f"power loss {machine}"):
            self._engine.kill([machine])
            try:
                yield
            finally:
                self._lab.power_on([machine])

    @contextmanager
    def shut_down(self, machine: str) -> Iterator[None]:
        """Shut a machine down as an administrator would, and start it again at the end."""
        with self._marked(f"shut down {machine}"):
            self._engine.stop([machine])
            try:
                yield
            finally:
                self._lab.power_on([machine])

    @contextmanager
    def frozen(self, machine: str) -> Iterator[None]:
        """Stop every process of a machine; its kernel still accepts connections."""
        with self._marked(f"freeze {machine}"):
            self._engine.freeze([machine])
            try:
                yield
            finally:
                self._engine.thaw([machine])

    @contextmanager
    def small_volume(
        self, machine: str, path: str, *, megabytes: int, kept: bool = False
    ) -> Iterator[None]:
        """Give *path* a volume of its own, of that size, with what is there.

        It keeps its owner. Nobody may use it when it comes and when it goes.

        Args:
            machine: where.
            path: a directory.
            megabytes: how much it holds.
            kept: whether what is written to it stays when it goes.
        """
        with self._marked(f"small volume {path} on {machine}"):
            self._sh(
                machine,
                f"mkdir -p {path}; owner=$(stat -c %u:%g {path}); mode=$(stat -c %a {path})",
                f"mkdir {path}.volume; mount -t tmpfs -o size={megabytes}m tmpfs {path}.volume",
                f"chown $owner {path}.volume; chmod $mode {path}.volume",
                f"cp -a {path}/. {path}.volume; mount --bind {path}.volume {path}",
                f"umount {path}.volume; rmdir {path}.volume",
            )
            try:
                yield
            finally:
                self._sh(machine, *(_keep(path) if kept else ()), f"umount --lazy {path}")

    @contextmanager
    def full_volume(self, machine: str, path: str) -> Iterator[None]:
        """Leave no room on the volume of *path*; give it back at the end."""
        ballast = f"{path}/.fault-ballast"
        with self._marked(f"full volume {path} on {machine}"):
            self._sh(machine, f"dd if=/dev/zero of={ballast} bs=1M 2>/dev/null || true")
            try:
                yield
            finally:
                self._sh(machine, f"rm -f {ballast}")

    @contextmanager
    def clock_off(self, machine: str, units: Sequence[str], *, seconds: int) -> Iterator[None]:
        """Let the clock of some *units* be wrong; the machine's own and all others stay right.

        Those that run are restarted when it begins and when it ends: a process keeps the clock
        that it was started with. When it ends, what waits for a clock to be set is started.

        Args:
            machine: where.
            units: whole names of services.
            seconds: how far off; ahead when positive.
        """
        self._engine.run(machine, ["sh", "-ec", CLOCK_TOOL], timeout=_INSTALL_SECONDS)
        with self._marked(f"clock {seconds:+d} s on {machine}"):
            try:
                wrong = clock_wrong(units, seconds=seconds)
                self._engine.run(machine, ["sh", "-ec", wrong], timeout=_RESTART_SECONDS)
                yield
            finally:
                right = clock_right(units)
                self._engine.run(machine, ["sh", "-ec", right], timeout=_RESTART_SECONDS)

    @contextmanager
    def wiped(self, machine: str, *, rebuild: Callable[[], object]) -> Iterator[None]:
        """Take a host away with all that is on its disk; it is bare when it comes back.

        Args:
            machine: a host of the fleet.
            rebuild: makes of the bare host what it was; called at the end.
        """
        with self._marked(f"wiped {machine}"):
            self._engine.kill([machine])
            try:
                yield
            finally:
                rebuild()

    @contextmanager
    def unit_killed(self, machine: str, unit: str) -> Iterator[None]:
        """Kill a unit's processes, as a crash would; at the end it runs, by systemd or by us."""
        with self._marked(f"{unit} killed on {machine}"):
            self._sh(machine, f"systemctl kill --signal KILL {unit}")
            try:
                yield
            finally:
                self._sh(machine, f"systemctl reset-failed {unit} || true; systemctl start {unit}")

    def in_force(self) -> list[str]:
        """Return the faults in force now, for ``lab-status``."""
        states = self._engine.states()
        found = [f"{name} is {state}" for name, state in states.items() if state is State.FROZEN]
        if states.get(ROUTER) is State.RUNNING:
            tables = self._engine.run(ROUTER, ["nft", "list", "tables"]).output
            found += [
                name.replace("_", " ") for name in re.findall(rf"table inet {PREFIX}(\S+)", tables)
            ]
        return found

    @contextmanager
    def _rules(self, name: str, matches: Sequence[str]) -> Iterator[None]:
        text = dropping(name, matches)
        with self._marked(name):
            self._sh(ROUTER, f"nft -f - <<'END'\n{text}END")
            try:
                yield
            finally:
                self._engine.run(ROUTER, ["nft", "delete", "table", "inet", table(name)])

    def _cables(self) -> dict[str, Cable]:
        return {cable.machine: cable for cable in self._lab.blueprint().cables}

    def _sh(self, machine: str, *lines: str) -> None:
        self._engine.run(machine, ["sh", "-ec", "\n".join(lines)], timeout=_SECONDS)

    @contextmanager
    def _marked(self, name: str) -> Iterator[None]:
        with self._marks.span("fault", name) if self._marks else nullcontext():
            yield


def _keep(path: str) -> list[str]:
    """Return lines that bring what is on the volume at *path* to the directory below it."""
    below = "/run/fault-below"
    return [
        f"mkdir {below}; mount --bind / {below}",
        f"find {below}{path} -mindepth 1 -delete; cp -a {path}/. {below}{path}",
        f"umount {below}; rmdir {below}",
    ]

"""Hosts as virtual machines: Vagrant makes them, libvirt runs them (KVM, or emulated).

Each machine has a directory of its own with its disk, the files that it is made with, its console
and Vagrant's notes. Its network card is plugged in once it has started; the wiring moves the
device behind it into the router, so that a cable is the same as a container's, and a cut too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lab.engine.base import Answer, EngineError, MachineSpec, Room, State
from lab.engine.disks import Disks, form
from lab.engine.docker import archive
from lab.engine.virsh import REMEDY, Agent, domains, virsh
from lab.engine.vm_plan import Computer, device, domain, files, nic, vagrant_plan
from lab.engine.wiring import End, Tap
from lab.parallel import side_by_side
from lab.text import last_line

if TYPE_CHECKING:
    from lab.engine.images import Recipe

PROJECT = Path(__file__).resolve().parent.parent.parent
# What libvirt calls the states of a machine; every other one stands still.
STATES = {"running": State.RUNNING, "idle": State.RUNNING, "paused": State.FROZEN}
BOOT_SECONDS = 60.0
STOP_SECONDS = 30.0
# Everything but the kernel and the agent, whose unit has a slice of its own in the box.
FREEZE = """
for group in /sys/fs/cgroup/*.slice /sys/fs/cgroup/*.scope; do
    [ "$group" = /sys/fs/cgroup/lab.slice ] || echo {word} >"$group/cgroup.freeze"
done
"""


class VagrantEngine:
    """The machines of one lab that are virtual.

    Args:
        lab: name of the lab.
        disks: where their disks come from.
    """

    def __init__(self, *, lab: str, disks: Disks) -> None:
        self._lab = lab
        self._disks = disks
        self._directory = disks.directory / "labs" / lab

    @property
    def forms(self) -> tuple[str, ...]:
        """A virtual machine starts from its own disks, and from a container's."""
        return (hashlib.sha256(form().encode()).hexdigest()[:8], "")

    def ensure(self, recipes: Sequence[Recipe]) -> None:
        """Look whether virtual machines are possible here; their disks are made when needed."""
        del recipes
        if shutil.which("vagrant") is None:
            raise EngineError("Vagrant is not installed", remedy=REMEDY)
        domains()

    def room(self) -> Room:
        """Say where the disks are, and how many machines libvirt runs."""
        running = [name for name, state in domains().items() if state == "running"]
        return Room(places=(self._disks.directory,), running=len(running))

    def states(self) -> Mapping[str, State]:
        """Return every machine of this lab that was made completely, with its state."""
        made = [path.parent.name for path in self._directory.glob("*/plan.json")]
        if not made:
            return {}
        known = domains()
        return {name: self._state(name, known) for name in sorted(made)}

    def _state(self, name: str, known: Mapping[str, str]) -> State:
        state = STATES.get(known.get(self._domain(name), ""), State.STOPPED)
        frozen = (self._directory / name / "frozen").exists()
        return State.FROZEN if state is State.RUNNING and frozen else state

    def create(self, specs: Sequence[MachineSpec]) -> None:
        """Lay out disks; Vagrant makes the machines of them when they first start."""
        side_by_side(self._create, specs)

    def _create(self, spec: MachineSpec) -> None:
        self._remove(spec.name)
        directory = self._directory / spec.name
        seed = archive(files(spec))
        ground = self._disks.ground(spec.image)
        directory.mkdir(mode=0o711, parents=True)
        self._disks.over(ground, directory / "disk.qcow2")
        # A disk is read in whole sectors.
        (directory / "seed.tar").write_bytes(seed + bytes(-len(seed) % 512))
        (directory / "nic.xml").write_text(nic(self._lab, spec.name))
        plan = vagrant_plan(
            lab=self._lab,
            spec=spec,
            ground=ground,
            directory=directory,
            # Other files each time: a machine made anew unpacks them anew.
            seed=hashlib.sha256(seed + os.urandom(8)).hexdigest()[:16],
            computer=self._computer(self._disks.driver(ground)),
        )
        aside = directory / "plan.json.new"
        aside.write_text(json.dumps(plan, indent=2))
        # Written last: a machine without it was cut short and does not count.
        aside.rename(directory / "plan.json")

    def start(self, names: Sequence[str]) -> None:
        """Start machines and plug their network cards in; those that run already stay alone."""
        side_by_side(self._start, self._in(names, State.STOPPED))
        # Whoever was killed while starting one may leave it paused, as QEMU begins.
        for name in self._in(names, State.FROZEN):
            if not (self._directory / name / "frozen").exists():
                virsh("resume", self._domain(name), check=False)

    def _start(self, name: str) -> None:
        if self._domain(name) in domains() and not self._vagrants(name):
            self._undefine(self._domain(name))
        self._pool(name)
        (self._directory / name / "frozen").unlink(missing_ok=True)
        with self._vagrant(name, "start") as vagrant:
            vagrant.up(vm_name=name, provider="libvirt")
        self._plug(name)

    def _vagrants(self, name: str) -> bool:
        """Whether Vagrant knows the machine that libvirt knows; it notes it a moment later."""
        return (self._directory / name / "vagrant/machines" / name / "libvirt/id").exists()

    def _pool(self, name: str) -> None:
        """Let libvirt look into the machine's directory; it forgets that when it restarts."""
        pool, directory = self._domain(name), self._directory / name
        if virsh("pool-info", pool, check=False).ok:
            virsh("pool-refresh", pool)
        else:
            virsh("pool-create-as", pool, "dir", "--target", str(directory))

    def _plug(self, name: str) -> None:
        card = str(self._directory / name / "nic.xml")
        virsh("attach-device", self._domain(name), card, "--live")

    def stop(self, names: Sequence[str]) -> None:
        """Shut machines down through systemd; one that does not go loses its power."""
        side_by_side(self._stop, self._in(names, State.RUNNING))

    def _stop(self, name: str) -> None:
        virsh("shutdown", self._domain(name), "--mode", "agent")
        deadline = time.monotonic() + STOP_SECONDS * self._pace(name)
        while self.states()[name] is not State.STOPPED:
            if time.monotonic() > deadline:
                self._cut(name)
                return
            time.sleep(0.2)

    def kill(self, names: Sequence[str]) -> None:
        """Take their power away: what the kernel in them had not written is lost."""
        side_by_side(self._cut, self._in(names, State.RUNNING, State.FROZEN))

    def _cut(self, name: str) -> None:
        gone = virsh("destroy", self._domain(name), check=False)
        if not gone.ok and self.states().get(name) is not State.STOPPED:
            raise EngineError(f"its power cannot be taken: {gone.output}", where=name)
        (self._directory / name / "frozen").unlink(missing_ok=True)

    def freeze(self, names: Sequence[str]) -> None:
        """Stop every process but the agent; the kernel in the machine goes on."""

        def freeze(name: str) -> None:
            self._agent(name).run(["sh", "-ec", FREEZE.format(word=1)], timeout=self._wait(name))
            (self._directory / name / "frozen").touch()

        side_by_side(freeze, names)

    def thaw(self, names: Sequence[str]) -> None:
        """Let frozen machines go on."""

        def thaw(name: str) -> None:
            self._agent(name).run(["sh", "-ec", FREEZE.format(word=0)], timeout=self._wait(name))
            (self._directory / name / "frozen").unlink(missing_ok=True)

        side_by_side(thaw, names)

    def remove(self, names: Sequence[str]) -> None:
        """Remove machines and their disks, whatever was left of them."""
        side_by_side(self._remove, names)

    def _remove(self, name: str) -> None:
        directory, known = self._directory / name, domains()
        if (directory / "plan.json").exists() and self._domain(name) in known:
            # Vagrant would look for the address of a machine that runs, where none can be found.
            virsh("destroy", self._domain(name), check=False)
            with self._vagrant(name, "remove") as vagrant:
                vagrant.destroy(vm_name=name)
        # Whatever Vagrant has forgotten, or never knew: half of a machine.
        self._undefine(self._domain(name))
        shutil.rmtree(directory, ignore_errors=True)

    @staticmethod
    def _undefine(name: str) -> None:
        known = domains()
        if name in known:
            if known[name] != "shut off":
                virsh("destroy", name, check=False)
            virsh("undefine", name, "--snapshots-metadata", check=False)
        if virsh("pool-info", name, check=False).ok:
            virsh("pool-destroy", name, check=False)

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        timeout: float = 30.0,
        check: bool = True,
    ) -> Answer:
        """Run a command through the machine's agent, once it answers."""
        state = self._known(name)
        if state is not State.RUNNING:
            raise EngineError(f"the machine is {state}", where=name)
        pace = self._pace(name)
        agent = self._agent(name)
        agent.wait(BOOT_SECONDS * pace)
        answer = agent.run(argv, timeout=timeout * pace)
        if check and not answer.ok:
            said = answer.output.strip()[-300:]
            raise EngineError(f"`{argv[0]}` exited {answer.code}: {said}", where=name)
        return answer

    def ends(self, names: Sequence[str]) -> Mapping[str, End]:
        """Return the device behind each machine's card; one whose router is gone gets another."""

        def look(name: str) -> Tap:
            tap = device(self._lab, name)
            if self._known(name) is State.STOPPED:
                raise EngineError("the machine is not running, so it has no network", where=name)
            if not Path(f"/sys/class/net/{tap}").exists():
                card = str(self._directory / name / "nic.xml")
                virsh("detach-device", self._domain(name), card, "--live", check=False)
                self._plug(name)
            # libvirt and whoever asks it here share this computer's own network.
            return Tap(device=tap, pid=str(os.getpid()))

        return dict(zip(names, side_by_side(look, names), strict=True))

    def script(self, text: str) -> None:  # noqa: ARG002 - the protocol's signature
        """Virtual machines have no helper that sees all networks: the containers' has."""
        raise EngineError("only containers can lay cables", where=self._lab)

    def snapshot(self, name: str, tag: str) -> None:
        """Keep the disk of a stopped machine."""
        if self._known(name) is not State.STOPPED:
            raise EngineError("only a machine that is stopped can be saved", where=name)
        self._disks.save(self._directory / name / "disk.qcow2", tag)

    def images(self, prefix: str) -> Sequence[str]:
        """Return the names of the saved disks that begin with *prefix*."""
        return self._disks.saved(prefix)

    def discard(self, tags: Sequence[str]) -> None:
        """Forget saved disks; what is in use stays."""
        self._disks.discard(tags)

    def sweep(self) -> None:
        """Remove every machine of this lab, those that lost their directory included."""
        made = [path.name for path in self._directory.glob("*")] if self._directory.exists() else []
        self.remove(made)
        for name in domains():
            if name.startswith(domain(self._lab, "")) and "-" not in name.removeprefix(
                domain(self._lab, "")
            ):
                self._undefine(name)
        shutil.rmtree(self._directory, ignore_errors=True)

    def limits(self) -> str:
        """Say which machines are smaller than their hardware, or emulated."""
        said = []
        for path in sorted(self._directory.glob("*/plan.json")):
            found = self._plan(path.parent.name)
            how = "" if found["driver"] == "kvm" else ", emulated"
            said.append(
                f"{path.parent.name} is virtual: {found['cpus']} cores, {found['memory']} MB{how}"
            )
        return "; ".join(said)

    def console(self, name: str, *, lines: int) -> str:
        """Return what the kernel and systemd wrote to the serial console."""
        try:
            text = (self._directory / name / "console").read_text(errors="replace")
        except OSError as error:
            raise EngineError(f"its console cannot be read: {error}", where=name) from error
        return "".join(text.splitlines(keepends=True)[-lines:])

    def jump(self, name: str) -> str:
        """Virtual machines are reached through the lab's own network."""
        raise EngineError("it is reached through the machine outside", where=name)

    def _domain(self, name: str) -> str:
        return domain(self._lab, name)

    def _agent(self, name: str) -> Agent:
        return Agent(domain=self._domain(name), where=name)

    def _known(self, name: str) -> State:
        found = self.states().get(name)
        if found is None:
            raise EngineError(
                "there is no such machine", where=name, remedy="`./invoke lab-up` makes it"
            )
        return found

    def _in(self, names: Sequence[str], *states: State) -> list[str]:
        found = self.states()
        for name in names:
            self._known(name)
        return [name for name in names if found[name] in states]

    def _plan(self, name: str) -> Mapping[str, Any]:
        try:
            plan = json.loads((self._directory / name / "plan.json").read_text())
            found: Mapping[str, Any] = plan["machines"][name]
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(
                f"what it was made of cannot be read: {error}",
                where=name,
                remedy=f"`./invoke lab-down --lab {self._lab}` clears it away",
            ) from error
        return found

    def _pace(self, name: str) -> float:
        return self._computer(self._plan(name)["driver"]).pace

    def _wait(self, name: str) -> float:
        return BOOT_SECONDS * self._pace(name)

    @staticmethod
    def _computer(driver: str) -> Computer:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        return Computer(cores=os.cpu_count() or 1, memory_mb=memory, driver=driver)

    @contextmanager
    def _vagrant(self, name: str, verb: str) -> Iterator[Any]:
        """Give python-vagrant for one machine, and tell what it complains of in one line."""
        if shutil.which("vagrant") is None:
            raise EngineError("Vagrant is not installed", remedy=REMEDY)
        directory = self._directory / name
        log = directory / "vagrant.log"

        @contextmanager
        def noted() -> Iterator[IO[str]]:
            with log.open("a", encoding="utf-8") as file:
                yield file

        environment = os.environ | {
            "GENERALPROVE_MACHINES": str(directory / "plan.json"),
            "VAGRANT_DOTFILE_PATH": str(directory / "vagrant"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_NO_COLOR": "1",
        }
        log.write_text("")
        try:
            yield _of_python(environment, noted)
        except subprocess.CalledProcessError as error:
            said = complaint(log.read_text(errors="replace")) or f"exit code {error.returncode}"
            raise EngineError(f"Vagrant could not {verb} it: {said}", where=name) from error


def complaint(log: str) -> str:
    """Return the line of Vagrant's output that says what is wrong, not where in its own code."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith(("\t", " "))]
    return last_line("\n".join(lines))


def _of_python(
    environment: Mapping[str, str], noted: Callable[[], AbstractContextManager[IO[str]]]
) -> Any:  # noqa: ANN401 - it has no types
    import vagrant  # noqa: PLC0415 - it warns at once where there is no Vagrant

    make: Callable[..., Any] = vagrant.Vagrant
    return make(root=str(PROJECT), env=environment, out_cm=noted, err_cm=noted)

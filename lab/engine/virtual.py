"""One host as a virtual machine: Vagrant makes it, libvirt runs it (KVM, or emulated).

It has a directory of its own with its disk, the files that it is made with, its console and
Vagrant's notes. Its network card is plugged in once it has started; the wiring moves the device
behind it into the router, so that a cable is the same as a container's, and a cut too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.engine import accelerator
from lab.engine.archive import archive
from lab.engine.base import Answer, EngineError, MachineSpec, State, known_as, unknown
from lab.engine.disks import DISK, Disks
from lab.engine.vagrant_command import vagrant
from lab.engine.virsh import Agent, domains, virsh
from lab.engine.vm_plan import KVM, device, files, nic, vagrant_plan
from lab.engine.wiring import Tap

# What libvirt calls the states of a machine; every other one stands still.
STATES = {"running": State.RUNNING, "idle": State.RUNNING, "paused": State.FROZEN}
PLAN = "plan.json"
BOOT_SECONDS = 60.0
STOP_SECONDS = 30.0
NOTICED_SECONDS = 10.0
# Where libvirt notes the processes of machines (virPidFileBuildPath in its qemu driver).
RUN = Path("/run/libvirt/qemu")
# Everything but the kernel and the agent, whose unit has a slice of its own in the box.
FREEZE = """
for group in /sys/fs/cgroup/*.slice /sys/fs/cgroup/*.scope; do
    [ "$group" = /sys/fs/cgroup/lab.slice ] || echo {word} >"$group/cgroup.freeze"
done
"""


class VirtualMachine:
    """One machine of a lab.

    Args:
        lab: name of the lab.
        name: name of the machine.
        directory: its own.
    """

    def __init__(self, *, lab: str, name: str, directory: Path) -> None:
        self._lab = lab
        self._name = name
        self._directory = directory
        self._domain = known_as(lab, name)
        self._plan = directory / PLAN
        self._card = directory / "nic.xml"
        self._frozen = directory / "frozen"

    def state(self, known: Mapping[str, str] | None = None) -> State:
        """Return its state; absent as well when its making was cut short.

        Args:
            known: what libvirt knows, for whoever asks of several; asked for when None.
        """
        if not self._plan.exists():
            return State.ABSENT
        known = domains() if known is None else known
        found = STATES.get(known.get(self._domain, ""), State.STOPPED)
        return State.FROZEN if found is State.RUNNING and self._frozen.exists() else found

    def make(self, spec: MachineSpec, disks: Disks) -> None:
        """Lay out its disks; Vagrant makes the machine of them when it first starts."""
        self.remove()
        seed = archive(files(spec))
        ground = disks.ground(spec.image)
        self._directory.mkdir(mode=0o711, parents=True)
        disks.over(ground, self._directory / DISK)
        # A disk is read in whole sectors.
        (self._directory / "seed.tar").write_bytes(seed + bytes(-len(seed) % 512))
        self._card.write_text(nic(self._lab, self._name))
        driver = accelerator.driver(ground, directory=disks.directory)
        plan = vagrant_plan(
            lab=self._lab,
            spec=spec,
            ground=ground,
            directory=self._directory,
            # Other files each time: a machine made anew unpacks them anew.
            seed=hashlib.sha256(seed + os.urandom(8)).hexdigest()[:16],
            computer=accelerator.computer(driver),
        )
        aside = self._plan.with_suffix(".new")
        aside.write_text(json.dumps(plan, indent=2))
        # Written last: a machine without it was cut short and does not count.
        aside.rename(self._plan)

    def start(self) -> None:
        """Start it and plug its network card in."""
        # Whoever was killed between libvirt's note of a machine and Vagrant's left half of one.
        if self._domain in domains() and not self._vagrants():
            self._undefine()
        self._show()
        self._frozen.unlink(missing_ok=True)
        with vagrant(machine=self._name, plan=self._plan, verb="start") as it:
            it.up(vm_name=self._name, provider="libvirt")
        self._plug()

    def resume(self) -> None:
        """Let it go on if it is paused, as QEMU begins: whoever started it was killed."""
        if not self._frozen.exists():
            virsh("resume", self._domain, check=False)

    def _vagrants(self) -> bool:
        """Whether Vagrant knows the machine that libvirt knows."""
        notes = self._directory / "vagrant" / "machines" / self._name / "libvirt"
        return (notes / "id").exists()

    def _show(self) -> None:
        """Let libvirt look into the machine's directory; it forgets that when it restarts."""
        if virsh("pool-info", self._domain, check=False).ok:
            virsh("pool-refresh", self._domain)
        else:
            virsh("pool-create-as", self._domain, "dir", "--target", str(self._directory))

    def _plug(self) -> None:
        virsh("attach-device", self._domain, str(self._card), "--live")

    def stop(self) -> None:
        """Shut it down through systemd; if it does not go, it loses its power."""
        self._agent.wait(self._in_its_time(BOOT_SECONDS))
        virsh("shutdown", self._domain, "--mode", "agent")
        deadline = time.monotonic() + self._in_its_time(STOP_SECONDS)
        while self.state() is not State.STOPPED:
            if time.monotonic() > deadline:
                self.cut()
                return
            time.sleep(0.2)

    def cut(self) -> None:
        """Take its power away: what the kernel in it had not written is lost.

        So is what the disk was not told to keep, as far as QEMU still has that itself: it notes
        where new parts of a qcow2 image are when the disk is told to flush. Asked to end, by
        ``virsh destroy``, it notes that first; so it is killed, where this user may.
        """
        self._kill()
        gone = virsh("destroy", self._domain, check=False)
        if not gone.ok and self.state() is not State.STOPPED:
            raise EngineError(f"its power cannot be taken: {gone.output}", where=self._name)
        self._frozen.unlink(missing_ok=True)

    def _kill(self) -> None:
        """Kill its process; wait until libvirt has seen that."""
        try:
            pid = int((RUN / f"{self._domain}.pid").read_text())
            if f"guest={self._domain},".encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
                return  # a note that outlived its process
            os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            return  # it does not run, or is another user's
        deadline = time.monotonic() + NOTICED_SECONDS
        while self.state() is not State.STOPPED and time.monotonic() < deadline:
            time.sleep(0.05)

    def freeze(self) -> None:
        """Stop every process in it but the agent; its kernel goes on."""
        self._demand()
        # Noted first: a machine that may be frozen has to be thawed.
        self._frozen.touch()
        self._freeze(1)

    def thaw(self) -> None:
        """Let it go on."""
        self._demand()
        self._freeze(0)
        self._frozen.unlink(missing_ok=True)

    def _freeze(self, word: int) -> None:
        argv = ["sh", "-ec", FREEZE.format(word=word)]
        self._agent.run(argv, timeout=self._in_its_time(BOOT_SECONDS)).demand(
            argv, where=self._name
        )

    def remove(self) -> None:
        """Remove it and its disks, whatever was left of it."""
        if self.state() is not State.ABSENT and self._domain in domains():
            # Vagrant would look for the address of a machine that runs, where none can be found.
            virsh("destroy", self._domain, check=False)
            # What it cannot remove, half of a machine for instance, libvirt removes below.
            with (
                suppress(EngineError),
                vagrant(machine=self._name, plan=self._plan, verb="remove") as it,
            ):
                it.destroy(vm_name=self._name)
        self._undefine()
        if self._directory.exists():
            shutil.rmtree(self._directory)

    def _undefine(self) -> None:
        known = domains()
        if self._domain in known:
            if known[self._domain] != "shut off":
                virsh("destroy", self._domain, check=False)
            virsh("undefine", self._domain, "--snapshots-metadata", check=False)
        if virsh("pool-info", self._domain, check=False).ok:
            virsh("pool-destroy", self._domain, check=False)

    def run(self, argv: Sequence[str], *, timeout: float) -> Answer:
        """Run a command through its agent, once that answers; *timeout* in its own seconds."""
        state = self.state()
        if state is State.ABSENT:
            raise unknown(self._name)
        if state is not State.RUNNING:
            raise EngineError(f"the machine is {state}", where=self._name)
        self._agent.wait(self._in_its_time(BOOT_SECONDS))
        return self._agent.run(argv, timeout=self._in_its_time(timeout))

    def end(self) -> Tap:
        """Return the device behind its card; if its router is gone, it gets another."""
        self._demand()
        tap = device(self._lab, self._name)
        if self.state() is State.STOPPED:
            raise EngineError("the machine is not running, so it has no network", where=self._name)
        if not Path(f"/sys/class/net/{tap}").exists():
            virsh("detach-device", self._domain, str(self._card), "--live", check=False)
            self._plug()
        # libvirt and whoever asks it here share this computer's own network.
        return Tap(device=tap, pid=str(os.getpid()))

    def save(self, tag: str, disks: Disks) -> None:
        """Keep its disk as *tag*; it has to stand still."""
        self._demand()
        if self.state() is not State.STOPPED:
            raise EngineError("only a machine that is stopped can be saved", where=self._name)
        disks.save(self._directory / DISK, tag)

    def console(self, *, lines: int) -> str:
        """Return what the kernel and systemd in it wrote to the serial console."""
        try:
            text = (self._directory / "console").read_text(errors="replace")
        except OSError as error:
            raise EngineError(f"its console cannot be read: {error}", where=self._name) from error
        return "".join(text.splitlines(keepends=True)[-lines:])

    def limits(self) -> str:
        """Say what it has of its hardware."""
        made = self._made_of()
        how = "" if made["driver"] == KVM else ", emulated"
        return f"{self._name} is virtual: {made['cpus']} cores, {made['memory']} MB{how}"

    @property
    def _agent(self) -> Agent:
        return Agent(domain=self._domain, where=self._name)

    def _demand(self) -> None:
        if not self._plan.exists():
            raise unknown(self._name)

    def _in_its_time(self, seconds: float) -> float:
        return seconds * accelerator.computer(self._made_of()["driver"]).pace

    def _made_of(self) -> Mapping[str, Any]:
        try:
            plan = json.loads(self._plan.read_text())
            found: Mapping[str, Any] = plan["machines"][self._name]
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(
                f"what it was made of cannot be read: {error}",
                where=self._name,
                remedy=f"`./invoke lab-down --lab {self._lab}` clears it away",
            ) from error
        return found

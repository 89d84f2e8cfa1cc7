"""A lab: three servers and a small internet that come up, go down and come back.

It is what scenarios hold in their hand, and all that the command line calls. Every method may
be interrupted and called again: it looks at what is there and does what is missing.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lab import preflight
from lab.access import HOST_KEY, VANTAGE, Access
from lab.addresses import block_networks
from lab.console import Reporter
from lab.engine import choice, wiring
from lab.engine.base import Engine, EngineError, MachineSpec, State
from lab.engine.client import connect
from lab.engine.images import REPOSITORY
from lab.errors import CouldNotError
from lab.fleet import Fleet, Site
from lab.machines import WORLD, Blueprint, bare, blueprint, recipes
from lab.operator.ssh import Ssh
from lab.parallel import side_by_side
from lab.store import Store, StoreError, root
from lab.world import latency
from lab.world.machines import ROUTER, world
from lab.world.names import NUMBERS
from lab.world.secrets import WorldSecrets

BOOT_SECONDS = 60.0
# A boot is over when nothing is being started any more. What takes longest is not waited for:
# whoever needs Puppet Server waits for it (lab.operator.puppet). An agent whose turn comes while
# its server is starting fails, and is none of this boot's business. Nor is how long a mail
# server lets nobody in after it (puppet/site/profile/manifests/mail/pair.pp), nor what a look at
# everybody takes (puppet/site/profile/manifests/monitoring/task.pp).
BOOTED = r"""
slow='puppet(server|db|-run)|mail-pair|postfix|fleet-[a-z]+'
until [ -S /run/systemd/private ]; do sleep 0.05; done
while state=$(systemctl is-system-running)
    case $state in
        running | degraded) false ;;
        starting) ! jobs=$(systemctl list-jobs --no-legend) || printf '%s\n' "$jobs" |
            grep -qvE " ($slow)\.service | [a-z-]+\.target " ;;
        *) ;; # offline, initializing, or no answer yet
    esac
do sleep 0.2; done
systemctl list-units --failed --plain --no-legend | grep -v '^puppet-run[.]service' || true
"""
BUILD_SECONDS = 900.0


class LabError(CouldNotError):
    """The lab could not be brought into the state asked for."""


class Lab:
    """One lab by name.

    Args:
        name: several labs stand side by side under different names.
        fleet: the fleet that it reproduces.
        report: where progress goes.
    """

    def __init__(self, *, name: str = "default", fleet: Fleet, report: Reporter) -> None:
        self.name = name
        self.fleet = fleet
        self.report = report
        self.store = Store(lab=name)
        self.access = Access(store=self.store)
        self._client = connect(timeout=BUILD_SECONDS)
        self._chosen = self._remembered()
        self.engine = self._engine(self._chosen)

    def _remembered(self) -> dict[str, str]:
        try:
            found: dict[str, str] = self.store.read().get("engine", {})
        except StoreError:
            # Whoever needs the notes is told of them; lab-down clears all of it away.
            return choice.found(self.name)
        return found

    def _engine(self, chosen: Mapping[str, str]) -> Engine:
        return choice.engine(
            lab=self.name,
            chosen=chosen,
            tools=WORLD.tag,
            client=self._client,
            report=self.report,
        )

    def choose(self, text: str) -> None:
        """Choose what makes the lab's machines; kept until the lab is taken down.

        Args:
            text: ``docker``, ``vagrant``, or a list such as ``oslo=vagrant``.

        Raises:
            EngineError: there is no such engine or host.
            LabError: machines are there already, and made by another engine.
        """
        chosen = choice.parse(text, hosts=list(self.fleet.hosts))
        if chosen != self._chosen:
            if self.engine.states():
                raise LabError(
                    "its machines were made by another engine",
                    where=f"lab {self.name}",
                    remedy=f"`./invoke lab-down --lab {self.name}` first, or another --lab",
                )
            self._chosen = chosen
            self.engine = self._engine(chosen)
        self.store.update(engine=chosen)

    @property
    def site(self) -> Site:
        """The lab's site, with the addresses of its block."""
        return self.fleet.site("lab", block=self.store.block())

    @property
    def ssh(self) -> Ssh:
        """The operator's way in."""
        return self.access.ssh()

    def blueprint(self) -> Blueprint:
        """Return what this lab consists of."""
        secrets = WorldSecrets.at(self.store.secrets, self.fleet)
        return blueprint(
            fleet=self.fleet,
            site=self.site,
            world=world(
                self.fleet,
                self.site,
                secrets=secrets,
                netem=bool(self.store.read().get("netem")),
            ),
            authority=secrets.authority,
            public_key=self.access.public_key(),
        )

    def up(self, *, images: Mapping[str, str] | None = None) -> None:
        """Make what is missing, start what stands still, lay the cables, wait until all serve.

        Args:
            images: machine -> saved image to make it from instead of its own.

        Raises:
            LabError: a machine did not come up; the message has its last words.
        """
        self._preflight()
        self.engine.ensure(recipes(self.fleet))
        self._probe_netem()
        plan = self.blueprint()
        states = self.engine.states()
        missing = [
            replace(spec, image=images[spec.name], files={})
            if images and spec.name in images
            else spec
            for spec in self._specs(plan)
            if spec.name not in states
        ]
        resting = [name for name in plan.names if states.get(name) is not State.RUNNING]
        frozen = [name for name in resting if states.get(name) is State.FROZEN]
        with self.report.task(f"Start {len(resting)} of {len(plan.names)} machines"):
            self.engine.create(missing)
            self.engine.thaw(frozen)
            started = [name for name in resting if name not in frozen]
            self.engine.start(started)
            self._unplug(started)
            self.wire(plan)
            self._wait_for_boot(plan, plan.names)
            self._admit(plan)
        self.store.update(up=True, engine=self._chosen)

    @staticmethod
    def _specs(plan: Blueprint) -> list[MachineSpec]:
        """Return the machines of *plan*, each with its cable."""
        cables = {cable.machine: cable for cable in plan.cables}
        gateway = plan.router.v4
        return [replace(spec, cable=cables.get(spec.name), gateway=gateway) for spec in plan.specs]

    def _preflight(self) -> None:
        """Refuse a machine that is not fit, before anything is made."""
        room = self.engine.room()
        here = [state for state in self.engine.states().values() if state is State.RUNNING]
        preflight.check(
            preflight.look(places=room.places),
            # What else runs on this engine counts as well: the limits are the machine's.
            machines=room.running - len(here) + len(self.fleet.hosts) + len(NUMBERS),
            net=block_networks(self.site.block)[0],
        )

    def _probe_netem(self) -> None:
        """Find out once whether the kernel delays packets, or the router has to."""
        if "netem" in self.store.read():
            return
        try:
            self.engine.script(shlex.join(latency.NETEM_PROBE))
        except EngineError:
            self.store.update(netem=False)
        else:
            self.store.update(netem=True)

    def wire(self, plan: Blueprint | None = None) -> None:
        """Lay every cable that is not there; a cable is gone when either of its ends was."""
        plan = plan or self.blueprint()
        running = {name for name, state in self.engine.states().items() if state is State.RUNNING}
        if ROUTER not in running:
            raise LabError("the router does not run", where=f"lab {self.name}")
        there = self.engine.run(ROUTER, ["sh", "-c", wiring.LOOK]).output.split()
        cables = [
            cable
            for cable in plan.cables
            if cable.machine in running and cable.router_end not in there
        ]
        if not cables:
            return
        ends = self.engine.ends([ROUTER, *(cable.machine for cable in cables)])
        script = wiring.lay(
            cables,
            router=ROUTER,
            router_v4=plan.router.v4,
            router_v6=plan.router.v6,
            ends=ends,
        )
        if self.store.read().get("netem"):
            distances = latency.distances(self.fleet, self.site)
            script += wiring.shape(
                {cable.machine: latency.netem(distances, cable.machine) for cable in cables},
                router_pid=wiring.router_pid(ends[ROUTER]),
            )
        self.engine.script(script)

    def _unplug(self, names: Sequence[str]) -> None:
        """Take away cables that lead where machines were before they were started just now.

        A machine's network may outlive it, and its cable would be taken for the new one's.
        """
        ends = [latency.router_end(name) for name in names if name != ROUTER]
        script = 'for end; do ! [ -e "/sys/class/net/$end" ] || ip link delete "$end"; done'
        self.engine.run(ROUTER, ["sh", "-c", script, "unplug", *ends])

    def _wait_for_boot(self, plan: Blueprint, names: Sequence[str]) -> None:
        """Wait until systemd has started everything, and fail at once on a failed unit."""

        def wait(name: str) -> None:
            booted = self.engine.run(name, ["sh", "-c", BOOTED], timeout=BOOT_SECONDS, check=False)
            if booted.output or not booted.ok:
                raise LabError(
                    f"did not boot cleanly: {booted.output.strip() or 'it is still starting'}",
                    where=name,
                    remedy=f"`./invoke lab-logs {name} --lab {self.name}`",
                )
            if machine := plan.world.get(name):
                self.engine.run(name, machine.ready, timeout=BOOT_SECONDS)

        side_by_side(wait, names)

    def _admit(self, plan: Blueprint) -> None:
        """Let the operator in: configuration, and the host keys as the engine reads them."""
        inside = [name for name in (VANTAGE, *plan.hosts) if name in self.engine.states()]
        keys: dict[str, str] = {}

        def read(name: str) -> None:
            keys[name] = self.engine.run(name, ["cat", HOST_KEY]).output

        side_by_side(read, inside)
        self.access.write_config(
            jump=self.engine.jump(VANTAGE),
            machines={name: str(self.site.address(name).v4) for name in plan.hosts},
        )
        self.access.write_known_hosts(keys)

    def down(self) -> None:
        """Remove everything that belongs to this lab; milestones and images stay.

        What lives in a machine's network (cables, rules) goes with the machine.
        """
        if self.store.sockets.exists() and self.access.config.exists():
            self.ssh.close()
        self.engine.sweep()
        self.store.clear()

    def discard_images(self) -> None:
        """Forget the images and milestones of every lab; what is in use stays."""
        every = self._engine(dict.fromkeys(self.fleet.hosts, choice.VIRTUAL))
        every.discard(every.images(f"{REPOSITORY}/"))
        shutil.rmtree(root() / "milestones", ignore_errors=True)

    def power_on(self, names: Sequence[str]) -> None:
        """Start machines that stand still and connect them again."""
        plan = self.blueprint()
        self.engine.start(names)
        self._unplug(names)
        self.wire(plan)
        self._wait_for_boot(plan, names)
        for name in names:
            self.ssh.forget(name)

    def reinstall(self, name: str) -> None:
        """Make a host's machine anew: bare, on another disk, with other SSH keys.

        What an interrupted attempt has left is made anew as well.
        """
        plan = self.blueprint()
        self.ssh.forget(name)
        self.engine.remove([name])
        spec = next(spec for spec in self._specs(plan) if spec.name == name)
        self.engine.create([bare(spec)])
        self.power_on([name])
        self._admit(plan)

    def logs(self, name: str, *, lines: int = 200) -> str:
        """Return a machine's journal, or its console where the journal cannot be had."""
        said = self.engine.run(
            name, ["journalctl", "--no-pager", "-n", str(lines)], timeout=20, check=False
        )
        return said.output if said.ok else self.engine.console(name, lines=lines)

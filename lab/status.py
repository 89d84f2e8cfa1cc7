"""What ``lab-status`` shows: the lab at a glance, or as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.engine.base import State
from lab.errors import CouldNotError
from lab.faults import Faults
from lab.fleet import Host
from lab.lab import Lab
from lab.milestones import Milestones
from lab.operator import stage

EVERYWHERE = re.compile(r"systemd-|cron$|dbus$|ssh$|getty|user@")
COLOURS = {"running": "green", "frozen": "cyan", "stopped": "red", "absent": "dim"}


@dataclass(frozen=True, kw_only=True)
class MachineStatus:
    """One machine, as it is now."""

    name: str
    part: str
    state: str
    v4: str
    v6: str
    system: str
    failed: tuple[str, ...]
    services: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Status:
    """A whole lab, as it is now.

    Attributes:
        lab: its name.
        block: its address block; -1 when it has none.
        machines: hosts first, then the world.
        stage: steps that the fleet has made, as written down on the control host.
        milestone: the milestone it was last at; empty when none.
        milestones: saved ones that fit what is here now.
        faults: those in force.
        limits: limits of the hardware that the engine cannot impose.
    """

    lab: str
    block: int
    machines: tuple[MachineStatus, ...]
    stage: tuple[str, ...]
    milestone: str
    milestones: tuple[str, ...]
    faults: tuple[str, ...]
    limits: str

    def as_json(self) -> Mapping[str, object]:
        """Return plain data."""
        return asdict(self)


def status(lab: Lab) -> Status:
    """Look at *lab* without changing it; a lab that is down has no machines."""
    states = lab.engine.states()
    if not states:
        return Status(
            lab=lab.name,
            block=-1,
            machines=(),
            stage=(),
            milestone="",
            milestones=(),
            faults=(),
            limits=lab.engine.limits(),
        )
    plan = lab.blueprint()
    addresses = {cable.machine: cable for cable in (*plan.cables, plan.router)}
    order = [*plan.hosts, *plan.world]
    saved = Milestones(lab=lab)
    made = _stage(lab)

    def look(name: str) -> MachineStatus:
        host = lab.fleet.hosts.get(name)
        return _machine(
            lab,
            name,
            states.get(name, State.ABSENT),
            part=_part(host, wiped="wipe" in made),
            v4=str(addresses[name].v4),
            v6=str(addresses[name].v6),
        )

    with ThreadPoolExecutor(max_workers=len(order)) as pool:
        machines = list(pool.map(look, order))
    return Status(
        lab=lab.name,
        block=lab.store.block(),
        machines=tuple(machines),
        stage=made,
        milestone=str(lab.store.read().get("milestone", "")),
        milestones=tuple(one for one in saved.fitting()),
        faults=tuple(Faults(lab=lab).in_force()),
        limits=lab.engine.limits(),
    )


def _part(host: Host | None, *, wiped: bool) -> str:
    """Return what a machine is there for; the old server is a host like others once it is wiped."""
    if host is None:
        return "world"
    return "legacy" if host.legacy and not wiped else host.role


LOOK = """
systemctl is-system-running || true
systemctl list-units --plain --no-legend --state=failed
echo --
systemctl list-units --plain --no-legend --type=service --state=running
"""


def _stage(lab: Lab) -> tuple[str, ...]:
    """Return the steps made; none when the control host cannot be asked.

    By the engine: the handshake of a first SSH connection takes longer than all the rest.
    """
    control = lab.fleet.control.name
    try:
        said = lab.engine.run(control, ["cat", stage.PATH], check=False)
        where = f"{control}:{stage.PATH}"
        return tuple(
            stage.reached(stage.parse(said.output, where=where), where=where) if said.ok else ()
        )
    except CouldNotError:
        return ()


def _machine(lab: Lab, name: str, state: State, *, part: str, v4: str, v6: str) -> MachineStatus:
    system = ""
    failed: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    if state is State.RUNNING:
        said = lab.engine.run(name, ["sh", "-c", LOOK], check=False).output
        system, failed, services = parse(said)
    return MachineStatus(
        name=name,
        part=part,
        state=str(state),
        v4=v4,
        v6=v6,
        system=system,
        failed=failed,
        services=services,
    )


def parse(said: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the system's state, its failed units and its services, from what LOOK printed.

    Services that every Debian runs are left out.
    """
    before, _, after = said.partition("--\n")
    system, *failed = before.splitlines() or [""]
    running = (line.split()[0].removesuffix(".service") for line in after.splitlines() if line)
    return (
        system.strip(),
        tuple(line.split()[0] for line in failed if line.strip()),
        tuple(name for name in running if not EVERYWHERE.match(name)),
    )


def render(found: Status) -> RenderableType:
    """Return *found* as something to print on a terminal."""
    if not found.machines:
        return Text(f"The lab {found.lab} is down. `./invoke lab-up` brings it up.")
    table = Table(title=f"Lab {found.lab}", title_justify="left", box=None, pad_edge=False)
    for heading in ("machine", "part", "state", "IPv4", "IPv6"):
        table.add_column(heading, no_wrap=True)
    table.add_column("services")
    for one in found.machines:
        table.add_row(
            Text(one.name, style="bold" if one.part != "world" else ""),
            one.part,
            Text(one.state, style=COLOURS.get(one.state, "")),
            one.v4,
            one.v6,
            Text.assemble(
                *((f"{unit} failed ", "red") for unit in one.failed),
                " ".join(one.services),
            ),
        )
    return Group(table, Text(), *_lines(found))


def _lines(found: Status) -> Sequence[Text]:
    lines = [
        Text.assemble(("stage      ", "dim"), ", ".join(found.stage) or "bare"),
        Text.assemble(("milestone  ", "dim"), found.milestone or "none yet"),
        Text.assemble(("saved      ", "dim"), ", ".join(found.milestones) or "none"),
        Text.assemble(
            ("faults     ", "dim"),
            (", ".join(found.faults) or "none", "red" if found.faults else ""),
        ),
    ]
    if found.limits:
        lines.append(Text.assemble(("limits     ", "dim"), found.limits))
    return lines

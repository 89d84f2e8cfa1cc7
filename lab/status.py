"""What ``lab-status`` shows: the lab at a glance, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.engine.base import State
from lab.faults import Faults
from lab.lab import Lab
from lab.milestones import Milestones

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


@dataclass(frozen=True, kw_only=True)
class Status:
    """A whole lab, as it is now.

    Attributes:
        lab: its name.
        block: its address block; -1 when it has none.
        machines: hosts first, then the world.
        milestone: the milestone it was last at; empty when none.
        milestones: saved ones that fit what is here now.
        faults: those in force.
        limits: limits of the hardware that the engine cannot impose.
    """

    lab: str
    block: int
    machines: tuple[MachineStatus, ...]
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
            milestone="",
            milestones=(),
            faults=(),
            limits=lab.engine.limits(),
        )
    plan = lab.blueprint()
    addresses = {cable.machine: cable for cable in (*plan.cables, plan.router)}
    order = [*plan.hosts, *plan.world]
    saved = Milestones(lab=lab)
    return Status(
        lab=lab.name,
        block=lab.store.block(),
        machines=tuple(
            _machine(
                lab,
                name,
                states.get(name, State.ABSENT),
                part=lab.fleet.hosts[name].role if name in plan.hosts else "world",
                v4=str(addresses[name].v4),
                v6=str(addresses[name].v6),
            )
            for name in order
        ),
        milestone=str(lab.store.read().get("milestone", "")),
        milestones=tuple(one for one in saved.fitting()),
        faults=tuple(Faults(lab=lab).in_force()),
        limits=lab.engine.limits(),
    )


def _machine(lab: Lab, name: str, state: State, *, part: str, v4: str, v6: str) -> MachineStatus:
    system = ""
    failed: tuple[str, ...] = ()
    if state is State.RUNNING:
        system = lab.engine.run(
            name, ["systemctl", "is-system-running"], check=False
        ).output.strip()
        if system != "running":
            failed = _failed_units(lab, name)
    return MachineStatus(
        name=name, part=part, state=str(state), v4=v4, v6=v6, system=system, failed=failed
    )


def _failed_units(lab: Lab, name: str) -> tuple[str, ...]:
    said = lab.engine.run(
        name, ["systemctl", "list-units", "--failed", "--plain", "--no-legend"], check=False
    ).output
    return tuple(line.split()[0] for line in said.splitlines() if line.strip())


def render(found: Status) -> RenderableType:
    """Return *found* as something to print on a terminal."""
    if not found.machines:
        return Text(f"The lab {found.lab} is down. `./invoke lab-up` brings it up.")
    table = Table(title=f"Lab {found.lab}", title_justify="left", box=None, pad_edge=False)
    for heading in ("machine", "part", "state", "system", "IPv4", "IPv6"):
        table.add_column(heading, no_wrap=True)
    for one in found.machines:
        system = one.system or "-"
        if one.failed:
            system = f"{system}: {', '.join(one.failed)}"
        table.add_row(
            Text(one.name, style="bold" if one.part != "world" else ""),
            one.part,
            Text(one.state, style=COLOURS.get(one.state, "")),
            Text(system, style="green" if one.system == "running" else "red"),
            one.v4,
            one.v6,
        )
    return Group(table, Text(), *_lines(found))


def _lines(found: Status) -> Sequence[Text]:
    lines = [
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

"""How fast the lab is, in a lab of its own, beside what a bare loop of the Docker SDK needs.

Every figure is one measured run on this machine, in seconds unless its unit says otherwise,
with the goal it is held against. Nothing here asserts: a benchmark tells, a scenario judges.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from lab import bench_mail, bench_pair, bench_promotion, bench_virtual
from lab.console import TerminalReporter
from lab.engine.client import connect
from lab.engine.docker import CAPABILITIES, LAB_LABEL, TUN
from lab.engine.images import BASE
from lab.errors import CouldNotError, Exit, GeneralproveError
from lab.fleet import Fleet
from lab.footprint import footprint
from lab.lab import BOOTED, Lab
from lab.milestones import Milestones
from lab.operate import in_lab
from lab.rehearsal import chain, reach, rehearse
from lab.steps import STEPS
from lab.steps.mail import Mail
from lab.steps.mail_ha import MailHa

NAME = "bench"
_MOVE = frozenset({"web", "mail", "wipe"})
SDK_HOSTS = 3


class BenchError(CouldNotError):
    """There is nothing to measure by that name."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measurement.

    Attributes:
        what: what was measured.
        value: the result.
        goal: what it should be at most; None where there is no goal.
        unit: of both.
        least: whether the goal is what it should be at least.
    """

    what: str
    value: float
    goal: float | None = None
    unit: str = "s"
    least: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the goal was reached; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.least else self.value <= self.goal

    def as_json(self) -> Mapping[str, object]:
        """Return plain data."""
        return {**asdict(self), "reached": self.reached}


class Stopwatch:
    """Collects figures.

    Args:
        lab: the lab that is measured.
    """

    def __init__(self, *, lab: Lab) -> None:
        self.lab = lab
        self.figures: list[Figure] = []

    @contextmanager
    def timed(self, what: str, *, goal: float | None = None) -> Iterator[None]:
        """Measure the block."""
        start = time.monotonic()
        yield
        self.figures.append(Figure(what=what, value=time.monotonic() - start, goal=goal))

    def add(self, figure: Figure) -> None:
        """Add a figure measured otherwise."""
        self.figures.append(figure)

    def tell(
        self,
        what: str,
        value: float,
        *,
        goal: float | None = None,
        unit: str,
        least: bool = False,
    ) -> None:
        """Add a figure, as those who measure tell it (:class:`lab.bench_mail.Told`)."""
        self.add(Figure(what=what, value=value, goal=goal, unit=unit, least=least))


def measure(*, cold: bool, steps: bool, out: Console, only: Sequence[str] = ()) -> Sequence[Figure]:
    """Measure everything; about half an hour of work, twenty minutes without the steps.

    Args:
        cold: throw the lab's images away first, to measure the first start on a new machine.
        steps: make every step anew, under load; otherwise milestones serve where they fit.
        out: where progress goes.
        only: parts, of :data:`PARTS`; when empty, all that need no virtual machine. A part that
            needs a milestone makes the steps before it, unless the milestone is there.

    Raises:
        BenchError: there is no such part.
    """
    if unknown := sorted(set(only) - set(PARTS)):
        raise BenchError(f"no part {', '.join(unknown)}", remedy=f"There are {', '.join(PARTS)}")
    lab = Lab(name=NAME, fleet=Fleet.load(), report=TerminalReporter(out=out))
    watch = Stopwatch(lab=lab)
    usual = only or [part for part in PARTS if part not in _ASKED_FOR]
    wanted = [part for part in PARTS if part in usual and (steps or part != "steps")]
    with lab.store.locked("bench"):
        try:
            for part in wanted:
                if part == "start":
                    _lifecycle(watch, cold=cold)
                else:
                    _PARTS[part](watch)
        except GeneralproveError:
            out.print(render(watch.figures))  # what is known by now took minutes
            raise
        finally:
            with watch.timed("lab-down", goal=2):
                lab.down()
    return watch.figures


def _lifecycle(watch: Stopwatch, *, cold: bool) -> None:
    lab = watch.lab
    lab.down()
    if cold:
        lab.discard_images()
        with watch.timed("lab-up cold, no image", goal=180):
            lab.up()
        lab.down()
    lab.up()
    lab.down()
    with watch.timed("lab-up warm, bare", goal=6):
        lab.up()
    with _sdk_hosts() as seconds:
        watch.add(Figure(what=f"  bare Docker SDK, {SDK_HOSTS} hosts to running", value=seconds()))


def _steps(watch: Stopwatch) -> None:
    """Make every step under load; making it anew is the point, so old milestones go first."""
    milestones = Milestones(lab=watch.lab)
    milestones.discard([one for one in map(milestones.find, chain(STEPS[-1].name)) if one])
    goals = {"control": 240.0}
    made = rehearse(watch.lab)
    for done in made:
        watch.add(Figure(what=f"step {done.step}", value=done.seconds, goal=goals.get(done.step)))
        figures = done.verdict.figures
        watch.add(
            Figure(
                what=f"  failed of {figures.total:,} look-ups meanwhile",
                value=figures.failed,
                goal=0,
                unit="",
            )
        )

    moving = sum(done.seconds for done in made if done.step in _MOVE)
    watch.add(Figure(what="steps web, mail and wipe together", value=moving, goal=360))
    most = max(done.memory for done in made) / 1e6
    watch.add(Figure(what="memory of the users, at most", value=most, goal=150, unit="MB"))


def _mail(watch: Stopwatch) -> None:
    reach(watch.lab, chain(Mail.name)[-2])
    bench_mail.measure(watch.lab, told=watch.tell)


def _pair(watch: Stopwatch) -> None:
    reach(watch.lab, MailHa.name)
    bench_pair.measure(watch.lab, told=watch.tell)


def _promotion(watch: Stopwatch) -> None:
    reach(watch.lab, STEPS[-1].name)
    bench_promotion.measure(in_lab(watch.lab), timed=watch.timed)


def _virtual(watch: Stopwatch) -> None:
    bench_virtual.measure(report=watch.lab.report, told=watch.tell)


def _restores(watch: Stopwatch) -> None:
    for name in chain(STEPS[-1].name):
        with watch.timed(f"restore milestone {name}", goal=6):
            reach(watch.lab, name)


def _puppet(watch: Stopwatch) -> None:
    lab = watch.lab
    reach(lab, STEPS[-1].name)
    control = lab.fleet.control.name
    puppet = in_lab(lab).puppet
    with watch.timed("Puppet Server restart to answering"):
        lab.ssh.run(control, ["systemctl", "restart", "puppetserver.service"], timeout=300)
    said = lab.ssh.run(
        control, ["systemctl", "show", "-P", "CPUUsageNSec", "puppetserver.service"]
    ).stdout
    watch.add(Figure(what="Puppet Server start", value=int(said) / 1e9, goal=25, unit="CPU s"))
    host = lab.fleet.production.name
    puppet.agent(host)
    with watch.timed("agent run that changes nothing", goal=8):
        puppet.agent(host)
    watch.add(
        Figure(
            what="memory of Tromsø (PSS)",
            value=footprint(lab, control).total,
            goal=1229,
            unit="MB",
        )
    )


_PARTS: Final[Mapping[str, Callable[[Stopwatch], None]]] = {
    "steps": _steps,
    "mail": _mail,
    "pair": _pair,
    "puppet": _puppet,
    "promotion": _promotion,
    "restores": _restores,
    "virtual": _virtual,
}

PARTS: Final = ("start", *_PARTS)
"""What is measured, in this order: starts of the lab, steps under load, mail beside the plain
tools, two mail servers that are one, Puppet, a promotion, restores of milestones; and virtual
machines, only when they are asked for."""

_ASKED_FOR: Final = frozenset({"virtual"})


@contextmanager
def _sdk_hosts() -> Iterator[Callable[[], float]]:
    """Start bare hosts as one would by hand with the SDK, and say how long that took."""
    client = connect()
    start = time.monotonic()
    made = [
        client.containers.run(
            BASE.tag,
            detach=True,
            network_mode="none",
            cap_add=CAPABILITIES,
            devices=[TUN],
            security_opt=["apparmor=unconfined", "label=disable"],
            labels={LAB_LABEL: NAME},
        )
        for _ in range(SDK_HOSTS)
    ]
    for one in made:
        one.exec_run(["sh", "-c", BOOTED])
    taken = time.monotonic() - start
    try:
        yield lambda: taken
    finally:
        for one in made:
            one.remove(force=True)


def render(figures: Sequence[Figure]) -> Table:
    """Return the figures as a table."""
    table = Table(box=None, pad_edge=False)
    table.add_column("what")
    for heading in ("measured", "goal"):
        table.add_column(heading, justify="right")
    table.add_column("")
    verdicts = {True: "[green]reached[/]", False: "[red]missed[/]", None: ""}
    for one in figures:
        digits = 1 if one.unit else 0
        goal = "" if one.goal is None else f"{'≥' if one.least else '≤'} {one.goal:.4g} {one.unit}"
        value = f"{one.value:.{digits}f} {one.unit}"
        table.add_row(one.what, value, goal, verdicts[one.reached])
    return table

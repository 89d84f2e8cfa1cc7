"""Commands for the lab itself: up, down, what it is, and what it is made of."""

from __future__ import annotations

import os

from invoke.context import Context

from lab import fidelity as portraits
from lab import rehearsal
from lab.cli import command, print_json, the_lab, the_operator
from lab.commands.options import LAB, STEP_NAMES, UNTIL
from lab.console import TerminalReporter, console
from lab.engine import box
from lab.milestones import Milestones
from lab.status import render, status


@command(
    help={
        **LAB,
        **UNTIL,
        "engine": "what makes the hosts: docker, vagrant, or a list such as oslo=vagrant",
    }
)
def lab_up(_: Context, lab: str = "default", until: str = "", engine: str = "") -> None:
    """Bring a lab up: three servers and a small internet round them.

    Safe to run again: it looks at what is there and does what is missing. A lab keeps its engine
    until it is taken down: hosts are containers unless they are said to be virtual machines.

    Examples:
      ./invoke lab-up
      ./invoke lab-up --until control
      ./invoke lab-up --lab second
      ./invoke lab-up --engine oslo=vagrant
      ./invoke lab-up --engine vagrant
    """
    it = the_lab(lab)
    with it.store.locked("lab-up"):
        if engine:
            it.choose(engine)
        if until:
            rehearsal.reach(it, until)
        else:
            it.up()
    console().print(render(status(it)))


@command(help={**LAB, "images": "remove the images and milestones of every lab, too"})
def lab_down(_: Context, lab: str = "default", images: bool = False) -> None:
    """Remove a lab: every machine, cable, rule and note of it.

    Milestones stay, so that it can come back where it was.

    Examples:
      ./invoke lab-down
      ./invoke lab-down --lab second
    """
    it = the_lab(lab)
    with it.store.locked("lab-down"), it.report.task(f"Take the lab {lab} down"):
        it.down()
        if images:
            it.discard_images()


@command(help={**LAB, "json": "print data for a program"})
def lab_status(_: Context, lab: str = "default", json: bool = False) -> None:
    """Show hosts, addresses, stage, services, milestones and faults in force.

    Examples:
      ./invoke lab-status
      ./invoke lab-status --json
    """
    found = status(the_lab(lab))
    if json:
        print_json(found.as_json())
    else:
        console().print(render(found))


@command(positional=["host"], help={**LAB, "host": "oslo, bergen, tromso or outside"})
def lab_ssh(_: Context, host: str, lab: str = "default") -> None:
    """Open a shell on a host, as the operator would.

    Examples:
      ./invoke lab-ssh oslo
    """
    argv = the_lab(lab).ssh.argv(host, tty=True)
    os.execvp(argv[0], argv)  # noqa: S606 - ssh takes over this terminal


@command(positional=["host"], help={**LAB, "host": "any machine of the lab", "lines": "how many"})
def lab_logs(_: Context, host: str, lab: str = "default", lines: int = 200) -> None:
    """Print the end of a machine's journal.

    Examples:
      ./invoke lab-logs tromso
      ./invoke lab-logs router --lines 50
    """
    console().print(the_lab(lab).logs(host, lines=lines), markup=False)


@command(positional=["milestone"], help={**LAB, "milestone": f"bare, {STEP_NAMES}"})
def lab_restore(_: Context, milestone: str, lab: str = "default") -> None:
    """Bring the lab back to a milestone.

    Examples:
      ./invoke lab-restore control
    """
    it = the_lab(lab)
    with it.store.locked("lab-restore"):
        Milestones(lab=it).restore(milestone)


@command()
def box_build(_: Context) -> None:
    """Make the Debian box for virtual machines, from packages; for `vagrant up` by hand as well.

    It is made of the bare hosts' container image, with a kernel of its own, and made again only
    when something that it is made of has changed.

    Examples:
      ./invoke box-build
      ./invoke box-build && vagrant up oslo
    """
    found = box.build(report=TerminalReporter())
    console().print(f"{box.NAME}: {found.path} ({found.how})", highlight=False)


@command(
    positional=["host"],
    help={
        **LAB,
        "host": "oslo, bergen or tromso",
        "other": "what it is compared with: another lab, or production",
        "other_host": "the host there, if it is called otherwise",
        "all": "show every line",
        "json": "print data for a program",
    },
)
def fidelity(
    _: Context,
    host: str,
    other: str,
    *,
    lab: str = "default",
    other_host: str = "",
    all: bool = False,  # noqa: A002 - --all
    json: bool = False,
) -> None:
    """Show what is different on two hosts: kernel, sysctls, modules, units, packages, sockets.

    Nothing on them is changed. A container has its computer's kernel; a virtual machine has one of
    its own, as a server has.

    Examples:
      ./invoke fidelity oslo --lab virtual --other default
      ./invoke fidelity oslo --other production
      ./invoke fidelity oslo --lab mixed --other mixed --other-host tromso
    """
    theirs = other_host or host
    one = portraits.look(the_lab(lab).ssh, host)
    with the_operator(
        on="production" if other == "production" else "lab",
        lab=other,
        command="fidelity",
        dry_run=True,
        locked=False,
    ) as operator:
        found = portraits.differences(one, portraits.look(operator.ssh, theirs))
    if json:
        print_json(portraits.as_json(found))
    else:
        one_is, other_is = f"{host} of {lab}", f"{theirs} of {other}"
        console().print(portraits.render(found, one=one_is, other=other_is, all_of=all))

"""The commands: ``./invoke --list`` names them, ``./invoke --help COMMAND`` explains one.

Thin on purpose: each parses, calls one function of the package and prints what it returns.
"""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from pathlib import Path

from invoke.context import Context

from lab import bench as benchmark
from lab import checks, rehearsal
from lab import fidelity as portraits
from lab import rebuild as rebuilding
from lab.cli import command, print_json, the_lab, the_operator
from lab.console import SilentReporter, TerminalReporter, console, save_picture
from lab.drain import Drain
from lab.engine import box
from lab.fleet import Fleet
from lab.mail_takeover import Takeover
from lab.milestones import PROJECT, Milestones
from lab.operator.puppet import TREE
from lab.operator.site_data import FIRST_STEP
from lab.pair import gameday, measured, page
from lab.pair.gameday import Day
from lab.pair.matrix import matrix
from lab.promote import command as promoting
from lab.promote import proven
from lab.promote.plan import as_json, look_for_drift, refuse_drift
from lab.promote.plan_text import render_drift
from lab.promote.promotion import Promotion
from lab.promote.rollout import Pace
from lab.puppet_modules import PuppetModules, fetch_by_apt
from lab.rehearsal import RehearsalCheckError
from lab.site_release import SiteRelease
from lab.status import render, status
from lab.steps import STEPS, dns_promotion, step_class
from lab.store import root

LAB = {"lab": "name of the lab; several stand side by side"}
NAMES = ", ".join(step.name for step in STEPS)
UNTIL = {"until": f"the last step to make: bare, {NAMES}"}


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


@command(positional=["milestone"], help={**LAB, "milestone": f"bare, {NAMES}"})
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


@command(help={**LAB, **UNTIL, "picture": "save what is printed as an SVG picture in this file"})
def rehearse(_: Context, lab: str = "default", until: str = "", picture: str = "") -> None:
    """Walk the steps while users keep asking; print the outage that each one caused.

    Examples:
      ./invoke rehearse
      ./invoke rehearse --until dns
    """
    out = console(record=bool(picture))
    it = the_lab(lab, out=out)
    with it.store.locked("rehearse"):
        done = rehearsal.rehearse(it, until=until)
    out.print(rehearsal.table(done))
    if picture:
        save_picture(out, picture, title="./invoke rehearse")
    if not all(one.passed for one in done):
        raise RehearsalCheckError("users noticed a step", remedy="Its record shows what they saw")


@command(
    positional=["name"],
    help={
        **LAB,
        "name": NAMES,
        "on": "lab or production",
        "apply": "do it: without this, production is only checked",
        "rollback": "undo the step instead",
    },
)
def step(
    _: Context,
    name: str,
    on: str = "lab",
    lab: str = "default",
    apply: bool = False,
    rollback: bool = False,
) -> None:
    """Make one step of the migration: check, apply, verify. Run it again to resume.

    Examples:
      ./invoke step dns
      ./invoke step dns --rollback
      ./invoke step control --on production
      ./invoke step control --on production --apply
    """
    with the_operator(on=on, lab=lab, command=f"step {name}", dry_run=not apply) as operator:
        made = step_class(name)(operator=operator)
        if on == "production" and not rollback:
            promoting.guard_step(operator, name=name, repository=PROJECT, out=console())
        if rollback and not operator.dry_run:
            made.rollback()
        else:
            rehearsal.perform(made, dry_run=operator.dry_run)


@command(
    positional=["host"],
    help={
        **LAB,
        "host": "who becomes the primary, such as bergen",
        "on": "lab or production",
        "apply": "do it: without this, production is only looked at",
    },
)
def dns_primary(
    _: Context, host: str, on: str = "lab", lab: str = "default", apply: bool = False
) -> None:
    """Make another server the primary of the zones; the others copy from it.

    For when the primary is gone and zones have to be changed, and for the way back. Both servers
    answer whether the other is there or not, so nothing is urgent.

    Examples:
      ./invoke dns-primary bergen
      ./invoke dns-primary bergen --on production
      ./invoke dns-primary oslo --on production --apply
    """
    with the_operator(on=on, lab=lab, command=f"dns-primary {host}", dry_run=not apply) as operator:
        dns_promotion.perform(operator, host=host)


@command(
    positional=["host"],
    help={
        **LAB,
        "host": "oslo or bergen",
        "on": "lab or production",
        "apply": "do it: without this, production is only looked at",
    },
)
def rebuild(
    _: Context, host: str, on: str = "lab", lab: str = "default", apply: bool = False
) -> None:
    """Make a host of the pair anew, from an empty disk to all that it was.

    Refused while the other one could not give everything back. Run it again to go on.

    Examples:
      ./invoke rebuild bergen
      ./invoke rebuild oslo --on production
      ./invoke rebuild oslo --on production --apply
    """
    with the_operator(on=on, lab=lab, command=f"rebuild {host}", dry_run=not apply) as operator:
        if operator.dry_run:
            rebuilding.check(operator, host)
            console().print("Nothing was touched; --apply does it")
        else:
            rebuilding.rebuild(operator, host)


@command(
    help={
        **LAB,
        "minutes": "how long it takes, about; a round is never cut short",
        "seed": "what the faults are drawn by; another one each time when negative",
        "shrink_minutes": "how long the shortest list of faults that still fails is looked for",
        "dry_run": "only print what would happen",
    }
)
def game_day(
    _: Context,
    minutes: float = 30.0,
    seed: int = -1,
    shrink_minutes: float = 30.0,
    lab: str = "gameday",
    dry_run: bool = False,
) -> None:
    """Let faults drawn at random happen to the pair, while users judge.

    Drawn is what the design promises to survive. The first round that costs more than it may ends
    the day: its seed is printed, and the shortest list of faults that was seen to fail.
    Ctrl-C heals every fault.

    Ends with 0 when every round passed, with 1 when one did not.

    Examples:
      ./invoke game-day --minutes 10
      ./invoke game-day --minutes 30 --seed 7
      ./invoke game-day --seed 7 --dry-run
    """
    out = console()
    chosen = seed if seed >= 0 else secrets.randbelow(2**31)
    day = Day.drawn(seed=chosen, minutes=minutes)
    out.print(f"Seed {day.seed}: {len(day.rounds)} rounds")
    if dry_run:
        for number, each in enumerate(day.rounds, start=1):
            out.print(f"{number}. {each}")
        return
    it = the_lab(lab, out=out)
    with it.store.locked("game-day"):
        gameday.run(it, day, shrink_minutes=shrink_minutes)


@command()
def availability(_: Context) -> None:
    """Write docs/availability.md from what trials of the pair have measured on this machine.

    Examples:
      pytest scenarios/test_failover_matrix.py && ./invoke availability
    """
    found = measured.kept(root() / "records")
    text = page.page(matrix(), found)
    (PROJECT / page.PATH).write_text(text, encoding="utf-8")
    console().print(f"{page.PATH} says what {len(found)} trials have measured")


DRAINING = {
    **LAB,
    "host": "oslo or bergen",
    "on": "lab or production",
    "apply": "do it: without this, production is only checked",
}


@command(positional=["host"], help=DRAINING)
def drain(
    _: Context, host: str, on: str = "lab", lab: str = "default", apply: bool = False
) -> None:
    """Let nobody new come to a host, for planned work; it returns when nobody does any more.

    Another host has to serve meanwhile. The host stays drained, over restarts as well, until
    `./invoke undrain`. On production it only asks whether it may be drained, unless with --apply.

    Examples:
      ./invoke drain bergen
      ./invoke drain oslo --on production
      ./invoke drain oslo --on production --apply
    """
    with the_operator(on=on, lab=lab, command=f"drain {host}", dry_run=not apply) as operator:
        draining = Drain(operator=operator, host=operator.fleet.host(host))
        if operator.dry_run:
            draining.check()
        else:
            draining.drain()


@command(positional=["host"], help=DRAINING)
def undrain(
    _: Context, host: str, on: str = "lab", lab: str = "default", apply: bool = False
) -> None:
    """Let people come to a host again; it returns when names lead there.

    Examples:
      ./invoke undrain bergen
      ./invoke undrain oslo --on production --apply
    """
    with the_operator(on=on, lab=lab, command=f"undrain {host}", dry_run=not apply) as operator:
        draining = Drain(operator=operator, host=operator.fleet.host(host))
        if operator.dry_run:
            draining.tell()
        else:
            draining.undrain()


@command(
    positional=["site", "directory"],
    help={
        **LAB,
        "site": "name of the site in puppet/data/web.yaml",
        "directory": "its new content, without what its programs write",
        "on": "lab or production",
        "apply": "do it: without this, production is only looked at",
    },
)
def site_release(
    _: Context,
    site: str,
    directory: str,
    on: str = "lab",
    lab: str = "default",
    apply: bool = False,
) -> None:
    """Bring a new version of a site to every host that serves it, before any of them shows it.

    To go back, bring the version before: what is there already is not copied again.

    Examples:
      ./invoke site-release nordlys ~/nordlys/public
      ./invoke site-release nordlys ~/nordlys/public --on production
      ./invoke site-release nordlys ~/nordlys/public --on production --apply
    """
    command_line = f"site-release {site}"
    with the_operator(on=on, lab=lab, command=command_line, dry_run=not apply) as operator:
        release = SiteRelease.of(operator, site=site, directory=Path(directory).expanduser())
        if operator.dry_run:
            release.check()
        else:
            release.publish()


@command(
    positional=["host"],
    help={
        "host": "which is dead for good",
        "on": "`lab`, or `production` for the real servers",
        "lab": "name of the lab (default: default)",
        "apply": "on production: send it",
    },
)
def mail_takeover(
    _: Context, host: str, on: str = "lab", lab: str = "default", apply: bool = False
) -> None:
    """Let the other mail server send what a dead one had accepted for people elsewhere.

    What was for the fleet's own mailboxes is delivered by itself. Not for a host that is only cut
    off: it sends its own, and nothing of that can be taken back. On production it only says what
    would be sent, unless with --apply.

    Examples:
      ./invoke mail-takeover oslo
      ./invoke mail-takeover oslo --on production
      ./invoke mail-takeover oslo --on production --apply
    """
    name = f"mail-takeover {host}"
    with the_operator(on=on, lab=lab, command=name, dry_run=not apply) as operator:
        takeover = Takeover(operator=operator, host=operator.fleet.host(host))
        if operator.dry_run:
            takeover.check()
        else:
            takeover.apply()


@command(help={"json": "print data for a program"})
def evidence(_: Context, json: bool = False) -> None:
    """Show what the scenarios have proven of this very tree, and what is missing.

    Examples:
      ./invoke evidence
      ./invoke evidence --json
    """
    found = proven.look(PROJECT, steps=[step.name for step in STEPS])
    if json:
        print_json(found.as_json())
    else:
        console().print(proven.render(found))


@command(
    help={**LAB, "on": "production or lab", "json": "print data for a program"},
)
def drift(_: Context, on: str = "production", lab: str = "default", json: bool = False) -> None:
    """Look where hosts are not as the release in force says; nothing is touched.

    Ends with 1 when there is any.

    Examples:
      ./invoke drift
      ./invoke drift --on lab --lab second --json
    """
    with the_operator(on=on, lab=lab, command="drift", dry_run=True) as operator:
        report = SilentReporter() if json else operator.report
        found = look_for_drift(operator=operator, report=report)
    if json:
        print_json(as_json(found))
    else:
        console().print(render_drift(found))
    refuse_drift(found)


@command(
    optional=["rollback"],
    iterable=["accept"],
    help={
        "on": "production, or a lab that plays it",
        "lab": "name of that lab",
        "apply": "do it: without this, nothing is changed",
        "bootstrap": "make a bare control host the one that the others are promoted from",
        "resume": "go on with a promotion that was interrupted",
        "rollback": "undo the promotion under way, or bring this release back",
        "accept": "a resource that may differ on a host though this release does not say why",
        "why": "what for, as others find it in the journal",
        "soak": "seconds for which users are watched after each host",
        "confirm_within": "seconds after which a host goes back by itself",
        "max_age": "days for which a scenario's pass counts",
        "page": "write the plan as an HTML page as well",
        "json": "print the plan as data",
    },
)
def promote(
    _: Context,
    *,
    accept: list[str],
    on: str = "production",
    lab: str = "default",
    apply: bool = False,
    bootstrap: bool = False,
    resume: bool = False,
    rollback: str | None = None,
    why: str = "",
    soak: float = 60.0,
    confirm_within: float = 900.0,
    max_age: float = 14.0,
    page: str = "",
    json: bool = False,
) -> None:
    """Bring exactly what passed its scenarios to the real servers.

    Without --apply it only says what would change.

    Exit codes: 0 promoted, or nothing to do; 4 refused, nothing was touched; 5 rolled back;
    6 rolled back, but not everywhere.

    Examples:
      ./invoke promote
      ./invoke promote --page plan.html
      ./invoke promote --apply --why "longer logs"
      ./invoke promote --apply --accept 'File[/etc/motd]'
      ./invoke promote --bootstrap --apply
      ./invoke promote --resume
      ./invoke promote --rollback
      ./invoke promote --on lab --lab standin
    """
    out = console(stderr=json)
    with the_operator(
        on=on, lab=lab, command="promote", dry_run=not apply, locked=False
    ) as operator:
        promotion = Promotion(
            operator=operator,
            repository=PROJECT,
            pace=Pace(soak=soak, confirm_within=confirm_within),
            why=why,
            accepted=accept,
            max_age=timedelta(days=max_age),
        )
        if bootstrap:
            promoting.guard_step(operator, name=FIRST_STEP, repository=PROJECT, out=out)
            rehearsal.perform(step_class(FIRST_STEP)(operator=operator), dry_run=not apply)
        elif resume:
            promotion.resume()
        elif rollback is not None:
            promotion.rollback("" if rollback in ("", "True") else rollback)
        else:
            printing = promoting.Printing(out=out, json=json, page=page)
            promoting.promote(promotion, apply=apply, printing=printing)


@command()
def fleet_check(_: Context) -> None:
    """Validate fleet.yaml: every mistake is one line with file, line, key and reason."""
    fleet = Fleet.load()
    console().print(f"fleet.yaml is valid: {', '.join(fleet.hosts)}")


@command()
def puppet_check(_: Context) -> None:
    """Check the Puppet code: syntax, lint, templates, specs, every host's catalog."""
    checks.puppet()


@command(
    iterable=["pin"],
    help={"pin": "pin this Debian package's version now, and all others anew; may be repeated"},
)
def puppet_modules(_: Context, pin: list[str]) -> None:
    """Fetch the pinned Puppet modules and verify their checksums.

    Examples:
      ./invoke puppet-modules
      ./invoke puppet-modules --pin puppet-module-puppetlabs-stdlib
    """
    report = TerminalReporter()
    modules = PuppetModules(repository=TREE, fetch=fetch_by_apt(report=report), report=report)
    if pin:
        modules.pin(pin)
    modules.ensure()


@command(name="test", help={"fast": "leave the scenarios out", "all": "the slow ones, too"})
def run_tests(_: Context, fast: bool = False, all: bool = False) -> None:  # noqa: A002 - --all
    """Run everything that must be green: lint, types, unit tests, Puppet checks, scenarios.

    Examples:
      ./invoke test
      ./invoke test --fast
      ./invoke test --all
    """
    checks.fast()
    if not fast:
        checks.scenarios(slow=all)


@command(
    iterable=["only"],
    help={
        "json": "print data for a program",
        "cold": "measure the cold start as well: throws every lab's images away",
        "steps": "make the steps under load as well",
        "only": f"measure this part only; may be repeated: {', '.join(benchmark.PARTS)}",
        "picture": "save what is printed as an SVG picture in this file",
    },
)
def bench(
    _: Context,
    *,
    only: list[str],
    json: bool = False,
    cold: bool = False,
    steps: bool = True,
    picture: str = "",
) -> None:
    """Measure how fast the lab is, beside a bare loop of the Docker SDK and plain mail tools.

    Parts are start (of a lab), steps (each under load), mail (a first copy of all mailboxes), pair
    (how soon mail is on the other server, at what cost, with how many users), puppet, promotion
    and restores (of milestones). The lab is its own, and taken down in the end.

    Examples:
      ./invoke bench
      ./invoke bench --cold
      ./invoke bench --no-steps
      ./invoke bench --only mail
      ./invoke bench --only pair
      ./invoke bench --json >bench.json
    """
    out = console(stderr=json, record=bool(picture))
    figures = benchmark.measure(cold=cold, steps=steps, only=only, out=out)
    if json:
        print_json([figure.as_json() for figure in figures])
    out.print(benchmark.render(figures))
    if picture:
        save_picture(out, picture, title="./invoke bench")

"""Commands for two servers of which either may die."""

from __future__ import annotations

import secrets
from pathlib import Path

from invoke.context import Context

from lab import rebuild as rebuilding
from lab.cli import command, the_lab, the_operator
from lab.commands.options import LAB, SITE
from lab.console import console
from lab.drain import Drain
from lab.mail_takeover import Takeover
from lab.milestones import PROJECT
from lab.pair import gameday, measured, page, power, published
from lab.pair.gameday import Day
from lab.pair.matrix import matrix
from lab.site_release import SiteRelease
from lab.steps import dns_promotion
from lab.store import root

DRAINING = {
    **SITE,
    "host": "oslo or bergen",
    "apply": "do it: without this, production is only checked",
}


@command(
    positional=["host"],
    help={
        **SITE,
        "host": "who becomes the primary, such as bergen",
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
        **SITE,
        "host": "oslo or bergen",
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
    """Write docs/availability.md from what trials of the pair have measured.

    What was measured on this machine is added to what had been published (docs/availability.jsonl):
    the latest trial of each cell counts, the last game day, and the last run of power losses.

    Examples:
      pytest scenarios/test_failover_matrix.py && ./invoke availability
    """
    cells, known = matrix(), PROJECT / published.PATH
    found = published.chosen(
        [cell.name for cell in cells],
        [*published.read(known), *measured.kept(root() / "records")],
    )
    published.write(known, found)
    losses = power.latest([PROJECT / power.PATH, *(root() / "records").glob(f"*/{power.FILE}")])
    if losses:
        losses.write(PROJECT / power.PATH)
    (PROJECT / page.PATH).write_text(page.page(cells, found, losses), encoding="utf-8")
    console().print(f"{page.PATH} says what {len(found)} trials have measured")


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
        **SITE,
        "site": "name of the site in puppet/data/web.yaml",
        "directory": "its new content, without what its programs write",
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

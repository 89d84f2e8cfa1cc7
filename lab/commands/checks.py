"""Commands that check and measure the project itself."""

from __future__ import annotations

from invoke.context import Context

from lab import bench as benchmark
from lab import checks
from lab.cli import command, print_json
from lab.console import TerminalReporter, console, save_picture
from lab.fleet import Fleet
from lab.operator.puppet import TREE
from lab.puppet_modules import PuppetModules, fetch_by_apt


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
    and restores (of milestones); only when asked for, virtual (a virtual machine beside plain
    Vagrant). The lab is its own, and taken down in the end.

    Examples:
      ./invoke bench
      ./invoke bench --cold
      ./invoke bench --no-steps
      ./invoke bench --only mail
      ./invoke bench --only pair
      ./invoke bench --only virtual
      ./invoke bench --json >bench.json
    """
    out = console(stderr=json, record=bool(picture))
    figures = benchmark.measure(cold=cold, steps=steps, only=only, out=out)
    if json:
        print_json([figure.as_json() for figure in figures])
    out.print(benchmark.render(figures))
    if picture:
        save_picture(out, picture, title="./invoke bench")

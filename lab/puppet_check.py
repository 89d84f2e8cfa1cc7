"""Checks of the Puppet code, with Debian's own tools, on no server and without a network.

A site is made up for the occasion from ``fleet.yaml``, with keys that are thrown away, so that
every host's catalog is compiled as the real control host would compile it.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from rich.markup import escape

from lab.console import Reporter
from lab.errors import CheckFailedError
from lab.fleet import Fleet
from lab.operator.secrets import Secrets
from lab.operator.site_files import DIRECTORY, site_files
from lab.puppet_modules import PuppetModules, fetch_by_apt
from lab.toolbox import Output, Toolbox

PROJECT: Final = Path(__file__).resolve().parent.parent
REPOSITORY: Final = "puppet"
MOUNTED: Final = "/repo"
STATE: Final = str(PurePosixPath(DIRECTORY).parent)
KEYS: Final = "/etc/puppet/eyaml"
NOBODY: Final = f"ssh-ed25519 {'A' * 68} nobody"

_PLACE: Final = re.compile(r" ?\(file: (?P<file>[^,)]+)(?:, line: (?P<line>\d+))?[^)]*\)")
_POINTLESS: Final = ("Errors while validating epp", "Try 'puppet help")
_NOISE: Final = re.compile(r"^(Error|Warning): (Could not parse for environment \S+: )?")


class PuppetCheckError(CheckFailedError):
    """The Puppet code is not as it should be."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that is checked.

    Attributes:
        title: what is right when it passes.
        argv: the command, run in the control repository.
        read: its output -> what is wrong, one line each, asked when the command fails.
    """

    title: str
    argv: Sequence[str]
    read: Callable[[Output], list[str]]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        title: of the check.
        seconds: how long it took.
        wrong: what is wrong, one line each; nothing when it passed.
    """

    title: str
    seconds: float
    wrong: Sequence[str]


def run(*, report: Reporter) -> None:
    """Run all checks and report them, one line each, with what is wrong below it.

    Args:
        report: where lines go.

    Raises:
        PuppetCheckError: a check found something.
        FleetError: the description of the fleet cannot be read.
        PuppetModulesError: the pinned modules cannot be fetched.
        EngineError: there is no engine to run the tools in.
    """
    repository = PROJECT / REPOSITORY
    fetch = fetch_by_apt(report=report)
    PuppetModules(repository=repository, fetch=fetch, report=report).ensure()
    with (
        made_up_site(Fleet.load(), examples=repository / "spec/state") as site,
        Toolbox.opened(
            report=report,
            mounts={
                repository: f"{MOUNTED}/{REPOSITORY}",
                PROJECT / ".yamllint.yaml": f"{MOUNTED}/.yamllint.yaml",
                **site,
            },
        ) as toolbox,
        # Two at a time: the longest first, all others beside it.
        ThreadPoolExecutor(max_workers=2) as pool,
    ):
        found = list(pool.map(lambda check: _run(toolbox, check), checks(repository)))
    for finding in reversed(found):
        report.say(f"{'✗' if finding.wrong else '✓'} {finding.title} {finding.seconds:.1f} s")
        for line in finding.wrong:
            report.say(escape(f"  {line}"))
    failed = [finding.title for finding in found if finding.wrong]
    if failed:
        raise PuppetCheckError(f"{len(failed)} of {len(found)} failed", where="Puppet code")


def checks(repository: Path) -> list[Check]:
    """Return every check, the longest first; a person reads them the other way round.

    Args:
        repository: the control repository.
    """
    templates = [
        path.relative_to(repository).as_posix() for path in repository.glob("site/**/*.epp")
    ]
    rules = sorted(
        path.relative_to(repository).as_posix() for path in repository.glob("spec/rules/*.yml")
    )
    lint = ["--fail-on-warnings", "--log-format", "%{path}:%{line}: %{message}"]
    catalogs = ["tools/compile_catalogs.rb", "--out", "/tmp/catalogs"]  # noqa: S108 - not here
    plain = ["--color", "false"]
    return [
        Check(title="specs pass", argv=["rspec", "--format", "json"], read=wrong_in_specs),
        Check(title="every host has a catalog", argv=catalogs, read=wrong_in_puppet),
        Check(
            title="alerts fire when they should",
            argv=["promtool", "test", "rules", *rules],
            read=lambda output: located(output.stderr),
        ),
        Check(
            title="templates parse",
            argv=["puppet", "epp", "validate", *plain, *sorted(templates)],
            read=wrong_in_puppet,
        ),
        Check(
            title="manifests parse",
            argv=["puppet", "parser", "validate", *plain, "manifests", "site"],
            read=wrong_in_puppet,
        ),
        Check(
            title="manifests are in style",
            argv=["puppet-lint", *lint, "manifests", "site"],
            read=lambda output: located(output.text),
        ),
        Check(
            title="data is in style",
            argv=["yamllint", "--strict", "-c", "../.yamllint.yaml", "-f", "parsable", "."],
            read=lambda output: located(output.text),
        ),
    ]


@contextmanager
def made_up_site(fleet: Fleet, *, examples: Path) -> Iterator[Mapping[Path, str]]:
    """Make what the control host of a site has, with keys of its own.

    Args:
        fleet: the description.
        examples: files of the site's state, if there are any, with every step of the migration
            behind it.

    Yields:
        directory of this machine -> where the control host has it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        state, keys = Path(scratch, "state"), Path(scratch, "keys")
        secrets = Secrets(directory=Path(scratch, "secrets"))
        files = site_files(fleet=fleet, site=fleet.site("lab"), secrets=secrets, operators=[NOBODY])
        for name, content in files.items():
            _write(state / PurePosixPath(DIRECTORY).name / name, content)
        for path in sorted(examples.glob("*.yaml")):
            shutil.copy(path, state)
        _write(keys / "private_key.pkcs7.pem", secrets.eyaml.private)
        _write(keys / "public_key.pkcs7.pem", secrets.eyaml.public)
        yield {state: STATE, keys: KEYS}


def wrong_in_puppet(output: Output) -> list[str]:
    """Return what Puppet complained of, each with its place first."""
    return [line for line in located(output.stderr) if not line.startswith(_POINTLESS)]


def wrong_in_specs(output: Output) -> list[str]:
    """Return the examples that failed (rspec's JSON), each with its place first."""
    try:
        said = json.loads(output.text[output.text.index("{") :])
    except ValueError:
        return located(output.stderr or output.text)
    failed = [example for example in said["examples"] if example["status"] == "failed"]
    return [
        f"{_named(example['file_path'])}:{example['line_number']}: {example['full_description']}: "
        + " ".join(example["exception"]["message"].split())
        for example in failed
    ] or [line for message in said.get("messages", []) for line in located(message)]


def located(text: str) -> list[str]:
    """Return complaints as ``file:line: what``, one a line.

    Puppet names a place at the end of a sentence, other tools at its beginning. A line that is
    indented belongs to the one before.
    """
    joined = re.sub(r"\n\s+", " ", text.strip())
    return [_place_first(line) for line in joined.splitlines() if line.strip()]


def _place_first(line: str) -> str:
    what = _NOISE.sub("", line)
    place = _PLACE.search(what)
    if place is None:
        return _named(what) if re.match(r"\S+:\d+:", what) else what
    at = _named(place["file"]) + (f":{place['line']}" if place["line"] else "")
    return f"{at}: {_PLACE.sub('', what)}"


def _named(path: str) -> str:
    """Return a path as it is called from the top of the project."""
    return f"{REPOSITORY}/" + path.removeprefix(f"{MOUNTED}/{REPOSITORY}/").removeprefix("./")


def _run(toolbox: Toolbox, check: Check) -> Finding:
    start = time.monotonic()
    output = toolbox.run(check.argv, directory=f"{MOUNTED}/{REPOSITORY}")
    wrong = (check.read(output) or [output.stderr or output.text]) if output.code else []
    return Finding(title=check.title, seconds=time.monotonic() - start, wrong=wrong)


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")

"""Catalogs of releases for the hosts as they are, compiled on the control host.

By the new release's own tool, for all releases alike, with Ruby and without Puppet Server: what
is asked for in a dry run does not fill the server's memory, and errors name file and line.

Facts are those of each host's last run, from PuppetDB: one question for all hosts, where asking
Facter takes each host a second of its own. They are at most one interval of the agent old, and
whatever they do not know yet is found by the run that only looks (:mod:`lab.promote.noop`).
"""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from lab.errors import CouldNotError
from lab.operator.puppet import CODE, Puppet
from lab.promote.catalog import Catalog
from lab.text import last_line

COMPILE_SECONDS: Final = 600.0

_PLACE: Final = re.compile(
    r"\s*\((?:file: (?P<file>[^,)]+))?(?:,? ?line: (?P<line>\d+))?(?:, column: \d+)?\)"
)
_DATA: Final = re.compile(
    r"Unable to parse \((?P<file>[^)]+)\): (?P<why>.*?)(?: at line (?P<line>\d+) column \d+)?$"
)
_ON_NODE: Final = re.compile(r"\s+on node \S+$")
_WRAPPED: Final = re.compile(r"^(?:Evaluation Error: )?(?:Error while evaluating a [^,]+, )?")

# Everything comes and goes in one connection. The tool needs no more than the server may.
_SCRIPT: Final = """
umask 077
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT; chown puppet "$out"; cd "$out"
cat >facts.json; chown puppet facts.json
tool=$1/$2/tools/compile_catalogs.rb; releases=$1; shift 2
runuser -u puppet -- sh -euc '
    mkdir facts
    ruby -rjson -e "JSON.parse(File.read(%q(facts.json))).each { |host, facts|
        File.write(%q(facts/) + host + %q(.json), JSON.generate(facts)) }"
    releases=$1; tool=$2; shift 2
    for release; do
        HOME=$PWD ruby "$tool" --tree "$releases/$release" --facts facts --texts \
            --out "$release" $(cd facts; ls | sed "s/[.]json$//") \
            >"$release.said" 2>&1 || true
    done
    rm -r facts facts.json
' sh "$releases" "$tool" "$@"
tar -cz . | base64 -w 0
"""


class CatalogsError(CouldNotError):
    """No catalog could be compiled."""


@dataclass(frozen=True, kw_only=True)
class CompileError:
    """Why one host has no catalog.

    Attributes:
        message: what Puppet says.
        file: in the control repository; empty where it names none.
        line: there; 0 where it names none.
    """

    message: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        """Return it on one line, the place first."""
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return place + self.message


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What became of one release.

    Attributes:
        release: its name.
        catalogs: host -> its catalog.
        errors: host -> why it has none.
    """

    release: str
    catalogs: Mapping[str, Catalog]
    errors: Mapping[str, CompileError]


def facts_of(puppet: Puppet, hosts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return what hosts last said of themselves; a host that never spoke is missing.

    Args:
        puppet: Puppet there.
        hosts: name -> certname.
    """
    names = {certname: name for name, certname in hosts.items()}
    wanted = ", ".join(json.dumps(certname) for certname in names)
    pql = f"inventory[certname, facts] {{ certname in [{wanted}] }}"
    # After a boot, PuppetDB is the last to be there.
    said = puppet.curl(
        "https://localhost:8081/pdb/query/v4",
        *("--retry", "60", "--retry-delay", "1", "--retry-connrefused"),
        *("--get", "--data-urlencode", f"query={pql}"),
        output="-",
    )
    return {names[one["certname"]]: one["facts"] for one in json.loads(said.stdout)}


def compile_releases(
    puppet: Puppet, releases: Sequence[str], facts: Mapping[str, Mapping[str, Any]]
) -> list[Compiled]:
    """Compile every host's catalogs of some releases that are on the control host.

    Args:
        puppet: Puppet there.
        releases: their names; the last one's tool is used for all.
        facts: host -> what it says of itself.

    Raises:
        CatalogsError: the tool did not work at all; the code of a host is no such reason.
    """
    done = puppet.ssh.run(
        puppet.control,
        ["sh", "-euc", _SCRIPT, "sh", f"{CODE}/releases", releases[-1], *releases],
        stdin=json.dumps(facts),
        timeout=COMPILE_SECONDS,
    )
    return read(base64.b64decode(done.stdout), releases, list(facts), where=puppet.control)


def read(
    archive: bytes, releases: Sequence[str], hosts: Sequence[str], *, where: str
) -> list[Compiled]:
    """Return what is in the tool's answer.

    Args:
        archive: of its directories, one for each release.
        releases: their names.
        hosts: that were asked for.
        where: the control host.

    Raises:
        CatalogsError: a release has neither catalogs nor errors.
    """
    files = dict(_files(archive))
    return [_compiled(files, release, hosts, where=where) for release in releases]


def _files(archive: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            if content is not None:
                yield str(PurePosixPath(entry.name)), content.read()


def _compiled(
    files: Mapping[str, bytes], release: str, hosts: Sequence[str], *, where: str
) -> Compiled:
    said = files.get(f"{release}.said", b"").decode(errors="replace")
    texts = {
        PurePosixPath(name).name: content.decode()
        for name, content in files.items()
        if name.startswith(f"{release}/texts/")
    }
    catalogs: dict[str, Catalog] = {}
    errors: dict[str, CompileError] = {}
    for host in hosts:
        if found := files.get(f"{release}/real/{host}.json"):
            catalogs[host] = Catalog.read(json.loads(found), texts=texts)
        elif failed := files.get(f"{release}/real/{host}.error.json"):
            errors[host] = compile_error(json.loads(failed)["message"])
    if len(catalogs) + len(errors) < len(hosts):
        raise CatalogsError(
            f"release {release} could not be compiled: {last_line(said) or 'it said nothing'}",
            where=where,
        )
    return Compiled(release=release, catalogs=catalogs, errors=errors)


def compile_error(message: str) -> CompileError:
    """Return what Puppet says in parts: the reason, and the place in the control repository."""
    text = _ON_NODE.sub("", " ".join(message.split()))
    if data := _DATA.search(text):
        return CompileError(
            message=data["why"], file=data["file"].strip(), line=int(data["line"] or 0)
        )
    place = _PLACE.search(text)
    reason = _WRAPPED.sub("", _PLACE.sub("", text))
    return CompileError(
        message=reason,
        file=(place["file"] or "").strip() if place else "",
        line=int(place["line"] or 0) if place else 0,
    )

#!/usr/bin/python3
"""May a release that has been pushed to this host be put in force?

It may when statements with good signatures say that every scenario of the steps made so far has
passed on exactly this content, and not too long ago. Who may sign is what the release in force
says, not the one in question. Exit code 0: it may; 1: it may not, one reason a line; 3: nobody
can tell.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

RELEASES = Path("/etc/puppet/code/releases")
EVIDENCE = Path("/var/lib/generalprove/promotion/evidence")
STAGE = Path("/var/lib/generalprove/stage.yaml")
SIGNERS = Path("/etc/generalprove/allowed_signers")
SETTINGS = Path("/etc/generalprove/promotion.json")

REVISION = "REVISION"
NAMESPACE = "generalprove"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
CLOCKS = timedelta(hours=1)


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """The release may not be put in force."""


class CannotJudge(Exception):  # noqa: N818 - as above
    """Nobody can tell."""


def digest(release: Path) -> str:
    """Return the checksum of a release, as lab/operator/release.py makes it."""
    lines = []
    for path in release.rglob("*"):
        name = path.relative_to(release).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise Refused(f"{name} is neither a file nor a directory")
        if path.is_file() and name != REVISION:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(
                (name, f"{content} {'x' if path.stat().st_mode & 0o100 else '-'} {name}\n")
            )
    return hashlib.sha256("".join(line for _, line in sorted(lines)).encode()).hexdigest()


def steps(text: str) -> list[str]:
    """Return the steps made so far, from the one list of the stage that matters."""
    lines = [line.rstrip() for line in text.splitlines()]
    if lines.count("stage::reached:") != 1:
        raise CannotJudge(f"{STAGE} has no single list stage::reached")
    found = []
    for line in lines[lines.index("stage::reached:") + 1 :]:
        if not line.lstrip().startswith("-"):
            break
        item = re.fullmatch(r" *- ([a-z][a-z_]*)", line)
        if item is None:
            raise CannotJudge(f"{STAGE} has a step that is no name: {line.strip()}")
        found.append(item[1])
    if not found:
        raise CannotJudge(f"{STAGE} names no step")
    return found


def wrong_signature(data: bytes, signature: Path) -> str:
    """Return why a signature counts for nothing; empty when somebody who may signed the data."""
    if not signature.is_file():
        return "not signed"
    options = ["-s", str(signature), "-f", str(SIGNERS)]
    who = keygen("find-principals", *options)
    if who.returncode or not who.stdout.strip():
        return "signed by nobody who may"
    signer = who.stdout.decode().splitlines()[0]
    good = keygen("verify", "-n", NAMESPACE, "-I", signer, *options, data=data)
    return "changed after it was signed" if good.returncode else ""


def keygen(what: str, *options: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen(1) on a signature."""
    command = ["/usr/bin/ssh-keygen", "-Y", what, *options]
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)


def statements(evidence: Path, puppet: str) -> list[dict[str, Any]]:
    """Return our part of every statement on this content, the newest last."""
    found = []
    for path in sorted(evidence.glob("*.json")):
        data = path.read_bytes()
        if wrong := wrong_signature(data, path.with_name(path.name + ".sig")):
            raise Refused(f"the evidence {path.name} is {wrong}")
        document = json.loads(data)
        subjects = {one["name"]: one["digest"] for one in document["subject"]}
        if document["predicateType"] == PREDICATE and subjects["puppet"] == {"sha256": puppet}:
            found.append(document["predicate"][NAMESPACE])
    if not found:
        raise Refused("there is no evidence of exactly this content")
    return sorted(found, key=lambda one: max(when(ran) for ran in one["scenarios"]))


def when(result: dict[str, Any]) -> datetime:
    """Return the start of a scenario."""
    return datetime.fromisoformat(result["started"])


def latest(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the latest result of each scenario, as far as its text is still the same."""
    now = {one["path"]: one["sha256"] for one in found[-1]["files"]}
    last: dict[str, dict[str, Any]] = {}
    for statement in found:
        texts = {one["path"]: one["sha256"] for one in statement["files"]}
        for result in statement["scenarios"]:
            path = result["scenario"].partition("::")[0]
            before = last.get(result["scenario"])
            same = path in now and texts.get(path) == now[path]
            if same and (before is None or when(before) <= when(result)):
                last[result["scenario"]] = result
    return last


def wanting(
    found: Sequence[dict[str, Any]], reached: Sequence[str], oldest: datetime, newest: datetime
) -> Iterator[str]:
    """Return what has not been shown; the newest statement says which scenarios there are."""
    tests = {one["path"]: one["tests"] for one in found[-1]["files"]}
    last = latest(found)
    failovers = [f"scenarios/test_failover_{step}.py" for step in reached]
    needed = [f"scenarios/test_step_{step}.py" for step in reached]
    for path in [*needed, *(path for path in failovers if path in tests)]:
        if not tests.get(path):
            yield f"{path}: no scenarios are known"
        for name, cases in tests.get(path, []):
            shown = [last[key] for key in last if key.partition("[")[0] == f"{path}::{name}"]
            if any(result["verdict"] != "passed" for result in shown):
                yield f"{path}::{name}: the latest result is not passed"
            elif len(shown) < cases:
                yield f"{path}::{name}: not shown on this content"
            elif not all(oldest <= when(result) <= newest for result in shown):
                yield f"{path}::{name}: shown too long ago, or dated in the future"


def judge(name: str, now: datetime) -> list[str]:
    """Return why a release may not be put in force; nothing when it may."""
    if not re.fullmatch(r"[0-9a-z]+(-[0-9a-f]+)?", name):
        raise CannotJudge(f"{name!r} is not the name of a release")
    release = RELEASES / name
    if not release.is_dir() or release.is_symlink():
        raise CannotJudge(f"there is no release {name}")
    if (release / REVISION).read_text() != f"{name}\n":
        raise Refused(f"it calls itself by another name in {REVISION}")
    days = json.loads(SETTINGS.read_text())["max_age_days"]
    reached = steps(STAGE.read_text())
    if not SIGNERS.is_file():
        raise CannotJudge(f"there is no {SIGNERS}")
    puppet = digest(release)
    try:
        found = statements(EVIDENCE / name, puppet)
        return list(wanting(found, reached, now - timedelta(days=days), now + CLOCKS))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"the evidence is malformed: {error!r}") from error


def main(arguments: Sequence[str]) -> int:
    """Judge the release that the command line names."""
    if len(arguments) != 1:
        print("usage: generalprove-accept RELEASE", file=sys.stderr)
        return 3
    try:
        reasons = judge(arguments[0], datetime.now(UTC))
    except Refused as refused:
        reasons = [str(refused)]
    except (CannotJudge, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        print(f"cannot judge: {error}", file=sys.stderr)
        return 3
    for reason in reasons:
        print(reason)
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

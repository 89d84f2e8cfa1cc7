"""A statement: what one run of the scenarios has shown, of which tree, and where.

Its form is that of in-toto (Statement v1 with a test-result), so that other programs can read
it. What has no place there is in a part of our own, beside the tests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from lab.errors import CouldNotError
from lab.promote.scenario_files import ScenarioFile
from lab.promote.tree import FLEET, Tree
from lab.promote.versions import Versions

TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"

OURS: Final = "generalprove"
"""The part of the predicate that is our own."""

_COMMIT: Final = "commit"


class StatementError(CouldNotError):
    """This is no statement."""


class Verdict(StrEnum):
    """How a scenario ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One scenario of one run.

    Attributes:
        scenario: ``FILE::NAME``, with the case in brackets where there are several.
        verdict: how it ended.
        started: when.
        seconds: how long it took, with what had to be prepared for it.
        figures: what was measured, by name.
    """

    scenario: str
    verdict: Verdict
    started: AwareDatetime
    seconds: float
    figures: Mapping[str, object] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Path of the file that it is in."""
        return self.scenario.partition("::")[0]

    @property
    def test(self) -> str:
        """Its name in the file, without the case."""
        return self.scenario.partition("::")[2].partition("[")[0]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where the scenarios ran.

    Attributes:
        fleet: the fleet's name.
        engine: what the machines were made of.
        images: image -> SHA-256 over its packages and their versions.
        versions: host -> Debian and Puppet there, as they were last seen.
    """

    fleet: str = ""
    engine: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, Versions] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Ours:
    """What in-toto has no place for."""

    dirty: tuple[str, ...]
    surroundings: Surroundings
    files: tuple[ScenarioFile, ...]
    scenarios: tuple[Result, ...]


_OURS: Final = TypeAdapter(_Ours)
_PARTS: Final = TypeAdapter(dict[str, dict[str, str]])


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What one run has shown.

    Attributes:
        tree: what ran.
        surroundings: where.
        files: what a promotion may need of this tree, whether it ran or not.
        results: every scenario that ran.
    """

    tree: Tree
    surroundings: Surroundings
    files: tuple[ScenarioFile, ...]
    results: tuple[Result, ...]

    def encode(self) -> bytes:
        """Return it as it is signed and stored."""
        named: dict[str, list[str]] = {"passed": [], "warned": [], "failed": []}
        for result in self.results:
            key = result.verdict if result.verdict in named else "warned"
            named[key].append(result.scenario)
        worst = "FAILED" if named["failed"] else "WARNED" if named["warned"] else "PASSED"
        ours = _Ours(
            dirty=self.tree.dirty,
            surroundings=self.surroundings,
            files=self.files,
            scenarios=self.results,
        )
        document = {
            "_type": TYPE,
            "subject": [
                *({"name": name, "digest": {"sha256": sha}} for name, sha in self._parts()),
                {"name": _COMMIT, "digest": {"gitCommit": self.tree.commit}},
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "result": worst,
                "configuration": self._configuration(),
                **{f"{key}Tests": names for key, names in named.items()},
                OURS: _OURS.dump_python(ours, mode="json"),
            },
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a statement.

        Raises:
            StatementError: it is none.
        """
        try:
            document = json.loads(data)
            if (document["_type"], document["predicateType"]) != (TYPE, PREDICATE_TYPE):
                raise StatementError("another kind of statement")
            parts = _PARTS.validate_python(
                {subject["name"]: subject["digest"] for subject in document["subject"]}
            )
            commit = parts.pop(_COMMIT)["gitCommit"]
            ours = _OURS.validate_python(document["predicate"][OURS])
            tree = Tree(
                commit=commit,
                dirty=ours.dirty,
                parts={name: digest["sha256"] for name, digest in parts.items()},
            )
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise StatementError(f"no statement: {type(error).__name__}") from error
        return cls(
            tree=tree, surroundings=ours.surroundings, files=ours.files, results=ours.scenarios
        )

    def _parts(self) -> list[tuple[str, str]]:
        return sorted(self.tree.parts.items())

    def _configuration(self) -> list[dict[str, Any]]:
        """Return where it ran, as resources."""
        there = self.surroundings
        found: list[dict[str, Any]] = []
        if FLEET in self.tree.parts:
            found.append({"name": FLEET, "digest": {"sha256": self.tree.parts[FLEET]}})
        for image, sha in sorted(there.images.items()):
            found.append({"name": f"packages of {image}", "digest": {"sha256": sha}})
        for host, has in sorted(there.versions.items()):
            found.append({"name": f"Debian on {host}", "uri": f"pkg:generic/debian@{has.debian}"})
            found += [
                {"name": f"{package} on {host}", "uri": f"pkg:deb/debian/{package}@{version}"}
                for package, version in (("puppet-agent", has.agent), ("puppetserver", has.server))
                if version
            ]
        if there.engine:
            name, _, version = there.engine.partition(" ")
            found.append({"name": "engine", "uri": f"pkg:generic/{name.lower()}@{version}"})
        return found

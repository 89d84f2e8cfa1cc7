"""May this tree go to the real servers? Pure: evidence and facts in, refusals out.

Each refusal is one line that names what is missing, and what gets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Final

from lab.promote.evidence import Stored
from lab.promote.results import Latest, latest, rehearsed
from lab.promote.scenario_files import ScenarioFile, needed
from lab.promote.signing import ALLOWED, UNKNOWN
from lab.promote.tree import Tree
from lab.promote.versions import Versions

MAX_AGE: Final = timedelta(days=14)
"""How old a result may be; ``profile::promotion`` has the control host's own limit."""

AHEAD: Final = timedelta(hours=1)
"""How far two clocks may differ: what is dated later than that is not believed."""

_NAMED: Final = 3


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a tree may not be promoted.

    Attributes:
        what: is missing, as one sentence without a full stop.
        remedy: what gets it.
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        """Return both on one line."""
        return f"{self.what}. {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What decides, besides the evidence.

    Attributes:
        tree: what is to be promoted.
        files: its scenarios.
        steps: those that the fleet has reached, and the one about to be made.
        now: the time.
        max_age: how old a result may be.
        signer: the line that lets one's own key sign; empty when there is no key.
    """

    tree: Tree
    files: Sequence[ScenarioFile]
    steps: Sequence[str]
    now: datetime
    max_age: timedelta = MAX_AGE
    signer: str = ""

    def refusals(
        self, stored: Sequence[Stored], *, production: Mapping[str, Versions] | None = None
    ) -> list[Refusal]:
        """Return everything that stands in the way; nothing when it may pass.

        Args:
            stored: all evidence there is.
            production: host -> what it runs; None when nobody asked.
        """
        return [
            *self._dirty(),
            *self._forged(stored),
            *self._missing(stored),
            *self._other_versions(stored, production or {}),
        ]

    def _dirty(self) -> Iterator[Refusal]:
        if self.tree.dirty:
            yield Refusal(
                what=f"not in version control as they are: {_some(self.tree.dirty)}",
                remedy="`git commit` keeps the changes, `git stash -u` puts them aside",
            )

    def _forged(self, stored: Sequence[Stored]) -> Iterator[Refusal]:
        """What claims to be of this tree, or cannot be read, and counts for nothing."""
        own = self.signer.split()[-2:]
        bad = [
            one
            for one in stored
            if not one.good and (one.statement is None or one.statement.tree.same_as(self.tree))
        ]
        mine = [one for one in bad if _is_mine(one, own)]
        if mine:
            yield Refusal(
                what=f"your key may not sign yet ({len(mine)} of your statements do not count)",
                remedy=f"Add this line to {ALLOWED} and commit it: {self.signer}",
            )
        for one in bad:
            if one not in mine:
                yield Refusal(
                    what=f"the evidence {one.path.name} is {one.wrong}",
                    remedy=f"`rm {one.path}`, and run its scenarios again",
                )

    def _missing(self, stored: Sequence[Stored]) -> Iterator[Refusal]:
        if not self.steps:
            yield Refusal(
                what="no step has been made there, so nothing says what must have passed",
                remedy="`./invoke step control --on production` makes the first",
            )
        found = latest(self.tree, stored, self.files)
        there = {file.path: file for file in self.files}
        for path in needed(self.steps, self.files):
            if path not in there:
                yield Refusal(
                    what=f"there is no {path}", remedy="A step needs a scenario of its own"
                )
                continue
            for what in self.lacking(there[path], found):
                yield Refusal(what=f"{PurePath(path).name}: {what}", remedy=f"`pytest {path}`")

    def lacking(self, file: ScenarioFile, found: Mapping[str, Latest]) -> list[str]:
        """Return what a file of scenarios has not shown, one sort a line.

        Args:
            file: the file.
            found: the latest results (:func:`lab.promote.results.latest`).
        """
        sorts: dict[str, list[str]] = {}
        for name, cases in file.tests:
            if why := self.judge([found[key] for key in cases_of(file, name, found)], cases):
                sorts.setdefault(why, []).append(name)
        return [f"{why}: {_some(names)}" for why, names in sorts.items()]

    def judge(self, results: Sequence[Latest], cases: int) -> str:
        """Return why a scenario does not count as passed; empty when it does.

        Args:
            results: the latest of each of its cases.
            cases: how many there must be.
        """
        days = self.max_age.days
        for result in results:
            if not result.passed:
                return f"the latest result is {result.result.verdict}"
        if len(results) < cases:
            return "not shown on this tree"
        if any(result.result.started < self.now - self.max_age for result in results):
            return f"shown more than {days} days ago"
        if any(result.result.started > self.now + AHEAD for result in results):
            return "dated in the future"
        return ""

    def _other_versions(
        self, stored: Sequence[Stored], production: Mapping[str, Versions]
    ) -> Iterator[Refusal]:
        shown = rehearsed(self.tree, stored)
        for host, has in production.items():
            if has not in shown.get(host, frozenset()):
                had = " or ".join(sorted(map(str, shown.get(host, ())))) or "nothing known"
                yield Refusal(
                    what=f"{host} runs {has}, rehearsed was {had}",
                    remedy="`apt-get update && apt-get upgrade` on the older side, then "
                    "`./invoke lab-down --images` and `./invoke test` for the lab's",
                )


def cases_of(file: ScenarioFile, name: str, found: Mapping[str, Latest]) -> list[str]:
    """Return the scenarios among *found* that are cases of one test."""
    return [
        key
        for key, one in found.items()
        if one.result.file == file.path and one.result.test == name
    ]


def _is_mine(one: Stored, own: Sequence[str]) -> bool:
    return one.signature.wrong == UNKNOWN and one.signature.key.split() == list(own)


def _some(names: Sequence[str]) -> str:
    """Return the first few of many."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")

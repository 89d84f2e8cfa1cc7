"""The record of one run as one HTML page that fetches nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from lab.report.timeline import clock, timeline
from lab.verdict import Outcome, worst

if TYPE_CHECKING:
    from datetime import datetime

    from lab.history import History, Operation
    from lab.verdict import Verdict

MOST_REASONS: Final = 20
"""Kinds of failure listed; the rest is one line that says how many."""

_TITLES: Final = {
    "lookup": "Look-ups",
    "visit": "Pages",
    "entry": "Entries in the guest book",
    "mail": "Messages from elsewhere",
    "submission": "Messages sent with a password",
    "login": "Log-ins",
    "imap": "Signs of life of the mailbox",
    "seen": "Messages shown",
    "change": "Changes of mailboxes",
    "relay": "Tries to relay, and to get in",
}
_WORDS: Final = {Outcome.OK: "Passed", Outcome.UNKNOWN: "Unknown", Outcome.FAIL: "Failed"}
_SIGNS: Final = {Outcome.OK: "✓", Outcome.UNKNOWN: "?", Outcome.FAIL: "✗"}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was run.

    Attributes:
        title: the scenario or step, for people.
        fleet: the fleet's name.
        started: when, with its time zone.
        commit: the tree that ran, as git names it.
        engine: what the machines were made of.
        facts: more of the kind, such as a milestone.
    """

    title: str
    fleet: str
    started: datetime
    commit: str
    engine: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One sort of failure.

    Attributes:
        text: what the user was told, or why nobody can tell.
        asked: what was asked for, the most frequent first.
        count: how often.
        first: seconds into the run.
        last: seconds into the run.
    """

    text: str
    asked: tuple[str, ...]
    count: int
    first: float
    last: float


def render(run: Run, *, history: History, verdicts: Sequence[Verdict]) -> str:
    """Return the page.

    Args:
        run: what was run.
        history: what was seen and done.
        verdicts: the judgements; without any, the page says that nothing is known.
    """
    environment = Environment(
        loader=PackageLoader("lab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clock=clock, number="{:,}".format, seconds=span)
    picture = timeline(history)
    reasons = failures(history)
    return environment.get_template("record.html.j2").render(
        run=run,
        overall=worst(verdicts),
        verdicts=verdicts,
        timeline=picture,
        reasons=reasons[:MOST_REASONS],
        unlisted=reasons[MOST_REASONS:],
        words=_WORDS,
        signs=_SIGNS,
        titles=_TITLES,
    )


def span(seconds: float) -> str:
    """Say a length of time as exactly as people want it: ``4 ms``, ``0.10 s``, ``2:05``."""
    if seconds < 0.0995:  # noqa: PLR2004 - what would not round to 0.10
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 60 else clock(seconds)  # noqa: PLR2004 - a minute


def failures(history: History) -> list[Reason]:
    """Group what did not succeed by what was said of it, the most frequent first."""
    moments = [item.start_ns for item in history.operations]
    start = min([*moments, *(mark.at_ns for mark in history.marks)], default=0)
    grouped: dict[str, list[Operation]] = {}
    for item in history.operations:
        if not item.ok:
            grouped.setdefault(item.detail or "no reason given", []).append(item)
    found = [
        Reason(
            text=text,
            asked=tuple(what for what, _ in Counter(i.what for i in items if i.what).most_common()),
            count=len(items),
            first=(items[0].start_ns - start) / 1e9,
            last=(items[-1].start_ns - start) / 1e9,
        )
        for text, items in grouped.items()
    ]
    return sorted(found, key=lambda reason: (-reason.count, reason.first))

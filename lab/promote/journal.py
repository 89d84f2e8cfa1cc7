"""The journal of promotions: who promoted what when, and how far the one under way has come.

It is a file of JSON lines on the control host, and the only memory that a promotion has: whoever
was killed in the middle reads there where things stand. A line is written before what it
announces is done, and is on the disk before that begins.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal

from lab.errors import CouldNotError
from lab.operator.ssh import Ssh

DIRECTORY: Final = "/var/lib/generalprove/promotion"
PATH: Final = f"{DIRECTORY}/journal.jsonl"

Event = Literal["begin", "switch", "arm", "confirm", "go back", "returned", "end"]
"""What is written down; ``arm``, ``confirm`` and ``returned`` are about one host."""


class JournalError(CouldNotError):
    """The journal could not be read or written."""


class At(StrEnum):
    """How far one host has come, as people read it."""

    UNTOUCHED = "untouched"
    CHANGING = "being changed"
    CONFIRMED = "confirmed"
    RETURNED = "returned"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the journal.

    Attributes:
        promotion: which promotion it belongs to.
        event: what happens.
        at: when, in UTC (ISO 8601).
        host: the host that it is about; empty when it is about all of them.
        who: who promotes (``begin``).
        why: what for (``begin``), for what reason (``go back``), with what result (``end``).
        release: the new release (``begin``), or the one switched to (``switch``).
        previous: the release in force until then (``begin``).
        hosts: in the order in which they are changed (``begin``).
    """

    promotion: str
    event: Event
    at: str = ""
    host: str = ""
    who: str = ""
    why: str = ""
    release: str = ""
    previous: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a promotion stands.

    Attributes:
        begin: its first entry.
        hosts: how far each host has come.
        in_force: the release that hosts are given.
        going_back: why it is being undone; empty while it goes forward.
        result: how it ended; empty while it has not.
    """

    begin: Entry
    hosts: Mapping[str, At] = field(default_factory=dict)
    in_force: str = ""
    going_back: str = ""
    result: str = ""

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return not self.result

    @property
    def touched(self) -> list[str]:
        """Hosts that may have something of the new release, the last one changed first."""
        return [
            name
            for name in reversed(self.begin.hosts)
            if self.hosts[name] in (At.CHANGING, At.CONFIRMED)
        ]

    @property
    def waiting(self) -> list[str]:
        """Hosts that are not confirmed, in order."""
        return [name for name in self.begin.hosts if self.hosts[name] is not At.CONFIRMED]

    def words(self) -> str:
        """Return in words what state each host is in."""
        there = {
            At.UNTOUCHED: f"is on {self.begin.previous} and was not touched",
            At.CHANGING: f"is between {self.begin.previous} and {self.begin.release}",
            At.CONFIRMED: f"is on {self.begin.release}",
            At.RETURNED: f"is back on {self.begin.previous}",
        }
        return "; ".join(f"{name} {there[self.hosts[name]]}" for name in self.begin.hosts)


def standing(entries: Iterable[Entry]) -> Standing | None:
    """Return where the latest promotion stands; None when there was none."""
    found: Standing | None = None
    for entry in entries:
        if entry.event == "begin":
            untouched = dict.fromkeys(entry.hosts, At.UNTOUCHED)
            found = Standing(begin=entry, hosts=untouched, in_force=entry.previous)
        elif found is not None and entry.promotion == found.begin.promotion:
            found = _after(found, entry)
    return found


def _after(before: Standing, entry: Entry) -> Standing:
    """Return *before* as *entry* leaves it."""
    match entry.event:
        case "switch":
            return replace(before, in_force=entry.release)
        case "go back":
            return replace(before, going_back=entry.why)
        case "end":
            return replace(before, result=entry.why)
        case "arm" | "confirm" | "returned":
            stages: dict[str, At] = {
                "arm": At.CHANGING,
                "confirm": At.CONFIRMED,
                "returned": At.RETURNED,
            }
            return replace(before, hosts={**before.hosts, entry.host: stages[entry.event]})
        case _:
            return before


class Journal:
    """The journal on one control host.

    Args:
        ssh: the way there.
        host: the control host's name.
    """

    def __init__(self, *, ssh: Ssh, host: str) -> None:
        self._ssh = ssh
        self._host = host

    def entries(self) -> Sequence[Entry]:
        """Return everything written so far, the oldest first."""
        text = self._ssh.run(self._host, f"test ! -e {PATH} || cat {PATH}").stdout
        return parse(text)

    def standing(self) -> Standing | None:
        """Return where the latest promotion stands; None when there was none."""
        return standing(self.entries())

    def write(self, entry: Entry) -> None:
        """Append one entry; it is on the disk when this returns.

        Raises:
            SshError: the control host cannot be reached, or its disk is full.
        """
        dated = replace(entry, at=entry.at or datetime.now(UTC).isoformat(timespec="seconds"))
        line = json.dumps({key: value for key, value in asdict(dated).items() if value})
        # A power cut may have left half a line, which must not spoil this one.
        script = f"""
            mkdir -p -m 0750 {DIRECTORY}; touch {PATH}
            [ -z "$(tail -c 1 {PATH})" ] || echo >>{PATH}
            printf '%s\\n' {shlex.quote(line)} >>{PATH}; sync {PATH}
        """
        self._ssh.run(self._host, script)


def parse(text: str) -> list[Entry]:
    """Return the entries of a journal; half a line, left by a power cut, announced nothing.

    Raises:
        JournalError: a whole line is no entry.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            data = json.loads(line)
        except ValueError:
            continue
        try:
            found.append(Entry(**{**data, "hosts": tuple(data.get("hosts", ()))}))
        except (TypeError, AttributeError) as error:
            raise JournalError(f"no entry: {error}", where=f"{PATH}:{number}") from error
    return found

"""Which fault raises which alert, and no other: one table for the scenarios and for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from alert_faults import filled, small_history, stopped, telling

from lab.faults import Faults
from lab.lab import Lab
from lab.store import root
from lab.world.machines import FOREIGN_MAIL, MAILER

WITHIN_SECONDS: Final = 90
"""How long after a fault its alert may reach the mailbox outside, and after healing its end."""


_SUBJECT: Final = f"""
cd {FOREIGN_MAIL}
find . -path ./tmp -prune -o -type f -newermt "@$1" -exec awk '
    FNR == 1 {{ subject = 0 }}
    /^$/ {{ nextfile }}
    /^Subject: / {{ print; subject = 1; next }}
    /^[ \\t]/ && subject {{ print; next }}
    {{ subject = 0 }}
' {{}} +
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault.

    Attributes:
        fault: what goes wrong, for people.
        inject: faults -> the fault, which heals itself.
        alerts: what is told, as subjects of messages have it: name of the alert, host, service.
        also: what may be told besides, as it is true as well, and need not be seen.
        ground: what has to be so before, and until its end was told.
        chosen: whether continuous integration plays it; the others are slow.
    """

    fault: str
    inject: Callable[[Faults, Lab], AbstractContextManager[None]]
    alerts: Sequence[str]
    also: Sequence[str] = ()
    ground: Callable[[Faults, Lab], AbstractContextManager[None]] = lambda *_: nullcontext()
    chosen: bool = False

    @property
    def name(self) -> str:
        """What the scenario is called."""
        return self.fault.replace(" ", "_")


def _unit(host: str, *units: str) -> Callable[[Faults, Lab], AbstractContextManager[None]]:
    return lambda _, lab: stopped(lab, host, *units)


TABLE: Final = (
    Row(
        fault="Oslo loses power",
        inject=lambda faults, _: faults.power_loss("oslo"),
        alerts=["HostDown oslo"],
        chosen=True,
    ),
    Row(
        fault="Bergen loses power",
        inject=lambda faults, _: faults.power_loss("bergen"),
        alerts=["HostDown bergen"],
    ),
    Row(
        fault="Bergen is cut off",
        inject=lambda faults, _: faults.silent_cut("bergen"),
        alerts=["HostDown bergen"],
    ),
    Row(
        fault="Bergen is frozen",
        inject=lambda faults, _: faults.frozen("bergen"),
        alerts=["HostDown bergen"],
    ),
    Row(
        fault="Oslo and Bergen do not reach each other",
        inject=lambda faults, _: faults.partition("oslo", "bergen"),
        alerts=["MeshDown bergen", "MeshDown oslo"],
    ),
    Row(
        fault="PowerDNS crashes on Oslo",
        inject=lambda faults, _: faults.unit_killed("oslo", "pdns.service"),
        alerts=[],
    ),
    Row(
        fault="PowerDNS is stopped on Oslo",
        inject=_unit("oslo", "pdns.service"),
        alerts=["ServiceDown oslo dns"],
    ),
    Row(
        fault="HAProxy is stopped on Oslo",
        inject=_unit("oslo", "haproxy.service"),
        alerts=["ServiceDown oslo web"],
    ),
    Row(
        fault="nginx is stopped on Oslo",
        inject=_unit("oslo", "nginx.service"),
        alerts=["ExporterDown oslo"],
    ),
    Row(
        fault="Postfix is stopped on Oslo",
        inject=_unit("oslo", "postfix.service"),
        alerts=["ServiceDown oslo smtp"],
    ),
    Row(
        fault="Dovecot is stopped on Oslo",
        inject=_unit("oslo", "dovecot.service"),
        alerts=["ServiceDown oslo imap"],
    ),
    Row(
        fault="rspamd is stopped on Oslo",
        inject=_unit("oslo", "rspamd.service"),
        alerts=["ExporterDown oslo"],
    ),
    Row(
        fault="the exporter of Bergen is stopped",
        inject=_unit("bergen", "prometheus-node-exporter.service"),
        alerts=["ExporterDown bergen"],
    ),
    Row(
        fault="the gateway of Bergen is stopped",
        inject=_unit("bergen", "prometheus-exporter-exporter.service"),
        alerts=["MeshDown bergen"],
    ),
    Row(
        fault="the exporter of Bergen tells nonsense",
        inject=lambda _, lab: telling(lab, "bergen", "<html>not a metric</html>\n"),
        alerts=["ExporterDown bergen"],
    ),
    Row(
        fault="the clock of Bergen is an hour off",
        inject=lambda _, lab: telling(lab, "bergen", "node_time_seconds {in_an_hour}\n"),
        alerts=["ClockOff bergen"],
    ),
    Row(
        fault="the history on Tromsø has hardly any room",
        ground=lambda faults, lab: small_history(faults, lab, "tromso"),
        inject=lambda _, lab: filled(lab, "tromso", left=3),
        alerts=["DiskFull tromso"],
    ),
    Row(
        fault="the history on Tromsø has no room at all",
        ground=lambda faults, lab: small_history(faults, lab, "tromso"),
        inject=lambda _, lab: filled(lab, "tromso", left=0),
        alerts=["MonitoringBroken tromso"],
        also=["DiskFull tromso"],  # when that can be written down just about
    ),
)


def subjects(text: str) -> list[str]:
    """Return what messages were about, from their subjects: ``[Name] host service``.

    Args:
        text: header lines, folded as RFC 5322 allows.
    """
    unfolded: list[str] = []
    for line in text.splitlines():
        if line.startswith((" ", "\t")) and unfolded:
            unfolded[-1] += line
        else:
            unfolded.append(line)
    told = (line.removeprefix("Subject: ").strip() for line in unfolded)
    return [line.replace("[", "").replace("]", "") for line in told if line.startswith("[")]


def told(lab: Lab, *, since: float) -> list[str]:
    """Return what the mailbox outside was told, oldest first; ends begin with ``over:``.

    Args:
        lab: the lab.
        since: Unix time.
    """
    script = f"set -- {since:.0f}\n{_SUBJECT}"
    return subjects(lab.engine.run(MAILER, ["sh", "-ec", script]).output)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What came of a row that passed.

    Attributes:
        told: seconds from the fault to the last alert in the mailbox.
        over: seconds from healing to the last end there.
        day: on which it was seen.
        commit: of which tree.
    """

    told: int
    over: int
    day: str
    commit: str

    def keep(self, row: Row) -> None:
        """Keep it on this machine, for the page."""
        path = _kept(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @staticmethod
    def forget(row: Row) -> None:
        """Forget what was seen of a row, which is about to be tried again."""
        _kept(row).unlink(missing_ok=True)

    @classmethod
    def of(cls, row: Row) -> Self | None:
        """Return what was seen of a row on this machine; None if it was not seen to pass."""
        try:
            return cls(**json.loads(_kept(row).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None


def _kept(row: Row) -> Path:
    return root() / "alerts" / f"{row.name}.json"


def as_markdown(seen: Sequence[tuple[Row, Seen | None]]) -> str:
    """Return the table for people: a line a fault, a column an alert."""
    names = sorted({each.split()[0] for row, _ in seen for each in (*row.alerts, *row.also)})
    lines = [
        "# Which fault raises which alert",
        "",
        "Made by `PYTHONPATH=. python scenarios/alert_table.py` from what",
        "`scenarios/test_alerts.py` saw: each alert reaches a mailbox outside within 90 s of its",
        "fault, its end comes within 90 s of healing, and no other is told. A cell names whom the",
        "alert is about; in parentheses what may be told besides, as it is true as well. *Told*",
        "and *over* are seconds; `?` stands where a row was not seen to pass.",
        "",
        f"| fault | {' | '.join(names)} | told | over | seen | tree |",
        f"|---|{'---|' * len(names)}---:|---:|---|---|",
    ]
    for row, found in seen:
        about = [alert.split(maxsplit=1) for alert in row.alerts]
        about += [[name, f"({whom})"] for name, whom in (each.split() for each in row.also)]
        cells = [", ".join(whom for alert, whom in about if alert == name) for name in names]
        lines.append(f"| {' | '.join([row.fault, *cells, *_figures(row, found)])} |")
    lines += [
        "",
        "When Tromsø itself dies nobody is left to tell: whoever listens outside for the alert",
        "that always fires notices within three minutes.",
        "",
    ]
    return "\n".join(lines)


def _figures(row: Row, found: Seen | None) -> tuple[str, str, str, str]:
    if found is None:
        return "?", "?", "", ""
    told_after, over_after = (f"{found.told}", f"{found.over}") if row.alerts else ("", "")
    return told_after, over_after, found.day, found.commit


if __name__ == "__main__":
    print(as_markdown([(row, Seen.of(row)) for row in TABLE]), end="")

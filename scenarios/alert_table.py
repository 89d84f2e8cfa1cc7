"""Which fault raises which alert, and no other: one table for the scenarios and for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from lab.faults import Faults
from lab.lab import Lab
from lab.world.machines import FOREIGN_MAIL, MAILER

WITHIN_SECONDS: Final = 90
"""How long after a fault its alert may reach the mailbox outside, and after healing its end."""

_SUBJECT: Final = f"""
cd {FOREIGN_MAIL}
find . -type f -newermt "@$1" -exec awk '
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
        quick: whether it is tried every time; the others are slow.
    """

    fault: str
    inject: Callable[[Faults, Lab], AbstractContextManager[None]]
    alerts: Sequence[str]
    quick: bool = False

    @property
    def name(self) -> str:
        """What the scenario is called."""
        return self.fault.replace(" ", "_")


@contextmanager
def stopped(lab: Lab, host: str, *units: str) -> Iterator[None]:
    """Stop units as a person does: systemd does not bring them back."""
    lab.engine.run(host, ["systemctl", "stop", *units])
    try:
        yield
    finally:
        lab.engine.run(host, ["systemctl", "start", *reversed(units)])


def _unit(host: str, *units: str) -> Callable[[Faults, Lab], AbstractContextManager[None]]:
    return lambda _, lab: stopped(lab, host, *units)


TABLE: Final = (
    Row(
        fault="Oslo loses power",
        inject=lambda faults, _: faults.power_loss("oslo"),
        alerts=["HostDown oslo"],
        quick=True,
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
        quick=True,
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
        alerts=["ServiceDown oslo web"],
        quick=True,
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


def as_markdown(table: Sequence[Row]) -> str:
    """Return the table for people: a line a fault, a column an alert."""
    names = sorted({alert.split()[0] for row in table for alert in row.alerts})
    lines = [
        "# Which fault raises which alert",
        "",
        "Made by `python scenarios/alert_table.py`. `scenarios/test_alerts.py` tries it as soon as",
        "step `watch` is one of the steps: each alert reaches a mailbox outside within 90 s of its",
        "fault, its end comes within 90 s of healing, and no other is told. A cell names whom the",
        "alert is about.",
        "",
        f"| fault | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for row in table:
        cells = [
            ", ".join(alert.partition(" ")[2] for alert in row.alerts if alert.split()[0] == name)
            for name in names
        ]
        lines.append(f"| {row.fault} | {' | '.join(cells)} |")
    lines += [
        "",
        "When Tromsø itself dies nobody is left to tell: whoever listens outside for the alert",
        "that always fires notices within three minutes.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown(TABLE), end="")

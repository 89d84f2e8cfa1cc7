"""Step 9: the control host watches all, and says so in time when something is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from typing_extensions import override

from lab.errors import GeneralproveError
from lab.operator.dashboard import Dashboard
from lab.operator.puppet import SSLDIR
from lab.operator.site_files import DASHBOARD_USER
from lab.parallel import side_by_side
from lab.steps.phased import PhasedStep
from lab.steps.phases import Phase
from lab.steps.watch_facts import Facts, Watching
from lab.steps.watch_phases import phases

_SETTLE_SECONDS: Final = 180.0
"""How long everything may take until it is seen to be well: a letter is written every minute."""

_POLL_SECONDS: Final = 3.0
_GREETING: Final = "WatchBegins"

# Of each: what is asked, and what is wrong with whom it names.
_WRONG: Final = (
    ("probe_success == 0", "{service} of {instance} is not reached over {family}"),
    ("fleet_letter_ok == 0", "no letter given to {given_to} is read on {instance}"),
    ("fleet_lookup_ok == 0", "{name} is not found"),
    ("fleet_lookup_verified == 0", "{name} is found, and not verified"),
    ("fleet_zone_serials_differ == 1", "servers have different versions of {zone}"),
    ("fleet_zone_answers_differ > 0", "servers say different things of {zone}"),
    ("fleet_metrics_failed == 1", "{part} of {instance} cannot be found out"),
)
# What must be told at all, or nobody knows.
_TOLD: Final = (
    "fleet_puppet_last_run_seconds",
    "fleet_wireguard_handshake_seconds",
    "fleet_lookup_ok",
    "node_memory_MemAvailable_bytes",
)


class Watch(PhasedStep[Facts]):
    """Whatever breaks is told outside before users tell it."""

    name: ClassVar[str] = "watch"
    title: ClassVar[str] = "The control host watches all"
    needs: ClassVar[tuple[str, ...]] = ("control", "dns", "web", "mail", "wipe")

    @override
    def observe(self) -> Facts:
        return self._watching.observe()

    @override
    def phases(self) -> Sequence[Phase[Facts]]:
        return phases(self._watching)

    @override
    def begun(self, facts: Facts) -> bool:
        return facts.before is not None or facts.watched

    @override
    def refusals(self, facts: Facts) -> Iterator[str]:
        op, watching = self.operator, self._watching
        yield from refusals(facts, domain=op.fleet.domain)
        with op.report.task(f"See that Puppet runs on {', '.join(watching.hosts)}"):
            side_by_side(lambda host: op.puppet.agent(host, noop=True), watching.hosts)

    @override
    def seen_wrong(self, facts: Facts) -> Iterator[str]:
        op, watching = self.operator, self._watching
        with op.report.task("Run Puppet again: nothing may change"):
            for host, run in zip(
                watching.hosts, side_by_side(op.puppet.agent, watching.hosts), strict=True
            ):
                if run.changed:
                    yield f"a second run changed {run.changed} resources on {host}"
        with op.report.task("Wait until everything is seen, and seen to be well"):
            yield from _until_nothing(self._not_well)
        with op.report.task("Look at the pictures, with the password and without"):
            yield from self._pictures()
        with op.report.task(f"Write to {op.fleet.alerts}"):
            yield from _until_nothing(self._way_out())

    @property
    def _watching(self) -> Watching:
        return Watching(self.operator)

    def _not_well(self) -> list[str]:
        """Return who tells nothing, what is wrong, and which alerts fire."""
        monitoring = self._watching.monitoring
        wrong = monitoring.silent()
        for question, text in _WRONG:
            wrong += [text.format(**each.labels) for each in monitoring.ask(question)]
        wrong += [f"nobody tells {name}" for name in _TOLD if not monitoring.ask(name)]
        if self.operator.site.watchdog and not monitoring.ask(
            'sum(alertmanager_notifications_total{integration="webhook"}) > '
            'sum(alertmanager_notifications_failed_total{integration="webhook"})'
        ):
            wrong.append(f"{self.operator.site.watchdog} is not told that all this runs")
        return wrong + monitoring.firing()

    def _pictures(self) -> Iterable[str]:
        """See that the pictures are shown, to whom they should and to nobody else."""
        op = self.operator
        dashboard = Dashboard(
            ssh=op.ssh,
            name=op.puppet.server,
            authority=op.ssh.read(op.puppet.control, f"{SSLDIR}/certs/ca.pem"),
            user=DASHBOARD_USER,
            password=op.secrets.password("puppetboard"),
        )
        address = op.site.address(op.puppet.control)
        for where in (address.v4, address.v6):
            for path, text in (
                ("/fleet/", "pages.js"),
                ("/prometheus/api/v1/query?query=up", "up"),
            ):
                yield from dashboard.problems(str(where), path=path, texts=[text])

    def _way_out(self) -> Callable[[], list[str]]:
        """Send the person who gets alerts a first one, and return what sees it leave."""
        op, control = self.operator, self._watching.control.name
        since = op.ssh.run(control, ["date", "+%s"]).stdout.strip()
        self._watching.monitoring.alert(
            name=_GREETING,
            annotations={
                "summary": f"From now on {control} watches {', '.join(self._watching.hosts)}",
                "means": "Nothing; this is to see that alerts arrive.",
                "action": "Nothing, if you read this. If it is among the spam, tell your filter.",
                "runbook": "docs/runbook.md",
            },
            until=(datetime.now(UTC) + timedelta(minutes=1)).isoformat(),
        )
        script = f"journalctl --unit 'postfix*' --since @{since} --output cat --no-pager || true"

        def left() -> list[str]:
            lines = op.ssh.run(control, script).stdout.splitlines()
            about = [line for line in lines if f"to=<{op.fleet.alerts}>" in line]
            if any("status=sent" in line for line in about):
                return []
            said = about[-1].partition("status=")[2] if about else "nothing was sent"
            return [f"alerts do not reach {op.fleet.alerts}: {said}"]

        return left


def _until_nothing(wrong: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Return what is still *wrong* when there was time for it to become right."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        try:
            found = wrong()
        except GeneralproveError as error:
            found = [str(error)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_SECONDS)


def refusals(facts: Facts, *, domain: str) -> Iterator[str]:
    """Yield why nobody can be watched yet, as far as the facts tell.

    Args:
        facts: they.
        domain: of the fleet.
    """
    for host in sorted(facts.unreachable):
        yield f"{host} cannot be reached"
    if facts.ttl_limit is not None:
        yield "another change of the zones is under way"
    if domain not in facts.content:
        yield f"{domain} is not among the zones: the sender of alerts would have no name"

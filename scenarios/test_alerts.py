"""Faults and alerts: the right one reaches a mailbox outside, its end too, and no other.

Budgets: 90 s from the fault to the mailbox, 90 s from healing to the end; nothing in a quiet
hour with 20 runs of Puppet on each host, after which all of Tromsø takes 1.4 GB at most; the death
of Tromsø is noticed outside within three minutes. All are slow but for the alert that has to leave
while production is dead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from alert_table import TABLE, WITHIN_SECONDS, Row, Seen, told

from lab.faults import Faults
from lab.footprint import footprint
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator.monitoring import Monitoring
from lab.pair.trial import served
from lab.steps import STEPS
from lab.watch import commit
from lab.world.machines import MAILER, WATCHDOG

NOTICED_SECONDS = 180
REASONS = '{__name__=~"fleet:.+"}'  # what keeps other alerts back, as it explains them
# What would fire soon, whatever is done now. What a lab that was just started brings up is among
# it only when Prometheus has looked for a minute.
UNREST = 'count_over_time(ALERTS{alertname!="Watchdog"}[30s])'
LOOKING = 'count_over_time(up{job="prometheus"}[90s]) >= 5'
HOUR_SECONDS = 3600
RUNS = 20
MEMORY_MB = 1_434


@pytest.fixture(scope="module")
def watched(lab_at: Callable[[str], Lab]) -> Lab:
    """Return a lab that is watched, with nothing wrong."""
    return lab_at(STEPS[-1].name)


def nothing_is_wrong(lab: Lab) -> None:
    """Wait until both serve, no alert fires or is about to, and nothing keeps one back."""
    # A host that comes back serves mail when it has compared its mailboxes with the other's.
    served(lab, within=WITHIN_SECONDS, begun=time.monotonic())
    monitoring = Monitoring(ssh=lab.ssh, host=lab.fleet.control.name)
    until(
        lambda: (
            bool(monitoring.ask(LOOKING))
            and not monitoring.firing()
            and not monitoring.ask(UNREST)
            and not monitoring.ask(REASONS)
        ),
        seconds=2 * WITHIN_SECONDS,
        what="quiet",
    )


def until(true: Callable[[], bool], *, seconds: float, what: str) -> float:
    """Wait until something is true, and return for how long.

    Raises:
        AssertionError: it did not become so in time.
    """
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(1)
    return time.monotonic() - start


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=[] if row.chosen else [pytest.mark.slow])
        for row in TABLE
    ],
)
def test_the_right_alert_reaches_the_mailbox_and_no_other(watched: Lab, row: Row) -> None:
    Seen.forget(row)
    faults, expected = Faults(lab=watched), set(row.alerts)
    told_after = 0.0
    with row.ground(faults, watched):
        nothing_is_wrong(watched)
        since = time.time()
        with row.inject(faults, watched):
            if expected:
                told_after = until(
                    lambda: expected <= set(told(watched, since=since)),
                    seconds=WITHIN_SECONDS,
                    what=f"{row.alerts} in the mailbox",
                )
            else:
                time.sleep(WITHIN_SECONDS)  # long enough for whatever would be told
            said = set(told(watched, since=since))
            assert expected <= said <= expected | set(row.also)
        ends = {f"over: {alert}" for alert in said}
        over_after = until(
            lambda: ends <= set(told(watched, since=since)),
            seconds=WITHIN_SECONDS,
            what=f"the end of {said} in the mailbox",
        )
        assert set(told(watched, since=since)) == said | ends
    today = datetime.now(UTC).date().isoformat()
    Seen(told=round(told_after), over=round(over_after), day=today, commit=commit()).keep(row)


@pytest.mark.slow
def test_in_a_quiet_hour_nothing_is_told_and_tromso_fits_into_its_memory(watched: Lab) -> None:
    nothing_is_wrong(watched)
    since, start = time.time(), time.monotonic()
    puppet = in_lab(watched).puppet
    for run in range(RUNS):
        time.sleep(max(0.0, start + run * HOUR_SECONDS / RUNS - time.monotonic()))  # the quiet
        assert [puppet.agent(host).changed for host in watched.fleet.hosts] == [0, 0, 0]
    time.sleep(max(0.0, start + HOUR_SECONDS - time.monotonic()))
    assert told(watched, since=since) == []
    taken = footprint(watched, watched.fleet.control.name)
    print(taken)
    assert taken.total <= MEMORY_MB
    assert not taken.swapped


@pytest.mark.slow
def test_the_death_of_tromso_is_noticed_outside(watched: Lab) -> None:
    silent = f"{WATCHDOG}/silent"

    def there() -> bool:
        return watched.engine.run(MAILER, ["sh", "-c", f"ls {silent} 2>&1 || true"]).output == (
            f"{silent}\n"
        )

    until(lambda: not there(), seconds=WITHIN_SECONDS, what="the watchdog is heard")
    with Faults(lab=watched).power_loss("tromso"):
        until(there, seconds=NOTICED_SECONDS, what="Tromsø is missed")
    in_lab(watched).puppet.wait_for_server()
    until(lambda: not there(), seconds=NOTICED_SECONDS, what="Tromsø is heard again")

"""Step `watch`: Tromsø watches all, and nobody outside notices.

Budgets: 0 of at least 5,000 look-ups and 5,000 pages, no message lost; all of Tromsø within 1.4 GB;
90 days of history within 4 GB of disk.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.footprint import footprint
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator
from lab.operator.monitoring import Monitoring
from lab.rehearsal import Rehearsed, perform
from lab.steps import step_class
from lab.steps.watch_facts import WATCHED
from lab.verdict import Budget, Outcome

NOBODY_NOTICES = Budget(failed=0, gap=2.0, at_least=5_000)
MEMORY_MB = 1_434
DISK_BYTES = 4_000_000_000
DAY = 86_400
# What Prometheus needs for a sample when blocks are compacted, by its own documentation at most.
BYTES_PER_SAMPLE = 2.0
PORTS = "22 25 53 80 443 3000 8081 8405 9090 9093 9100 9113 9115 9900 9999 11334"


@pytest.fixture(scope="module")
def made(make_step: Callable[[str, Budget], Rehearsed]) -> Rehearsed:
    """Make the step once for the scenarios that look at its result."""
    return make_step("watch", NOBODY_NOTICES)


def test_tromso_watches_all_and_nobody_notices(made: Rehearsed) -> None:
    assert {each.outcome for each in made.verdicts} == {Outcome.OK}, made.verdicts


@pytest.mark.slow  # the step itself ends with a second run of Puppet; here all of it is made again
@pytest.mark.usefixtures("made")
def test_made_again_it_changes_nothing(operator: Operator) -> None:
    before = operator.stage.read()
    # It runs Puppet on every host itself, and says so when that changes anything.
    perform(step_class("watch")(operator=operator))
    assert operator.stage.read() == before


@pytest.mark.usefixtures("made")
def test_nothing_of_the_monitoring_is_open_to_the_world(lab: Lab) -> None:
    open_before = {
        "oslo": {"22", "25", "53", "80", "443"},
        "bergen": {"22", "25", "53", "80", "443"},
        "tromso": {"22", "443"},
    }
    for host, expected in open_before.items():
        address = lab.site.address(host)
        for target in (address.v4, address.v6):
            # All at once: a port that is closed says nothing for a second.
            one = f"! nc -z -w1 {target} $port || echo $port"
            knock = f"for port in {PORTS}; do {{ {one}; }} & done; wait"
            assert set(lab.ssh.run("outside", knock).stdout.split()) <= expected


@pytest.mark.usefixtures("made")
def test_all_of_tromso_fits_into_its_memory(lab: Lab) -> None:
    assert footprint(lab, lab.fleet.control.name).total <= MEMORY_MB


@pytest.mark.usefixtures("made")
def test_ninety_days_fit_onto_its_disk(lab: Lab) -> None:
    monitoring = Monitoring(ssh=lab.ssh, host=lab.fleet.control.name)
    (rate,) = monitoring.ask("sum(rate(prometheus_tsdb_head_samples_appended_total[2m]))")
    assert rate.value * 90 * DAY * BYTES_PER_SAMPLE <= DISK_BYTES


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_going_back_leaves_nothing_and_breaks_nothing(lab: Lab) -> None:
    operator = in_lab(lab)
    step = step_class("watch")(operator=operator)
    step.rollback()
    assert WATCHED not in operator.stage.read()
    for host in lab.fleet.hosts:
        left = "ls -d /etc/prometheus /var/lib/fleet-* /usr/bin/prometheus* 2>/dev/null || true"
        found = lab.ssh.run(host, left).stdout.split()
        assert [path for path in found if path != "/var/lib/fleet-web"] == []
        assert lab.ssh.run(host, ["systemctl", "is-system-running"]).stdout.strip() == "running"


@pytest.mark.slow
def test_undone_it_can_be_made_again(lab_at: Callable[[str], Lab], operator: Operator) -> None:
    lab_at("watch")
    step = step_class("watch")(operator=operator)
    step.rollback()
    perform(step)

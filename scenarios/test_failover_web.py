"""The web when one of two servers dies, for Oslo and for Bergen.

Budgets: who tries every address of a name fails never (how long they waited is told); who knows one
server only is served again after the time to live and 4 s; planned work costs nobody anything; what
was accepted is on both in the end, once, and no later than 15 s after they see each other again
(36 s if either was started in the minute before they were parted).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab.drain import Drain, DrainCheckError
from lab.faults import Faults
from lab.lab import Lab
from lab.operate import in_lab
from lab.steps.web_ha_move import Pair
from lab.steps.web_ha_records import CHECK_SECONDS, LONGEST
from lab.verdict import Budget, Outcome
from lab.watch import Watch
from lab.watch_failover import FailoverBudget

# What names cost when a server dies is test_failover_dns.py's.
LOOKUPS = Budget(failed=50, at_least=500)
OUTAGE_SECONDS = LONGEST + CHECK_SECONDS + 1.0
RETURN_SECONDS = 10.0
CONVERGED_SECONDS = 15.0
# For so long after its start syncthing looks for the others ever more seldom, at last after 32 s;
# then every 5 s (v1.29, lib/connections/service.go, initialRampup).
RAMP_UP_SECONDS = 72
CADENCE = 0.25
# Who knows one server fails four times a second, and so do seven others.
ONE_DIES = FailoverBudget(
    any=Budget(failed=0, at_least=200),
    first=Budget(failed=400, gap=LONGEST + CHECK_SECONDS + CADENCE, at_least=300),
    entries=Budget(failed=200, gap=LONGEST + CHECK_SECONDS + CADENCE, at_least=50),
)
NOTHING = FailoverBudget(
    any=Budget(failed=0, gap=5.0, at_least=200),
    first=Budget(failed=0, gap=5.0, at_least=400),
    entries=Budget(failed=0, gap=5.0, at_least=50),
)


@pytest.fixture(scope="module")
def serving(lab_at: Callable[[str], Lab]) -> Lab:
    """Return the lab in which both serve; each scenario leaves it as it found it."""
    return lab_at("web_ha")


@contextmanager
def watched(lab: Lab, title: str, budget: FailoverBudget) -> Iterator[Watch]:
    """Let visitors of both servers come while the block runs, and judge what they saw."""
    with Watch(lab=lab, title=title, budget=LOOKUPS, failover=budget) as watch:
        watch.hold(until=200)
        yield watch
        watch.hold(until=LOOKUPS.at_least)
    assert {each.outcome for each in watch.verdicts} == {Outcome.OK}, watch.verdicts


def past_ramp_up(lab: Lab, pair: Pair) -> None:
    """Wait until what carries the sites' data has been up for long enough to look often."""
    for host in pair.names:
        for site in (each.name for each in pair.sites if each.data):
            since = f"$(systemctl show -P ActiveEnterTimestampMonotonic web-replica-{site})"
            age = f"$(($(cut -d. -f1 /proc/uptime) - {since} / 1000000))"
            until = f"until [ {age} -ge {RAMP_UP_SECONDS} ]; do sleep 1; done"
            limit = RAMP_UP_SECONDS + 20
            lab.engine.run(host, ["timeout", str(limit), "sh", "-c", until], timeout=limit + 10)


@pytest.mark.slow
@pytest.mark.parametrize("host", ["oslo", "bergen"])
def test_a_server_loses_power(serving: Lab, host: str) -> None:
    with watched(serving, f"{host} loses power", ONE_DIES) as watch:
        with Faults(lab=serving, marks=watch.marks).power_loss(host):
            time.sleep(OUTAGE_SECONDS)  # the outage itself
        time.sleep(RETURN_SECONDS)  # somebody comes to it again


@pytest.mark.slow
@pytest.mark.parametrize("host", ["oslo", "bergen"])
def test_a_server_is_cut_off(serving: Lab, host: str) -> None:
    with watched(serving, f"{host} is cut off", ONE_DIES) as watch:
        with Faults(lab=serving, marks=watch.marks).silent_cut(host):
            time.sleep(OUTAGE_SECONDS)  # the outage itself
        time.sleep(RETURN_SECONDS)  # somebody comes to it again


def test_they_are_parted_while_people_write_on_both(serving: Lab) -> None:
    pair = Pair.of(in_lab(serving))
    past_ramp_up(serving, pair)
    with watched(serving, "Oslo and Bergen do not see each other", NOTHING) as watch:
        with Faults(lab=serving, marks=watch.marks).partition(*pair.names):
            time.sleep(OUTAGE_SECONDS)  # long enough for both to be written to
        healed = time.monotonic()
        for source, target in (pair.hosts, pair.hosts[::-1]):
            assert pair.arrived(source, target, seconds=CONVERGED_SECONDS) == []
        assert time.monotonic() - healed < CONVERGED_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("host", ["oslo", pytest.param("bergen", marks=pytest.mark.slow)])
def test_planned_work_costs_nobody_anything(serving: Lab, host: str) -> None:
    operator = in_lab(serving)
    draining = Drain(operator=operator, host=serving.fleet.host(host))
    other = next(name for name in Pair.of(operator).names if name != host)
    with watched(serving, f"Planned work on {host}", NOTHING):
        draining.drain()
        with pytest.raises(DrainCheckError, match="no other host would serve"):
            Drain(operator=operator, host=serving.fleet.host(other)).drain()
        serving.ssh.run(host, ["systemctl", "stop", "haproxy.service"], timeout=120)
        serving.ssh.run(host, ["systemctl", "start", "haproxy.service"])
        draining.undrain()
        time.sleep(RETURN_SECONDS)  # somebody comes to it again


@pytest.mark.slow
@pytest.mark.parametrize("host", ["oslo", pytest.param("bergen", marks=pytest.mark.slow)])
def test_nginx_is_killed(serving: Lab, host: str) -> None:
    killed = FailoverBudget(
        any=Budget(failed=0, gap=3.0, at_least=200),
        first=Budget(failed=5, gap=3.0, at_least=400),
        entries=Budget(failed=5, gap=3.0, at_least=50),
    )
    with watched(serving, f"nginx is killed on {host}", killed) as watch:
        for killed_once in range(1, 4):
            with Faults(lab=serving, marks=watch.marks).unit_killed(host, "nginx.service"):
                watch.hold(until=200 + 300 * killed_once)

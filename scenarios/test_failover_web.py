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
from lab.pair.alike import wait_to_look_often
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
    operator = in_lab(serving)
    pair = Pair.of(operator)
    wait_to_look_often(operator)
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

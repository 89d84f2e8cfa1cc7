"""A promotion that is hit in the middle: a host dies, the control host dies, the operator dies.

Whatever happens, afterwards every host is on one known release, nobody is held any more, and
nothing is about to undo itself. Users notice nothing but the death of the host they ask.
"""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from moments import AtTask
from standin import StandIn

from lab.errors import Exit
from lab.faults import Faults
from lab.lab import Lab
from lab.promote.rollout import RolledBackError
from lab.verdict import Budget, Outcome
from lab.watch import Watch

NOBODY_NOTICES = Budget(failed=0, at_least=500)
OSLO_WAS_AWAY = Budget(failed=10_000, gap=40, at_least=500)
AWAY_SECONDS = 8
RUNNING = "/var/cache/puppet/state/agent_catalog_run.lock"
LONGEST_SECONDS = 45  # what a promotion to two hosts takes here, from the lock to the last word

Strike = Callable[[Lab, AbstractContextManager[None], str], threading.Thread]


def for_a_while(lab: Lab, fault: AbstractContextManager[None], host: str) -> threading.Thread:
    """Let a fault happen now, and heal while the promotion goes on.

    A connection that is open already might wait until the host is back, and go on there.
    """
    fault.__enter__()
    lab.ssh.forget(host)
    healing = threading.Timer(AWAY_SECONDS, lambda: fault.__exit__(None, None, None))
    healing.start()
    return healing


def while_puppet_runs(lab: Lab, fault: AbstractContextManager[None], host: str) -> threading.Thread:
    """Let a fault happen as soon as Puppet is at work on the host."""
    awaited = f"until [ -s {RUNNING} ]; do sleep 0.1; done"

    def strike() -> None:
        lab.engine.run(host, ["timeout", "30", "sh", "-c", awaited], timeout=40)
        for_a_while(lab, fault, host).join()

    striking = threading.Thread(target=strike)
    striking.start()
    return striking


@pytest.mark.parametrize(
    ("victim", "moment", "strike", "budget"),
    [
        ("tromso", "Switch tromso", for_a_while, NOBODY_NOTICES),
        ("oslo", "Change oslo", while_puppet_runs, OSLO_WAS_AWAY),
    ],
    ids=["the control host at the switch", "a host while it is changed"],
)
def test_a_host_that_dies_brings_everybody_back(
    standin: StandIn, victim: str, moment: str, strike: Strike, budget: Budget
) -> None:
    standin.journal(321 if victim == "oslo" else 322)
    standin.prove()
    healing: list[threading.Thread] = []
    with Watch(lab=standin.lab, title=f"{victim} dies at: {moment}", budget=budget) as watch:
        faults = Faults(lab=standin.lab, marks=watch.marks)
        report = AtTask(
            title=moment,
            action=lambda: healing.append(strike(standin.lab, faults.power_loss(victim), victim)),
        )
        promotion = standin.promotion(report=report)
        preview = promotion.preview()
        assert preview.refusals == []
        with pytest.raises(RolledBackError):
            promotion.apply(preview)
        for one in healing:
            one.join()
    assert healing, f"{moment} never came"
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


def killed_and_finished(standin: StandIn, chance: random.Random) -> None:
    """Kill a promotion at a random moment; resume or roll it back; all is as it should be."""
    commit = standin.journal(chance.randint(100, 499))
    standin.prove()
    before = standin.release
    running = subprocess.Popen(
        standin.command("--apply"),
        cwd=standin.checkout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        running.wait(timeout=chance.uniform(1, LONGEST_SECONDS))
    except subprocess.TimeoutExpired:
        running.send_signal(chance.choice([signal.SIGKILL, signal.SIGINT]))
        running.wait()
    way, other = chance.choice([("--resume", "--rollback"), ("--rollback", "--resume")])
    if standin.at_rest():
        done = standin.promote(way)
        expected = Exit.OK if way == "--resume" else Exit.ROLLED_BACK
        assert done.returncode == expected, f"{way}, not {other}: {done.stdout}{done.stderr}"
    assert standin.at_rest() == []
    assert set(standin.releases().values()) == {standin.release}
    assert standin.release in (before, commit[:12])
    if standin.release == commit[:12]:
        standin.base = commit


@pytest.mark.parametrize("seed", [1])
def test_an_operator_killed_anywhere_leaves_work_that_can_be_ended(
    standin: StandIn, seed: int
) -> None:
    killed_and_finished(standin, random.Random(seed))  # noqa: S311 - moments, not secrets


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 24))
def test_an_operator_killed_at_many_more_moments(standin: StandIn, seed: int) -> None:
    killed_and_finished(standin, random.Random(seed))  # noqa: S311 - moments, not secrets

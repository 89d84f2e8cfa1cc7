"""Step `control`: Tromsø takes control of the hosts, and nobody outside notices.

Budgets: 0 failed look-ups; Bergen not touched; a second run changes nothing; all of Tromsø
within 1.2 GB.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.footprint import footprint
from lab.lab import Lab
from lab.operator import Operator
from lab.operator.enrolment import Enrolment, EnrolmentCheckError
from lab.rehearsal import Rehearsed, perform
from lab.steps import step_class
from lab.verdict import Budget, Outcome

NOBODY_NOTICES = Budget(failed=0, gap=1.0, at_least=1_000)
PORTS = "22 53 80 111 443 5432 8080 8081 8140 8443"
MEMORY_MB = 1_229


@pytest.fixture(scope="module")
def made(make_step: Callable[[str, Budget], Rehearsed]) -> Rehearsed:
    """Make the step once for all scenarios of this file."""
    return make_step("control", NOBODY_NOTICES)


def test_users_notice_nothing(made: Rehearsed) -> None:
    assert made.verdict.outcome is Outcome.OK, str(made.verdict)


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("host", ["oslo", "tromso"])
def test_a_second_run_changes_nothing(operator: Operator, host: str) -> None:
    assert operator.puppet.agent(host).changed == 0


@pytest.mark.usefixtures("made")
def test_the_hand_made_server_is_left_alone(lab: Lab) -> None:
    found = lab.ssh.run("bergen", "command -v puppet || echo none; systemctl is-active named")
    assert found.stdout.split() == ["none", "active"]


@pytest.mark.usefixtures("made")
def test_a_host_with_a_wrong_key_is_refused(operator: Operator) -> None:
    enrolment = Enrolment(ssh=operator.ssh, site=operator.site, puppet=operator.puppet)
    enrolment.expel("oslo")
    with pytest.raises(EnrolmentCheckError, match="oslo"):
        enrolment.enrol("oslo", key="not the key")
    enrolment.prepare("oslo")
    enrolment.enrol("oslo", key=operator.secrets.enrolment_key)
    assert operator.puppet.agent("oslo").changed == 0


@pytest.mark.usefixtures("made")
def test_all_of_tromso_fits_into_its_memory(lab: Lab) -> None:
    assert footprint(lab, lab.fleet.control.name).total <= MEMORY_MB


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("host", ["oslo", "tromso"])
def test_only_what_must_be_open_is_open(lab: Lab, host: str) -> None:
    expected = {"oslo": {"22"}, "tromso": {"22", "443"}}
    address = lab.site.address(host)
    for target in (address.v4, address.v6):
        knock = f"for port in {PORTS}; do ! nc -z -w1 {target} $port || echo $port; done"
        assert set(lab.ssh.run("outside", knock).stdout.split()) == expected[host]


@pytest.mark.slow
def test_rollback_takes_puppet_from_the_hosts(
    lab_at: Callable[[str], Lab], operator: Operator
) -> None:
    lab = lab_at("control")
    step_class("control")(operator=operator).rollback()
    for host in ("oslo", "tromso"):
        said = lab.ssh.run(host, "systemctl is-enabled puppet-run.timer || true").stdout
        assert "enabled" not in said
        assert lab.ssh.run(host, ["systemctl", "is-system-running"]).stdout.strip() == "running"


@pytest.mark.slow
def test_undone_it_can_be_made_again(lab_at: Callable[[str], Lab], operator: Operator) -> None:
    lab_at("control")
    step = step_class("control")(operator=operator)
    step.rollback()
    perform(step)

"""Step `dns`: DNS moves from Bergen's hand-made server to Oslo, under load.

Budgets: 0 failed of at least 10,000 look-ups forth; 0 failed back, from wherever it stands;
an interruption costs nothing; afterwards every answer is signed and validated.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from moments import At, PulledPlug, pull_the_plug
from test_legacy import outside

from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator
from lab.rehearsal import Rehearsed, perform
from lab.steps import step_class
from lab.steps.dns_phases import Delegate
from lab.steps.dns_primary import Sign, Take, Trust
from lab.verdict import Budget, Outcome
from lab.watch import Watch
from lab.world.names import fleet_zones

CUTOVER = Budget(failed=0, gap=2.0, at_least=10_000)
NOBODY_NOTICES = Budget(failed=0, gap=2.0, at_least=1_000)
# For as long as a zone is loaded ten times over, and a little longer.
ASKING = """
import collections, json, sys, time
import dns.message, dns.query, dns.rcode
server, name = json.load(sys.stdin)
said, until = collections.Counter(), time.monotonic() + 6
while time.monotonic() < until:
    answer = dns.query.udp(dns.message.make_query(name, "A"), server, timeout=3)
    said[dns.rcode.to_text(answer.rcode())] += 1
print(json.dumps(said))
"""
ENOUGH = 1_000


def interrupted(lab: Lab, *, title: str, waiting: bool) -> None:
    """Make the step up to a phase, and be interrupted there."""
    operator = replace(in_lab(lab), report=At(title=title, action=pull_the_plug, waiting=waiting))
    with pytest.raises(PulledPlug):
        perform(step_class("dns")(operator=operator))


@pytest.fixture(scope="module")
def made(make_step: Callable[[str, Budget], Rehearsed]) -> Rehearsed:
    """Make the step once for the scenarios that look at its result."""
    return make_step("dns", CUTOVER)


def test_not_one_look_up_fails_while_dns_moves(made: Rehearsed) -> None:
    assert made.verdict.outcome is Outcome.OK, str(made.verdict)


@pytest.mark.usefixtures("made")
def test_made_again_it_changes_nothing(lab: Lab, operator: Operator) -> None:
    before = serials(lab, operator)
    perform(step_class("dns")(operator=operator))
    assert serials(lab, operator) == before
    assert operator.puppet.agent("oslo").changed == 0


@pytest.mark.usefixtures("made")
def test_while_a_zone_is_loaded_nothing_of_it_is_denied(lab: Lab, operator: Operator) -> None:
    # Resolvers ask for what lies above a name first, and believe who denies it (RFC 9156, 8020).
    server, domain = str(lab.site.address("oslo").v4), lab.fleet.domain
    script = f"""
        (while :; do pdns_control purge '{domain}$'; done) >/dev/null 2>&1 &
        trap "kill $!" EXIT
        for _ in $(seq 10); do pdns-zone load {domain} /etc/powerdns/zones/{domain}.zone; done
    """
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(operator.ssh.run, "oslo", script, timeout=60)
        said = json.loads(" ".join(outside(lab, ASKING, server, f"_tcp.web.{domain}")))
        loading.result()
    assert set(said) == {"NOERROR"}, said
    assert said["NOERROR"] > ENOUGH


@pytest.mark.usefixtures("made")
def test_every_answer_is_validated_by_whoever_asks(lab: Lab) -> None:
    with Watch(lab=lab, title="Validated DNS", budget=NOBODY_NOTICES, secure=True) as watch:
        watch.hold(until=NOBODY_NOTICES.at_least + 10)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


@pytest.mark.usefixtures("made")
def test_nothing_is_left_of_the_old_name_server(lab: Lab, operator: Operator) -> None:
    assert lab.ssh.run("bergen", "systemctl is-active named || true").stdout.strip() == "inactive"
    for zone in fleet_zones(lab.fleet, lab.site):
        delegation = operator.tree.delegation(zone)
        assert delegation.nameservers == {f"ns-oslo.{lab.fleet.domain}."}
        assert delegation.ds


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_going_back_costs_no_look_up_either(lab: Lab, operator: Operator) -> None:
    with Watch(lab=lab, title="DNS goes back", budget=NOBODY_NOTICES) as watch:
        step_class("dns")(operator=operator).rollback()
        watch.hold(until=NOBODY_NOTICES.at_least + 10)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)
    assert as_before(lab, operator)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase", "waiting"),
    # Nothing has to be waited for once the DS records are published.
    [(Delegate, True), (Take, False), (Take, True), (Sign, False), (Sign, True), (Trust, False)],
)
def test_interrupted_anywhere_it_goes_back_from_there(
    lab_at: Callable[[str], Lab], phase: type[Delegate | Take | Sign | Trust], *, waiting: bool
) -> None:
    lab = lab_at("control")
    title = f"DNS goes back from {phase.name}"
    with Watch(lab=lab, title=title, budget=NOBODY_NOTICES) as watch:
        interrupted(lab, title=phase.title, waiting=waiting)
        step_class("dns")(operator=in_lab(lab)).rollback()
        watch.hold(until=NOBODY_NOTICES.at_least + 10)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)
    assert as_before(lab, in_lab(lab))


def serials(lab: Lab, operator: Operator) -> list[int]:
    """Return the serial number of each zone, as Oslo serves it."""
    server = str(lab.site.address("oslo").v4)
    found = []
    for zone in fleet_zones(lab.fleet, lab.site):
        answer = operator.dns.query(server, zone, "SOA").answer
        found.append(int(answer[0][0].serial))
    return found


def as_before(lab: Lab, operator: Operator) -> bool:
    """Whether every zone is delegated to Bergen alone again, unsigned, and Bergen serves it."""
    legacy = str(lab.site.address("bergen").v4)
    names = {f"{name}.{lab.fleet.domain}." for name in ("ns1", "ns2")}
    return operator.dns.serves(legacy) and all(
        delegation.nameservers == names and not delegation.ds
        for delegation in (
            operator.tree.delegation(zone) for zone in fleet_zones(lab.fleet, lab.site)
        )
    )

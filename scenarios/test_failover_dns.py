"""DNS when something dies: with one server, as far as that allows, and with two.

Budgets: Puppet's and Tromsø's death cost nothing; a daemon that dies is back in seconds; one dead
server of one costs exactly its own outage, and users are served again within seconds of its return;
one dead server of two costs no look-up, whichever it is and however it dies. Another server becomes
the primary and gives it back at no cost, and a server that comes back never answers with what it
had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest
from moments import At, PulledPlug, pull_the_plug

from lab.faults import Faults
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator, zone_changes, zone_data
from lab.operator.dns import DnsError, Question, answered
from lab.operator.registrar import RegistrarError
from lab.operator.zones import Zone, record_set
from lab.rehearsal import perform
from lab.steps import dns_promotion, step_class
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.dns_phases import Delegate
from lab.steps.dns_server import NameServer
from lab.verdict import Budget, Outcome
from lab.watch import Watch

NOTHING = Budget(failed=0, gap=2.0, at_least=1_000)
# A daemon that systemd starts again: a pause, and what was in flight.
RESTART = Budget(failed=150, gap=8.0, at_least=1_000)
OUTAGE_SECONDS = 8.0
# One server: its outage is the users'. What comes on top is how long a resolver that gave it up
# takes to ask it again.
ONE_SERVER = Budget(failed=3_000, gap=OUTAGE_SECONDS + 22.0, at_least=2_000)


def test_tromso_dies_and_nobody_notices(lab_at: Callable[[str], Lab]) -> None:
    lab = lab_at("dns")
    with (
        Watch(lab=lab, title="Tromsø dies", budget=NOTHING) as watch,
        Faults(lab=lab, marks=watch.marks).power_loss("tromso"),
    ):
        watch.hold(until=NOTHING.at_least + 10)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


def test_the_name_server_is_killed_and_comes_back_by_itself(lab_at: Callable[[str], Lab]) -> None:
    lab = lab_at("dns")
    with Watch(lab=lab, title="PowerDNS is killed", budget=RESTART) as watch:
        watch.hold(until=300)
        with Faults(lab=lab, marks=watch.marks).unit_killed("oslo", "pdns.service"):
            watch.hold(until=RESTART.at_least + RESTART.failed)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


@pytest.mark.slow
def test_oslo_is_cut_off_and_users_are_served_again_soon_after(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("dns")
    with Watch(lab=lab, title="Oslo is cut off", budget=ONE_SERVER) as watch:
        watch.hold(until=300)
        with Faults(lab=lab, marks=watch.marks).silent_cut("oslo"):
            time.sleep(OUTAGE_SECONDS)  # the outage itself
        watch.hold(until=ONE_SERVER.at_least + ONE_SERVER.failed)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


@pytest.mark.slow
def test_a_closed_registry_stops_the_cutover_and_costs_nothing(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("control")
    with Watch(lab=lab, title="The registry takes no changes", budget=NOTHING) as watch:
        with ExitStack() as fault:
            faults = Faults(lab=lab, marks=watch.marks)

            def begin() -> None:
                fault.enter_context(faults.registry_closed())

            operator = replace(in_lab(lab), report=At(title=Delegate.title, action=begin))
            with pytest.raises(RegistrarError, match="refused the change"):
                perform(step_class("dns")(operator=operator))
        # Once more, as far as the phase that was refused; the rest is step `dns`'s own scenario.
        report = At(title=Delegate.title, action=pull_the_plug, waiting=True)
        with pytest.raises(PulledPlug):
            perform(step_class("dns")(operator=replace(in_lab(lab), report=report)))
        watch.hold(until=NOTHING.at_least + 10)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)
    said = in_lab(lab).registrar.delegation(lab.fleet.domain)
    assert {each.partition(".")[0] for each in said.nameservers} == {"ns-oslo"}


# The one who asks the dead server first waits for the other's answer a little longer.
EITHER_MAY_DIE = Budget(failed=0, gap=4.0, at_least=3_500)


@pytest.mark.parametrize(
    ("fault", "host"),
    [
        # In CI Oslo's death is one of mail and the web as well: test_failover_mail.py.
        pytest.param("power_loss", "oslo", marks=pytest.mark.slow),
        pytest.param("silent_cut", "bergen", marks=pytest.mark.slow),
        pytest.param("silent_cut", "oslo", marks=pytest.mark.slow),
        pytest.param("power_loss", "bergen", marks=pytest.mark.slow),
        pytest.param("frozen", "oslo", marks=pytest.mark.slow),
    ],
)
def test_one_of_two_servers_dies_and_nobody_notices(
    lab_at: Callable[[str], Lab], fault: str, host: str
) -> None:
    lab = lab_at("dns_secondary")
    title = f"{host.title()} of two: {fault.replace('_', ' ')}"
    with Watch(lab=lab, title=title, budget=EITHER_MAY_DIE) as watch:
        watch.hold(until=500)
        with getattr(Faults(lab=lab, marks=watch.marks), fault)(host):
            # Longer than any cache remembers anything.
            watch.hold(until=EITHER_MAY_DIE.at_least - 500)
        watch.hold(until=EITHER_MAY_DIE.at_least)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


@pytest.mark.slow
def test_cut_off_from_each_other_both_serve_on_and_agree_again(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("dns_secondary")
    operator = in_lab(lab)
    with Watch(lab=lab, title="Oslo and Bergen part", budget=EITHER_MAY_DIE) as watch:
        with Faults(lab=lab, marks=watch.marks).partition("oslo", "bergen"):
            serial = edit(operator)
            operator.puppet.agent("oslo")
            watch.hold(until=EITHER_MAY_DIE.at_least)
            assert serial_at(operator, "bergen") < serial
        # The NOTIFY is lost; within a minute Bergen asks by itself.
        wait_for(lambda: serial_at(operator, "bergen") == serial, seconds=75)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


@pytest.mark.slow
def test_bergen_becomes_the_primary_and_oslo_comes_back_without_its_old_zones(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("dns_secondary")
    operator = in_lab(lab)
    with Watch(lab=lab, title="Bergen becomes the primary", budget=EITHER_MAY_DIE) as watch:
        faults = Faults(lab=lab, marks=watch.marks)
        with ExitStack() as down:
            with faults.power_loss("oslo"):
                dns_promotion.perform(operator, host="bergen")
                serial = edit(operator)
                operator.puppet.agent("bergen")
                assert serial_at(operator, "bergen") == serial
                # Nobody is there who could tell Oslo what has become of it.
                down.enter_context(faults.power_loss("tromso"))
            seen = serials_seen(operator, "oslo", seconds=20)
            assert seen == {serial}, f"Oslo answered with {seen}, and {serial} is in force"
        dns_promotion.perform(operator, host="oslo")
        assert serial_at(operator, "oslo") == serial_at(operator, "bergen") > serial
        watch.hold(until=EITHER_MAY_DIE.at_least)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)
    assert operator.puppet.agent("oslo").changed == 0


@pytest.mark.slow
def test_a_server_that_starts_never_leads_anybody_to_a_dead_one(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("dns_secondary")
    operator = in_lab(lab)
    oslo, bergen = (NameServer(op=operator, host=lab.fleet.hosts[h]) for h in ("oslo", "bergen"))
    program = "ifportup(53, {{'{}','{}'}}, {{selector='all',backupSelector='all',timeout=2}})"
    values = {
        rdtype: f'{rdtype} "{program.format(*pair)}"'
        for rdtype, *pair in zip(("A", "AAAA"), oslo.addresses, bergen.addresses, strict=True)
    }
    edit(operator, name="well", rdtype="LUA", values=list(values.values()))
    operator.puppet.agent("oslo")
    both = {*oslo.addresses, *bergen.addresses}
    for server in (oslo, bergen):  # what is computed reaches both, unharmed
        wait_for(lambda asked=server: leads_to(asked, "well") == both, seconds=10)
    with Faults(lab=lab).power_loss("bergen"):
        wait_for(lambda: leads_to(oslo, "well") == set(oslo.addresses), seconds=6)
        operator.ssh.run("oslo", ["systemctl", "restart", "--no-block", "pdns.service"])
        until = time.monotonic() + 10
        answers = []
        while time.monotonic() < until:
            with suppress(DnsError):
                answers.append(leads_to(oslo, "well"))
    assert answers
    assert all(each == set(oslo.addresses) for each in answers), answers


def edit(
    operator: Operator,
    *,
    name: str = "edit",
    rdtype: str = "TXT",
    values: Sequence[str] = ('"new"',),
) -> int:
    """Change the data of the fleet's own zone as a person does, and return its new serial."""
    control, domain = operator.puppet.control, operator.fleet.domain
    content = zone_data.from_hiera(operator.ssh.read(control, CONTENT_FILE))
    zone = content[domain]
    new = record_set(domain, name=name, ttl=20, rdtype=rdtype, values=values)
    kept = [each for each in zone.records if each.name != name]
    changed = zone_changes.bumped(Zone.of(domain, zone.soa, [*kept, new]))
    text = zone_data.to_hiera({**content, domain: changed}.values())
    operator.ssh.write(control, CONTENT_FILE, text)
    return changed.soa.serial


def serial_at(operator: Operator, host: str) -> int:
    """Return the serial of the fleet's own zone that a host tells the world."""
    server, domain = str(operator.site.address(host).v4), operator.fleet.domain
    found = answered(operator.dns.query(server, domain, "SOA"), domain, "SOA")
    assert found is not None
    return int(found[0].serial)


def serials_seen(operator: Operator, host: str, *, seconds: float) -> set[int]:
    """Return every serial that a host tells in that time, whenever it answers."""
    seen, until = set(), time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(DnsError):
            seen.add(serial_at(operator, host))
    return seen


def leads_to(server: NameServer, label: str) -> set[str]:
    """Return the addresses, of both families, that a server has for a name of the fleet's."""
    name = f"{label}.{server.op.fleet.domain}"
    questions = [Question(name=name, type=rdtype) for rdtype in ("A", "AAAA")]
    replies = server.op.dns.ask(server.addresses[0], questions)
    return {
        rdata.to_text()
        for question, reply in zip(questions, replies, strict=True)
        for rdata in answered(reply, name, question.type) or ()
    }


def wait_for(condition: Callable[[], bool], *, seconds: float) -> None:
    """Wait until it holds, and fail when it does not in that time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not so after {seconds:.0f} s"
        time.sleep(0.2)

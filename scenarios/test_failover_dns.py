"""DNS when something dies, as far as one server allows.

Budgets: Puppet's and Tromsø's death cost nothing; a daemon that dies is back in seconds; a dead
server costs exactly its own outage, and users are served again within seconds of its return.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest
from moments import At, PulledPlug, pull_the_plug

from lab.faults import Faults
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator.registrar import RegistrarError
from lab.rehearsal import perform
from lab.steps import step_class
from lab.steps.dns_phases import Delegate
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

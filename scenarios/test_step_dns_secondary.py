"""Step `dns_secondary`: Bergen serves every zone as well, under load.

Budgets: 0 failed of at least 5,000 look-ups forth, 0 failed back; strangers get no whole zone, over
IPv4, IPv6 or the mesh; an edit is at both servers 5 s after one run of Puppet on the primary.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from moments import At, PulledPlug, pull_the_plug

from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator, zone_changes, zone_data
from lab.operator.dns import DnsError, answered
from lab.operator.dns_check import problems
from lab.operator.puppet_run import PuppetCheckError
from lab.operator.zones import Zone, record_set
from lab.rehearsal import Rehearsed, perform
from lab.steps import step_class
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.dns_secondary_facts import Pair
from lab.steps.dns_secondary_phases import Delegate, Name
from lab.verdict import Budget, Outcome
from lab.watch import Watch
from lab.world.names import fleet_zones

if TYPE_CHECKING:
    from collections.abc import Iterator

JOINING = Budget(failed=0, gap=2.0, at_least=5_000)
NOBODY_NOTICES = Budget(failed=0, gap=2.0, at_least=1_000)
EDIT_SECONDS = 5.0


@pytest.fixture(scope="module")
def made(make_step: Callable[[str, Budget], Rehearsed]) -> Rehearsed:
    """Make the step once for the scenarios that look at its result."""
    return make_step("dns_secondary", JOINING)


@contextmanager
def edited(operator: Operator, change: Callable[[Zone], Zone]) -> Iterator[Zone]:
    """Change the data of the fleet's own zone as a person does, and put it back."""
    control = operator.puppet.control
    text = operator.ssh.read(control, CONTENT_FILE)
    content = zone_data.from_hiera(text)
    new = change(content[operator.fleet.domain])
    operator.ssh.write(
        control, CONTENT_FILE, zone_data.to_hiera({**content, new.origin: new}.values())
    )
    try:
        yield new
    finally:
        # A person who takes a change back raises the serial once more.
        back = zone_changes.with_serial(content[new.origin], new.soa.serial + 1)
        text = zone_data.to_hiera({**content, new.origin: back}.values())
        operator.ssh.write(control, CONTENT_FILE, text)


def with_text(zone: Zone, value: str) -> Zone:
    """Return the zone with a text of somebody's."""
    text = record_set(zone.origin, name="edit", ttl=20, rdtype="TXT", values=[f'"{value}"'])
    kept = [each for each in zone.records if each.name != "edit"]
    return Zone.of(zone.origin, zone.soa, [*kept, text])


def test_not_one_look_up_fails_while_a_second_server_joins(made: Rehearsed) -> None:
    assert made.verdict.outcome is Outcome.OK, str(made.verdict)


@pytest.mark.slow  # the step itself ends with a second run of Puppet; here all of it is made again
@pytest.mark.usefixtures("made")
def test_made_again_it_changes_nothing(lab: Lab, operator: Operator) -> None:
    before = operator.ssh.read(operator.puppet.control, CONTENT_FILE)
    # It runs Puppet on both servers itself, and says so when that changes anything.
    perform(step_class("dns_secondary")(operator=operator))
    assert operator.ssh.read(operator.puppet.control, CONTENT_FILE) == before
    for zone in fleet_zones(lab.fleet, lab.site):
        assert operator.tree.delegation(zone).nameservers == set(Pair.of(operator).together)


@pytest.mark.usefixtures("made")
def test_strangers_get_no_whole_zone(lab: Lab, operator: Operator) -> None:
    pair = Pair.of(operator)
    ways = [(each, None) for listed in pair.together.values() for each in listed]
    ways += [(each.private, "tromso") for each in (pair.first, pair.second)]  # type: ignore[misc]
    for address, via in ways:
        with pytest.raises(DnsError, match="the transfer was refused"):
            operator.dns.axfr(address, lab.fleet.domain, via=via)
        assert operator.dns.query(address, lab.fleet.domain, "SOA", via=via).answer


@pytest.mark.usefixtures("made")
def test_an_edit_is_at_both_servers_soon_after_one_run_of_puppet(
    lab: Lab, operator: Operator
) -> None:
    def change(zone: Zone) -> Zone:
        return zone_changes.bumped(with_text(zone, "new"))

    addresses = [each for listed in Pair.of(operator).together.values() for each in listed]
    keys = operator.tree.keys(lab.fleet.domain)
    with edited(operator, change) as zone:
        operator.puppet.agent("oslo")
        since = time.monotonic()
        while not all(shown(operator, each, zone) == {'"new"'} for each in addresses):
            assert time.monotonic() - since < EDIT_SECONDS, "it is not everywhere yet"
        assert [problems(operator.dns, each, zone, keys=keys) for each in addresses] == [()] * 4
    operator.puppet.agent("oslo")


@pytest.mark.usefixtures("made")
def test_a_change_without_a_new_serial_is_refused(operator: Operator) -> None:
    # The second server would go on with the old version, and nobody would know why.
    def change(zone: Zone) -> Zone:
        return with_text(zone, "forgotten")

    with edited(operator, change) as zone, pytest.raises(PuppetCheckError) as told:
        operator.puppet.agent("oslo")
    assert re.search(rf"its serial \({zone.soa.serial}\) is not above", str(told.value))


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_going_back_costs_no_look_up_either(lab: Lab, operator: Operator) -> None:
    pair = Pair.of(operator)
    with Watch(lab=lab, title="The second server leaves", budget=NOBODY_NOTICES) as watch:
        step_class("dns_secondary")(operator=operator).rollback()
        watch.hold(until=NOBODY_NOTICES.at_least + 10)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)
    assert pair.second.served(fleet_names(lab)) == {}
    for zone in fleet_zones(lab.fleet, lab.site):
        assert operator.tree.delegation(zone).nameservers == {pair.first.name}
    assert operator.puppet.agent("bergen").changed == 0


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "waiting"), [(Name, False), (Delegate, False), (Delegate, True)])
def test_interrupted_anywhere_it_goes_on_and_back_from_there(
    lab_at: Callable[[str], Lab], phase: type[Name | Delegate], *, waiting: bool
) -> None:
    lab = lab_at("wipe")
    title = f"The second server, interrupted in {phase.name}"
    with Watch(lab=lab, title=title, budget=NOBODY_NOTICES) as watch:
        for _ in range(2):
            report = At(title=phase.title, action=pull_the_plug, waiting=waiting)
            with pytest.raises(PulledPlug):
                perform(step_class("dns_secondary")(operator=replace(in_lab(lab), report=report)))
            step_class("dns_secondary")(operator=in_lab(lab)).rollback()
        perform(step_class("dns_secondary")(operator=in_lab(lab)))
        watch.hold(until=NOBODY_NOTICES.at_least + 10)
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


def shown(operator: Operator, server: str, zone: Zone) -> set[str]:
    """Return the texts that a server has where the edit is."""
    name = f"edit.{zone.origin}"
    found = answered(operator.dns.query(server, name, "TXT"), name, "TXT")
    return {rdata.to_text() for rdata in found or ()}


def fleet_names(lab: Lab) -> list[str]:
    """Return the names of the fleet's zones, without the last dot."""
    return [name.rstrip(".") for name in fleet_zones(lab.fleet, lab.site)]

"""Step `web_ha`: Bergen serves every site beside Oslo, under load.

Budgets: 0 failed of at least 5,000 pages and 5,000 look-ups, 0 entries of the guest book lost or
doubled, forth and back; what is written on either is on the other within 2 s; nobody but the other
host gets to what they use among themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from lab.lab import Lab
from lab.operator import Operator, tls
from lab.parallel import side_by_side
from lab.rehearsal import Rehearsed, perform
from lab.steps import step_class
from lab.steps.web_ha_move import Pair
from lab.verdict import Budget, Outcome
from lab.watch import Watch
from lab.watch_failover import books

NOBODY_NOTICES = Budget(failed=0, gap=2.0, at_least=5_000)
ALIKE_SECONDS = 2.0
DATA = "/srv/www/foreningen/shared/data"
USER = "web-foreningen"
AMONG_THEMSELVES = (8081, 22000)
MARK = "gp-{:016x}"


@pytest.fixture(scope="module")
def made(make_step: Callable[[str, Budget], Rehearsed]) -> Rehearsed:
    """Make the step once for the scenarios that look at its result."""
    return make_step("web_ha", NOBODY_NOTICES)


def test_bergen_joins_and_nobody_notices(made: Rehearsed) -> None:
    assert {each.outcome for each in made.verdicts} == {Outcome.OK}, made.verdicts


@pytest.mark.usefixtures("made")
def test_made_again_it_changes_nothing(operator: Operator) -> None:
    before = operator.stage.read()
    perform(step_class("web_ha")(operator=operator))
    assert operator.stage.read() == before
    runs = side_by_side(operator.puppet.agent, Pair.of(operator).names)
    assert [run.changed for run in runs] == [0, 0]


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(("here", "there"), [("oslo", "bergen"), ("bergen", "oslo")])
def test_what_is_written_on_one_is_on_the_other(
    lab: Lab, operator: Operator, here: str, there: str
) -> None:
    marks = [MARK.format(time.time_ns() + number) for number in range(5)]
    for mark in marks:
        write(lab, here, mark)
    begun = time.monotonic()
    while not set(marks) <= books(lab, operator)[there].keys():
        assert time.monotonic() - begun < ALIKE_SECONDS
    upload = f"{DATA}/{marks[0]}.jpg"
    lab.ssh.run(here, f"runuser -u {USER} -- dd if=/dev/urandom of={upload} bs=1M count=3")
    sum_of_it = lab.ssh.run(here, ["sha256sum", upload]).stdout
    begun = time.monotonic()
    while lab.ssh.run(there, ["sha256sum", upload], check=False).stdout != sum_of_it:
        assert time.monotonic() - begun < ALIKE_SECONDS
    lab.ssh.run(there, ["rm", upload])


@pytest.mark.usefixtures("made")
def test_nobody_else_gets_to_what_they_use_among_themselves(lab: Lab) -> None:
    for host in ("oslo", "bergen"):
        world, inside = lab.site.address(host), lab.fleet.host(host).wireguard
        for port in AMONG_THEMSELVES:
            for address in (world.v4, world.v6):
                assert not opens(lab, "outside", str(address), port)
            assert not opens(lab, "tromso", str(inside), port)
            other = "bergen" if host == "oslo" else "oslo"
            assert opens(lab, other, str(inside), port)


@pytest.mark.usefixtures("made")
def test_each_has_a_key_of_its_own_and_gets_certificates_while_names_lead_to_both(
    lab: Lab, operator: Operator
) -> None:
    def key(host: str) -> str:
        address = str(lab.site.address(host).v4)
        found = tls.shown(lab.ssh.dial, address, lab.fleet.domain, 443)
        assert found
        return tls.key_of(found)

    assert key("oslo") != key("bergen")
    script = """
        rm -r /var/lib/dehydrated/certs/kort
        systemctl start web-certificates.service
    """
    before = key("bergen")
    lab.ssh.run("bergen", script, timeout=120)
    assert key("bergen") != before
    step_class("web_ha")(operator=operator).verify()


@pytest.mark.slow
def test_undone_it_costs_nothing(lab_at: Callable[[str], Lab], operator: Operator) -> None:
    lab = lab_at("web_ha")
    title = "Oslo serves alone again"
    with Watch(lab=lab, title=title, budget=NOBODY_NOTICES, visits=NOBODY_NOTICES) as watch:
        step_class("web_ha")(operator=operator).rollback()
        watch.hold_enough()
    assert {each.outcome for each in watch.verdicts} == {Outcome.OK}, watch.verdicts
    assert not opens(lab, "outside", str(lab.site.address("bergen").v4), 443)
    units = "systemctl list-units --plain --no-legend 'web-*' 'haproxy*' 'nginx*' 'php*'"
    running = lab.ssh.run("bergen", units).stdout
    assert running == ""


def write(lab: Lab, host: str, mark: str) -> None:
    """Write into the guest book, by way of one host."""
    name = f"foreningen.kunder.{lab.fleet.domain}"
    there = ["--resolve", f"{name}:80:{lab.site.address(host).v4}", f"http://{name}/"]
    form = ["--data", f"name=somebody&text={mark}"]
    said = lab.ssh.run("outside", ["curl", "--silent", "--include", *form, *there]).stdout
    assert said.startswith("HTTP/1.1 303"), said


def opens(lab: Lab, source: str, address: str, port: int) -> bool:
    """Whether somebody on *source* gets a connection."""
    return lab.ssh.run(source, f"timeout 2 bash -c '</dev/tcp/{address}/{port}'", check=False).ok

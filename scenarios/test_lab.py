"""The lab itself: it comes up, it is a small internet, it survives rough handling, it goes away.

Budgets: one hop between any two hosts; nothing failed anywhere; nothing left after `lab-down`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from lab.engine.base import State
from lab.engine.docker import LAB_LABEL
from lab.fault_rules import Direction
from lab.faults import Faults
from lab.lab import Lab
from lab.milestones import Milestones
from lab.operator.ssh import SshError
from lab.status import status
from lab.store import StoreError, labs

PROJECT = Path(__file__).resolve().parent.parent


def command(*argv: str) -> list[str]:
    """Return the command line of one of this project's own commands."""
    return [str(Path(sys.executable).with_name("invoke")), *argv]


def test_three_servers_and_a_small_internet_come_up_without_a_failed_unit(
    lab_at: Callable[[str], Lab],
) -> None:
    found = status(lab_at("bare"))
    assert {one.name for one in found.machines} >= {"oslo", "bergen", "tromso", "router"}
    assert {one.system for one in found.machines} == {"running"}
    assert found.faults == ()


@pytest.mark.parametrize("family", ["4", "6"])
def test_hosts_see_each_other_through_exactly_one_router(lab: Lab, family: str) -> None:
    address = lab.site.address("bergen")
    target = str(address.v4 if family == "4" else address.v6)
    said = lab.ssh.run(
        "outside", ["traceroute", "-I", f"-{family}", "-n", "-q1", "-w2", target]
    ).stdout
    hops = [line.split()[1] for line in said.splitlines()[1:]]
    router = lab.blueprint().router
    assert hops == [str(router.v4 if family == "4" else router.v6), target]


def test_the_distance_between_providers_is_the_one_in_the_fleet(lab: Lab) -> None:
    fleet = lab.fleet
    one_way = fleet.delay(fleet.host("oslo").provider, fleet.host("bergen").provider)
    target = str(lab.site.address("bergen").v4)
    said = lab.ssh.run("oslo", ["ping", "-c5", "-i0.2", "-q", target]).stdout
    average = float(said.rsplit("=", 1)[1].split("/")[1]) / 1000
    assert 2 * one_way <= average <= 2 * one_way + 0.020


def test_packages_come_through_the_router_and_a_cut_cuts_that_too(lab: Lab) -> None:
    update = "apt-get -o Acquire::Retries=0 -o Acquire::http::Timeout=3 update --error-on=any"
    lab.ssh.run("oslo", update, timeout=120)
    with Faults(lab=lab).silent_cut("mirror"):
        assert not lab.ssh.run("oslo", update, check=False).ok
    lab.ssh.run("oslo", update, timeout=120)


def test_a_machine_that_loses_power_comes_back_with_its_cable(lab: Lab) -> None:
    before = lab.ssh.run("oslo", ["cat", "/proc/sys/kernel/random/boot_id"]).stdout
    with Faults(lab=lab).power_loss("oslo"):
        assert lab.engine.states()["oslo"] is State.STOPPED
        assert not reachable(lab, "oslo")
    assert lab.ssh.run("oslo", ["cat", "/proc/sys/kernel/random/boot_id"]).stdout != before


def test_a_cut_is_silent_and_heals(lab: Lab) -> None:
    faults = Faults(lab=lab)
    with faults.silent_cut("oslo"):
        assert faults.in_force() == ["cut oslo"]
        assert not reachable(lab, "oslo")
        assert reachable(lab, "tromso")
    assert faults.in_force() == []
    assert reachable(lab, "oslo")


def test_a_partition_leaves_both_hosts_to_the_world(lab: Lab) -> None:
    target = str(lab.site.address("bergen").v6)
    with Faults(lab=lab).partition("oslo", "bergen"):
        assert not lab.ssh.run("oslo", ["ping", "-c1", "-W1", target], check=False).ok
        assert reachable(lab, "oslo")
        assert reachable(lab, "bergen")
    lab.ssh.run("oslo", ["ping", "-c1", "-W1", target])


@pytest.mark.parametrize("direction", ["from", "to"])
def test_a_one_way_cut_is_enough_to_be_unreachable(lab: Lab, direction: Direction) -> None:
    with Faults(lab=lab).one_way_cut("oslo", direction):
        assert not reachable(lab, "oslo")
        assert reachable(lab, "bergen")
    assert reachable(lab, "oslo")


def test_loss_takes_its_share_of_the_packets(lab: Lab) -> None:
    ping = ["ping", "-q", "-c100", "-i0.01", "-W1", str(lab.site.address("oslo").v4)]
    with Faults(lab=lab).loss("oslo", percent=30):
        said = lab.ssh.run("outside", ping, check=False).stdout
    # Either way: 51 % in the mean, and 30 to 72 % in all but one of a hundred thousand runs.
    lost = float(said.split("% packet loss")[0].split()[-1])
    assert 30 <= lost <= 72


def test_a_providers_outage_takes_its_hosts_and_no_other(lab: Lab) -> None:
    with Faults(lab=lab).provider_outage(lab.fleet.host("oslo").provider):
        assert not reachable(lab, "oslo")
        assert reachable(lab, "bergen")
    assert reachable(lab, "oslo")


def test_a_frozen_host_accepts_connections_and_says_nothing(lab: Lab) -> None:
    address = str(lab.site.address("oslo").v4)
    with Faults(lab=lab).frozen("oslo"):
        lab.ssh.run("outside", ["nc", "-z", "-w2", address, "22"])
        assert (
            lab.ssh.run("outside", ["timeout", "2", "nc", address, "22"], check=False).stdout == ""
        )
    assert reachable(lab, "oslo")


def test_the_engine_restarted_under_the_lab_costs_one_lab_up(lab: Lab) -> None:
    lab.engine.kill(list(lab.engine.states()))
    lab.up()
    assert {one.system for one in status(lab).machines} == {"running"}
    assert reachable(lab, "bergen")


def test_a_second_command_at_once_is_told_who_is_at_work(lab: Lab) -> None:
    with pytest.raises(StoreError, match="pytest scenarios, process"), lab.store.locked("lab-up"):
        pass


@pytest.fixture
def spare() -> Iterator[str]:
    """Return the name of a second lab, gone without a trace at the end."""
    name = "spare"
    yield name
    subprocess.run(command("lab-down", "--lab", name), cwd=PROJECT, check=True)
    assert leftovers(name) == []


def test_a_second_lab_stands_beside_the_first_at_its_own_addresses(lab: Lab, spare: str) -> None:
    subprocess.run(command("lab-up", "--lab", spare), cwd=PROJECT, check=True)
    other = Lab(name=spare, fleet=lab.fleet, report=lab.report)
    assert other.site.address("oslo") != lab.site.address("oslo")
    assert reachable(other, "oslo")
    assert reachable(lab, "oslo")


def test_an_interrupted_lab_up_goes_on_where_it_stood(spare: str) -> None:
    started = subprocess.Popen(command("lab-up", "--lab", spare), cwd=PROJECT)
    until(lambda: leftovers(spare), seconds=60)
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=60) == 130
    subprocess.run(command("lab-up", "--lab", spare), cwd=PROJECT, check=True)


def test_a_lab_made_anew_goes_back_to_a_milestone_of_the_one_before(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("bare")
    lab.down()
    lab.up()
    Milestones(lab=lab).restore("bare")
    for host in lab.fleet.hosts:
        assert reachable(lab, host)


def test_a_container_made_by_hand_from_a_milestone_is_no_machine(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("bare")
    milestone = Milestones(lab=lab).find("bare")
    assert milestone is not None
    machines = lab.engine.states()
    by_hand = docker.from_env().containers.create(milestone.image("oslo"))
    try:
        lab.engine.remove(["oslo"])
        assert lab.engine.states().keys() == machines.keys() - {"oslo"}
        lab.up()
        assert reachable(lab, "oslo")
    finally:
        by_hand.remove(force=True)


def test_lab_down_leaves_nothing_behind(spare: str) -> None:
    interfaces, rules = host_interfaces(), host_rules()
    subprocess.run(command("lab-up", "--lab", spare), cwd=PROJECT, check=True)
    subprocess.run(command("lab-down", "--lab", spare), cwd=PROJECT, check=True)
    assert leftovers(spare) == []
    assert spare not in labs()
    assert host_interfaces() == interfaces
    assert host_rules() == rules


def reachable(lab: Lab, host: str) -> bool:
    """Whether *host* answers over SSH on a new connection within three seconds."""
    lab.ssh.forget(host)
    try:
        return lab.ssh.run(host, ["true"], timeout=3).ok
    except SshError:
        return False


def leftovers(name: str) -> list[str]:
    """Return the names of what the engine still has of a lab."""
    client = docker.from_env()
    chosen = {"label": f"{LAB_LABEL}={name}"}
    containers = client.containers.list(all=True, filters=chosen, ignore_removed=True)
    return [str(one.name) for one in (*containers, *client.volumes.list(filters=chosen))]


def host_interfaces() -> list[str]:
    """Return this machine's own network interfaces."""
    return sorted(
        path.name for path in Path("/sys/class/net").iterdir() if not path.name.startswith("veth")
    )


def host_rules() -> list[str]:
    """Return this machine's own firewall rules, where they may be read."""
    if os.geteuid() != 0:
        return []
    said = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if line.startswith("-")]


def until(condition: Callable[[], object], *, seconds: float) -> None:
    """Wait for *condition*, and fail when it has not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)

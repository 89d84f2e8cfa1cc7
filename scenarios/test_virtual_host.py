"""A host with a kernel of its own: how it boots, and that nothing above the engine knows.

Oslo is a virtual machine, all else is as always. Budgets: between two boots no port is open for a
moment that is not to be; a step costs nobody anything, and a second run of Puppet changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import pytest

from lab import fidelity
from lab.faults import Faults
from lab.lab import Lab
from lab.operate import in_lab
from lab.rehearsal import under_load
from lab.steps import step_class
from lab.verdict import Budget, Outcome
from lab.world.machines import OUTSIDE

pytestmark = pytest.mark.virtual

NOBODY_NOTICES: Final = Budget(failed=0, gap=2.0, at_least=1_000)
CLOSED_PORT: Final = 4_711
"""Nobody listens there: a kernel without a firewall would say so, with one nothing is said."""

# Until something comes in; whoever is refused has met a kernel without a firewall. Whether there is
# a host is asked by ping: sshd turns away, for a while, whoever comes and goes
# (PerSourcePenalties), and the operator comes the same way.
KNOCKING: Final = """
import collections, json, select, socket, subprocess, sys
port, *addresses = sys.argv[1:]
said = collections.Counter()
def knock(address):
    try:
        socket.create_connection((address, int(port)), timeout=0.1).close()
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "silent"
def ping(address):
    asked = subprocess.run(["ping", "-c1", "-W0.1", address], stdout=subprocess.DEVNULL)
    return "silent" if asked.returncode else "there"
enough = False
while not enough:
    for address in addresses:
        said["closed port " + knock(address)] += 1
        said["host " + ping(address)] += 1
    enough = select.select([sys.stdin], [], [], 0)[0]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def container(lab_at: Callable[[str], Lab]) -> fidelity.Portrait:
    """Return what Oslo is as a container."""
    return fidelity.look(lab_at("control").ssh, "oslo")


@pytest.fixture(scope="module")
def virtual(container: fidelity.Portrait, virtual_at: Callable[[str], Lab]) -> Lab:
    """Return the lab at the end of step control, with Oslo as a virtual machine."""
    assert container
    return virtual_at("control")


def said(lab: Lab, script: str) -> str:
    """Return what a script says on Oslo."""
    return lab.ssh.run("oslo", script, timeout=60).stdout.strip()


def test_it_has_booted_a_kernel_of_its_own_from_its_own_disk(virtual: Lab) -> None:
    assert "root=/dev/vda" in said(virtual, "cat /proc/cmdline")
    assert said(virtual, "findmnt -no SOURCE,FSTYPE /").split() == ["/dev/vda", "ext4"]
    assert said(virtual, "ls /lib/modules") == said(virtual, "uname -r")
    assert said(virtual, "ls /sys/class/net").split() == ["eth0", "lo", "wg0"]
    assert said(virtual, "systemctl is-system-running") == "running"


def test_the_mesh_is_made_by_the_kernels_own_module(virtual: Lab) -> None:
    assert said(virtual, "cut -d' ' -f1 /proc/modules | grep -x wireguard") == "wireguard"
    assert said(virtual, "pgrep -c wireguard-go || true") == "0"


@contextmanager
def knocking(lab: Lab, *addresses: str) -> Iterator[dict[str, int]]:
    """Let somebody knock from outside while the block runs; what they heard is there afterwards."""
    heard: dict[str, int] = {}
    lab.ssh.run(OUTSIDE, "mkfifo /run/knocking")
    script = f"""
        trap 'rm /run/knocking' EXIT
        exec 3<>/run/knocking
        python3 -c '{KNOCKING}' {CLOSED_PORT} {" ".join(addresses)} <&3
    """
    with ThreadPoolExecutor() as pool:
        listening = pool.submit(lab.ssh.run, OUTSIDE, script, timeout=900)
        try:
            yield heard
        finally:
            lab.ssh.run(OUTSIDE, "echo enough >/run/knocking", timeout=60)
            heard |= json.loads(listening.result().stdout)


def test_no_port_is_open_for_a_moment_while_it_boots(virtual: Lab) -> None:
    address = virtual.site.address("oslo")
    with (
        knocking(virtual, str(address.v4), str(address.v6)) as heard,
        Faults(lab=virtual).power_loss("oslo"),
    ):
        pass
    with knocking(virtual, "127.0.0.1", "::1") as without:
        pass
    assert without["closed port refused"] > 0  # so it is heard where there is no firewall
    assert heard.get("closed port refused", 0) == 0, heard
    assert heard["closed port silent"] >= 100
    assert heard["host there"] > 0
    assert heard["host silent"] > 0  # it was away, and somebody looked


def test_puppet_finds_nothing_to_change_in_it(virtual: Lab) -> None:
    puppet = in_lab(virtual).puppet
    puppet.agent("oslo")
    assert puppet.agent("oslo").changed == 0


def test_all_that_is_different_from_the_container_is_what_a_kernel_brings(
    container: fidelity.Portrait, virtual: Lab
) -> None:
    found = fidelity.differences(container, fidelity.look(virtual.ssh, "oslo"))
    by_aspect = {
        aspect: [each for each in found if each.aspect == aspect] for aspect in fidelity.ASPECTS
    }
    # What a program does where the kernel has no module is the kernel's own here.
    assert [each for each in by_aspect["sockets"] if each.one != "wireguard-go"] == []
    assert [each for each in by_aspect["packages"] if each.one] == []  # it has more, no others
    assert {"release", "command line", "virtualisation"} <= {
        each.what for each in by_aspect["kernel"]
    }


@pytest.mark.slow
def test_a_step_is_made_as_on_any_host_and_nobody_notices(virtual: Lab) -> None:
    step = step_class("dns")(operator=in_lab(virtual))
    done = under_load(virtual, step, budget=NOBODY_NOTICES)
    assert done.verdict.outcome is Outcome.OK, str(done.verdict)
    assert in_lab(virtual).puppet.agent("oslo").changed == 0

"""What every engine has to do for a lab, the same for containers and for virtual machines.

One machine and a router, without the rest of a lab: nothing here knows which engine it has.

Budgets: a command that does not end is given up; a machine that stands still, was never made or
was made halfway is told of in one line; nothing is left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from lab.console import SilentReporter
from lab.engine import choice, wiring
from lab.engine.base import Engine, EngineError, File, MachineSpec, State
from lab.engine.client import connect
from lab.engine.images import BASE, REPOSITORY
from lab.engine.wiring import Cable
from lab.machines import WORLD

PROJECT = Path(__file__).resolve().parent.parent
ROUTER, HOST = "router", "oslo"
ROUTER_V4, ROUTER_V6 = IPv4Address("198.18.0.1"), IPv6Address("fd18::1")
CABLE = Cable(machine=HOST, v4=IPv4Address("198.18.10.10"), v6=IPv6Address("fd18:0:10::10"))
SAVED = f"{REPOSITORY}/contract:{HOST}"
NOISE = bytes(range(256)) * 40
FILES = {
    "/etc/lab/hosts": File(content=f"127.0.0.1 localhost\n127.0.1.1 {HOST}\n"),
    "/root/noise": File(content=NOISE, mode=0o640),
}
SPEC = MachineSpec(
    name=HOST, image=BASE.tag, files=FILES, cores=2, memory_mb=1024, cable=CABLE, gateway=ROUTER_V4
)
# The longest pause between two beats, and how long ago the last one was.
PAUSES = """
awk -v now="$(date +%s.%N)" \
    'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { print most, now - last }' \
    /root/beats
"""
MORE = """
n=$(wc -l </root/beats || echo 0)
until [ "$(wc -l </root/beats)" -gt $((n + 1)) ]; do sleep 0.05; done
"""
BOOTED = "until systemctl is-system-running --wait | grep -qx running; do sleep 0.2; done"


def engine_of(kind: str, lab: str) -> Engine:
    """Return an engine in which the host is made by *kind*."""
    return choice.engine(
        lab=lab,
        chosen=choice.parse(f"{HOST}={kind}", hosts=[HOST]),
        tools=WORLD.tag,
        client=connect(timeout=600),
        report=SilentReporter(),
    )


@pytest.fixture(
    scope="module",
    params=[
        choice.CONTAINERS,
        pytest.param(choice.VIRTUAL, marks=pytest.mark.virtual),
    ],
)
def kind(request: pytest.FixtureRequest) -> str:
    """Return what the host is made by."""
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def called(kind: str, pytestconfig: pytest.Config) -> str:
    """Return the name under which the machines stand."""
    return f"{pytestconfig.getoption('lab')}-{kind}"[:20]


@pytest.fixture(scope="module")
def fresh(kind: str, called: str) -> Iterator[Engine]:
    """Return an engine that has no machine; at the end it has none again."""
    found = engine_of(kind, called)
    found.ensure([BASE, WORLD])
    found.sweep()
    yield found
    found.sweep()
    found.discard([SAVED])
    assert found.states() == {}
    assert leftovers(called) == []


@pytest.fixture
def engine(fresh: Engine) -> Engine:
    """Return the engine with both machines up and connected."""
    states = fresh.states()
    router = MachineSpec(name=ROUTER, image=WORLD.tag)
    fresh.create([spec for spec in (router, SPEC) if spec.name not in states])
    fresh.thaw([name for name, state in states.items() if state is State.FROZEN])
    fresh.start([ROUTER, HOST])
    connected(fresh)
    fresh.run(HOST, ["sh", "-c", BOOTED], timeout=60)
    return fresh


def connected(engine: Engine) -> None:
    """Lay the cable where it is not."""
    there = engine.run(ROUTER, ["sh", "-c", wiring.LOOK], check=False).output.split()
    if CABLE.router_end not in there:
        engine.script(
            wiring.lay(
                [CABLE],
                router=ROUTER,
                router_v4=ROUTER_V4,
                router_v6=ROUTER_V6,
                ends=engine.ends([ROUTER, HOST]),
            )
        )


def test_a_machine_is_made_before_it_runs_and_starting_it_twice_is_no_fault(fresh: Engine) -> None:
    fresh.create([SPEC])
    assert fresh.states().get(HOST) is not State.RUNNING
    fresh.start([HOST])
    fresh.start([HOST])
    assert fresh.states() == {HOST: State.RUNNING}


def test_it_starts_with_its_name_and_the_files_that_it_was_given(engine: Engine) -> None:
    assert engine.run(HOST, ["hostname"]).output == f"{HOST}\n"
    assert f"127.0.1.1 {HOST}" in engine.run(HOST, ["cat", "/etc/hosts"]).output
    look = ["sh", "-c", "stat -c '%U %a' /root/noise && sha256sum </root/noise"]
    said = engine.run(HOST, look).output
    check = subprocess.run(["sha256sum"], input=NOISE, capture_output=True, check=True)
    assert said == f"root 640\n{check.stdout.decode()}"


def test_nothing_has_failed_in_it_and_it_has_a_key_of_its_own(engine: Engine) -> None:
    failed = engine.run(HOST, ["systemctl", "list-units", "--failed", "--plain", "--no-legend"])
    assert failed.output == ""
    key = engine.run(HOST, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).output
    assert key.startswith("ssh-ed25519 ")


def test_a_command_says_what_it_wrote_and_how_it_ended(engine: Engine) -> None:
    said = engine.run(HOST, ["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (said.code, sorted(said.output.split())) == (3, ["err", "out"])
    with pytest.raises(EngineError, match="exited 3: no"):
        engine.run(HOST, ["sh", "-c", "echo no; exit 3"])


def test_a_long_answer_arrives_whole(engine: Engine) -> None:
    said = engine.run(HOST, ["seq", "100000"]).output
    assert said.splitlines()[-1] == "100000"


def test_a_command_that_does_not_end_is_given_up(engine: Engine) -> None:
    assert engine.run(HOST, ["sleep", "500"], timeout=1, check=False).code == 124


def test_the_cable_leads_to_the_router_in_both_families(engine: Engine) -> None:
    for address in (CABLE.v4, CABLE.v6):
        reached(engine, ROUTER, str(address))
    for address in (ROUTER_V4, ROUTER_V6):
        reached(engine, HOST, str(address))


def test_a_router_that_was_away_is_connected_again(engine: Engine) -> None:
    engine.kill([ROUTER])
    engine.start([ROUTER])
    connected(engine)
    for address in (CABLE.v4, CABLE.v6):
        reached(engine, ROUTER, str(address))


def test_a_frozen_machine_stands_still_and_its_kernel_answers(engine: Engine) -> None:
    beat = "while date +%s.%N >>/root/beats; do sleep 0.1; done"
    engine.run(HOST, ["systemd-run", "--unit=beats", "sh", "-c", beat])
    engine.run(HOST, ["sh", "-c", MORE])
    engine.freeze([HOST])
    assert engine.states()[HOST] is State.FROZEN
    reached(engine, ROUTER, str(CABLE.v4))
    connecting = ["nc", "-z", "-w5", str(CABLE.v4), "22"]
    assert engine.run(ROUTER, connecting, check=False).ok
    with pytest.raises(EngineError):
        engine.run(HOST, ["true"], timeout=2)
    time.sleep(3)
    engine.thaw([HOST])
    assert engine.states()[HOST] is State.RUNNING
    engine.run(HOST, ["sh", "-c", MORE])
    pause, silence = map(float, engine.run(HOST, ["sh", "-c", PAUSES]).output.split())
    assert pause >= 2.5
    assert silence <= 2.5
    engine.run(HOST, ["systemctl", "stop", "beats"])


def test_power_lost_and_back_is_a_new_boot_with_what_was_written(engine: Engine) -> None:
    boot = ["cat", "/proc/sys/kernel/random/boot_id"]
    before = engine.run(HOST, boot).output
    engine.run(HOST, ["sh", "-c", "echo kept >/root/kept && sync"])
    engine.kill([HOST])
    assert engine.states()[HOST] is State.STOPPED
    engine.kill([HOST])  # nothing is left to take away
    with pytest.raises(EngineError):
        engine.run(HOST, ["true"])
    with pytest.raises(EngineError):
        engine.ends([HOST])
    engine.start([HOST])
    connected(engine)
    assert engine.run(HOST, boot).output != before
    assert engine.run(HOST, ["cat", "/root/kept"]).output == "kept\n"
    reached(engine, ROUTER, str(CABLE.v4))


def test_a_saved_machine_comes_back_as_it_was_shut_down(engine: Engine) -> None:
    goodbye = ["systemd-run", "--unit=bye", "-p", "ExecStop=touch /root/bye", "sleep", "infinity"]
    engine.run(HOST, goodbye)
    key = engine.run(HOST, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).output
    engine.stop([HOST])
    assert engine.states()[HOST] is State.STOPPED
    engine.snapshot(HOST, SAVED)
    assert SAVED in engine.images(f"{REPOSITORY}/contract")
    engine.remove([HOST])
    engine.create([replace(SPEC, image=SAVED, files={})])
    engine.start([HOST])
    connected(engine)
    engine.run(HOST, ["test", "-e", "/root/bye"])
    assert engine.run(HOST, ["hostname"]).output == f"{HOST}\n"
    assert engine.run(HOST, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).output == key
    reached(engine, ROUTER, str(CABLE.v6))


def test_a_wiped_machine_knows_nothing(engine: Engine) -> None:
    engine.run(HOST, ["sh", "-c", "echo secret >/root/secret && sync"])
    key = engine.run(HOST, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).output
    engine.remove([HOST])
    assert HOST not in engine.states()
    engine.create([SPEC])
    engine.start([HOST])
    connected(engine)
    engine.run(HOST, ["sh", "-c", BOOTED], timeout=60)
    assert not engine.run(HOST, ["test", "-e", "/root/secret"], check=False).ok
    assert engine.run(HOST, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).output != key


def test_what_was_saved_can_be_forgotten(engine: Engine) -> None:
    engine.discard([SAVED])
    engine.discard([SAVED])
    assert SAVED not in engine.images(f"{REPOSITORY}/contract")
    with pytest.raises(EngineError) as told:
        engine.create([replace(SPEC, image=SAVED, files={})])
    assert "\n" not in str(told.value)


def test_whoever_was_never_made_is_told_of_in_one_line(engine: Engine) -> None:
    for act in (engine.start, engine.stop, engine.freeze, engine.thaw):
        with pytest.raises(EngineError) as told:
            act(["nobody"])
        assert "\n" not in str(told.value)
    engine.remove(["nobody"])


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(0.3, marks=pytest.mark.slow),
        1.5,
        pytest.param(3.0, marks=pytest.mark.slow),
    ],
)
def test_killed_half_way_it_is_made_anew(
    fresh: Engine, kind: str, called: str, seconds: float
) -> None:
    fresh.remove([HOST])
    code = f"import test_engine_contract as c; c.make({kind!r}, {called!r})"
    environment = os.environ | {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'scenarios'}"}
    begun = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, cwd=PROJECT, start_new_session=True
    )
    time.sleep(seconds)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    if HOST not in fresh.states():
        fresh.create([SPEC])
    fresh.start([HOST])
    assert fresh.states()[HOST] is State.RUNNING
    assert fresh.run(HOST, ["hostname"]).output == f"{HOST}\n"


def make(kind: str, lab: str) -> None:
    """Make the host and start it, in a process that is killed meanwhile."""
    found = engine_of(kind, lab)
    found.create([SPEC])
    found.start([HOST])
    time.sleep(60)


def reached(engine: Engine, name: str, address: str) -> None:
    """Wait until *address* answers *name*."""
    ping = f"until ping -c1 -W1 {address}; do sleep 0.1; done"
    engine.run(name, ["sh", "-c", ping], timeout=10)


def leftovers(lab: str) -> list[str]:
    """Return what this computer still has of the machines."""
    containers = connect().containers.list(all=True, filters={"name": f"gp-{lab}-"})
    processes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"gp-{lab}-".encode() in path.read_bytes():
                processes.append(path.parent.name)
        except OSError:
            continue
    return [*(str(one.name) for one in containers), *processes]

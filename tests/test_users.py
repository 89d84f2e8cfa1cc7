"""The users at work: the very program that is shipped, against real servers on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from name_server import PORT, NameServer

from lab.addresses import world_address
from lab.history import History
from lab.users.plan import both, standard_plan
from lab.users.probes import Lookup, Plan, Probe
from lab.users.session import shipped
from lab.verdict import Budget, Outcome, judge

OLD, NEW = "127.0.53.2", "127.0.53.3"
ZONE = "@ 20 NS ns1\nwww 20 A 192.0.2.1\n"


@pytest.fixture
def old() -> Iterator[NameServer]:
    with NameServer(OLD, nordlys_example=ZONE) as server:
        yield server


def test_the_plan_survives_its_journey() -> None:
    resolver, root = world_address(10, block=2), world_address(53, block=2)
    lookups = [Lookup(name="www.nordlys.example", type="A", expect=(("192.0.2.1",),), secure=True)]
    plan = standard_plan(
        resolver=both(resolver),
        root=both(root),
        lookups=lookups,
        fresh=[Lookup(name="*.x", type="A", rcode="NXDOMAIN")],
    )
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.rate == pytest.approx(100)
    assert {probe.name for probe in plan.probes} == {
        *(f"{way} {how}" for way in ("udp4", "udp6", "tcp4", "tcp6") for how in ("cached", "walk")),
        "udp4 fresh",
        "udp6 fresh",
    }
    servers = {probe.name: probe.servers for probe in plan.probes}
    assert servers["udp6 walk"] == ("fd18:2::53",)
    assert servers["tcp4 cached"] == ("198.18.128.10",)


class Client:
    """The real program, from the very archive that is shipped."""

    def __init__(self, tmp_path: Path, *probes: Probe) -> None:
        archive = tmp_path / "users.zip"
        archive.write_bytes(shipped())
        (tmp_path / "plan.json").write_text(Plan(probes=probes).to_json(), encoding="utf-8")
        self.directory = tmp_path / "history"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab.users.client", "plan.json", "history"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(archive)},
        )

    def history(self) -> History:
        """Return what it wrote so far."""
        return History.read(self.directory)

    def wait_for(self, count: int) -> None:
        """Wait until so many operations are written."""
        deadline = time.monotonic() + 20
        while not self.directory.exists() or len(self.history().operations) < count:
            assert self.process.poll() is None, "it died"
            assert time.monotonic() < deadline, "too slow"
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> History:
        """Send a signal, wait for the end, return everything written."""
        self.process.send_signal(number)
        self.process.wait(timeout=10)
        return self.history()


def probe(name: str, server: str, **more: object) -> Probe:
    return Probe(
        name=name,
        via="resolver",
        transport="udp",
        servers=(server,),
        lookups=(Lookup(name="www.nordlys.example", type="A"),),
        cadence=0.05,
        timeout=1.0,
        port=PORT,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.usefixtures("old")
def test_a_slow_server_holds_nobody_up(tmp_path: Path) -> None:
    with NameServer(NEW, nordlys_example=ZONE) as slow:
        slow.delay = 0.7
        client = Client(tmp_path, probe("fast", OLD), probe("slow", NEW))
        client.wait_for(80)
        history = client.end(signal.SIGTERM)
    assert client.process.returncode == 0
    verdict = judge(history, subject="x", kind="lookup", budget=Budget(gap=2, at_least=60))
    assert verdict.outcome is Outcome.OK, verdict
    fast, slowly = verdict.targets
    assert slowly.total == pytest.approx(fast.total, abs=4)
    assert slowly.cadence == pytest.approx(0.05, abs=0.01)
    assert fast.slowest < 0.5 < slowly.slowest
    assert history.cut_short("lookup") == frozenset()


def test_questions_under_way_are_waited_for(tmp_path: Path, old: NameServer) -> None:
    client = Client(tmp_path, probe("p", OLD))
    client.wait_for(10)
    old.silent = True
    time.sleep(0.3)
    history = client.end(signal.SIGTERM)
    asked = len(old.questions)
    assert len(history.operations) == asked, "each question has its operation"
    assert any(item.ok is False for item in history.operations)


@pytest.mark.usefixtures("old")
def test_killed_users_are_told_from_users_who_went_home(tmp_path: Path) -> None:
    client = Client(tmp_path, probe("p", OLD))
    client.wait_for(10)
    history = client.end(signal.SIGKILL)
    verdict = judge(history, subject="x", kind="lookup", budget=Budget())
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reasons == ("the history was cut short at p",)


def test_the_measured_gap_is_the_real_one(tmp_path: Path, old: NameServer) -> None:
    client = Client(tmp_path, probe("p", OLD))
    client.wait_for(10)
    old.silent = True
    start = time.monotonic()
    time.sleep(1.5)
    old.silent = False
    real = time.monotonic() - start
    client.wait_for(50)
    history = client.end(signal.SIGTERM)
    verdict = judge(history, subject="x", kind="lookup", budget=Budget(gap=1))
    assert verdict.outcome is Outcome.FAIL
    resolution = verdict.figures.resolution
    assert real - 0.05 <= verdict.figures.gap <= real + 2 * resolution + 0.05

"""Planned work: what a host is told, and who may be drained."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from hands import operator_in

from lab.drain import Drain, DrainCheckError, DrainError
from lab.operator import zones
from lab.operator.stage import Stage
from lab.operator.zones import Zone

SCRIPT = Path(__file__).parents[1] / "puppet/site/profile/files/host-drain"
ZONE = zones.read(
    "nordlys.example",
    """\
@ 20 SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@ 20 NS ns-oslo.nordlys.example.
mail 20 A 198.18.10.10
web 10 LUA A "ifurlup('http://web/healthz',{'198.18.10.10','198.18.20.20'})"
web 10 LUA AAAA "ifurlup('http://web/healthz',{'fd18:0:10::10','fd18:0:20::20'})"
*.kunder 5 LUA A "ifurlup('http://kunder/healthz',{'198.18.10.10','198.18.20.20'})"
first 10 LUA A "ifurlup('http://first:8025/',{{'198.18.10.10'},{'198.18.20.20'}})"
other 5 LUA A "ifurlup('http://other/healthz',{'198.18.20.20'})"
""",
)


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the script with files of its own."""
    (tmp_path / "drain.d").mkdir()
    text = SCRIPT.read_text().replace("/var/lib/fleet", str(tmp_path))
    path = tmp_path / "host-drain"
    path.write_text(text.replace("/etc/fleet/drain.d", str(tmp_path / "drain.d")))
    (tmp_path / "drain.map").touch()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", path, *arguments], capture_output=True, text=True, check=False)

    return run


def hook(directory: Path, text: str) -> None:
    path = directory / "drain.d" / "service"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_host_says_how_it_stands_and_services_are_told(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    hook(tmp_path, f'echo "$1" >>{tmp_path}/told')
    assert script("status").stdout == "open\n"
    for what in ("on", "on", "off", "on"):
        assert script(what).returncode == 0
    assert script("status").stdout == "drained\n"
    assert (tmp_path / "drain.map").read_text() == "host drained\n"
    assert (tmp_path / "told").read_text().split() == ["on", "on", "off", "on"]


def test_a_service_that_does_not_listen_is_named_and_keeps_nobody_from_draining(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    hook(tmp_path, "exit 1")
    said = script("on")
    assert (said.returncode, said.stderr) == (1, f"{tmp_path}/drain.d/service failed\n")
    assert script("status").stdout == "drained\n"


def test_it_says_how_it_is_called(
    script: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    said = script()
    assert said.returncode == 2
    assert "host-drain on" in said.stderr


@pytest.fixture
def drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drain:
    """Return what drains Oslo, whose stage lets it serve with Bergen."""
    served = {"profile::web::hosts": ["oslo", "bergen"]}
    monkeypatch.setattr(Stage, "read", lambda _: served)
    content: dict[str, Zone] = {ZONE.origin: ZONE}
    monkeypatch.setattr(Drain, "_content", lambda _: content)
    operator = operator_in(tmp_path)
    return Drain(operator=operator, host=operator.fleet.host("oslo"))


def test_every_name_that_may_lead_to_it_is_waited_for(drain: Drain) -> None:
    found = {(each.name, each.type, each.address, each.ttl) for each in drain.led()}
    assert found == {
        ("web.nordlys.example.", "A", "198.18.10.10", 10),
        ("web.nordlys.example.", "AAAA", "fd18:0:10::10", 10),
        ("any.kunder.nordlys.example.", "A", "198.18.10.10", 5),
        ("first.nordlys.example.", "A", "198.18.10.10", 10),
    }


@pytest.mark.parametrize(
    ("host", "waits"),
    [("oslo", pytest.raises(DrainError, match="first")), ("bergen", nullcontext())],
)
def test_a_name_that_prefers_the_other_is_not_waited_for_when_both_are_well(
    drain: Drain,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    host: str,
    waits: AbstractContextManager[object],
) -> None:
    operator = operator_in(tmp_path)
    monkeypatch.setattr(Drain, "_right", lambda _, each, __: each.name != "first.nordlys.example.")
    drain = Drain(operator=operator, host=operator.fleet.host(host))
    with waits:
        drain.led_to(within=0.0)


@pytest.mark.parametrize("stands", ["drained", ""])
def test_the_last_one_that_serves_is_not_drained(
    drain: Drain, monkeypatch: pytest.MonkeyPatch, stands: str
) -> None:
    monkeypatch.setattr(Drain, "_status", lambda *_: stands)
    with pytest.raises(DrainCheckError, match="no other host would serve"):
        drain.check()


def test_with_another_one_it_may_be(drain: Drain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Drain, "_status", lambda *_: "open")
    drain.check()


def test_a_host_that_serves_alone_is_not_drained(
    drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stage, "read", lambda _: {})
    with pytest.raises(DrainCheckError, match="Step web_ha"):
        drain.check()

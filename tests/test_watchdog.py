"""Who listens outside for the fleet's watchdog."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.fleet import Fleet
from lab.world import watchdog
from lab.world.machines import MAILER, WATCHDOG_PORT
from lab.world.names import machine_name
from lab.world.watchdog import Silence, is_watchdog


def call(*, name: str = "Watchdog", status: str = "firing") -> bytes:
    return json.dumps({"alerts": [{"status": status, "labels": {"alertname": name}}]}).encode()


@pytest.mark.parametrize(
    ("body", "right"),
    [
        (call(), True),
        (call(status="resolved"), False),
        (call(name="HostDown"), False),
        (b"{}", False),
        (b"[]", False),
        (b"not JSON", False),
    ],
)
def test_only_the_alert_that_always_fires_counts(body: bytes, *, right: bool) -> None:
    assert is_watchdog(body) is right


def test_silence_is_told_once_and_ends_with_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: now[0])
    silence = Silence(directory=tmp_path, seconds=120)
    silence.heard()
    now[0] = 119
    silence.look()
    assert not (tmp_path / "silent").exists()
    now[0] = 121
    silence.look()
    assert (tmp_path / "silent").exists()
    silence.heard()
    assert not (tmp_path / "silent").exists()


def test_the_lab_s_fleet_calls_who_listens() -> None:
    fleet = Fleet.load()
    host = machine_name(fleet, MAILER).rstrip(".")
    assert fleet.site("lab").watchdog == f"http://{host}:{WATCHDOG_PORT}/watchdog"

"""What a name server does before it answers the world: the very file that Puppet installs there."""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[1] / "puppet/site/profile/files/dns/ready.py"
PEER = "10.83.0.20"
SCHEMA = """
CREATE TABLE domains (id INTEGER PRIMARY KEY, name TEXT, master TEXT, type TEXT);
CREATE TABLE records (domain_id INTEGER, name TEXT, type TEXT, content TEXT, disabled BOOLEAN);
"""


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[ModuleType]:
    """Return the program, with a database of its own."""
    spec = importlib.util.spec_from_file_location("dns_ready", PROGRAM)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    database = tmp_path / "pdns.sqlite3"
    with sqlite3.connect(database) as connection:
        connection.executescript(SCHEMA)
    settings = f"gsqlite3-database={database}\nlua-health-checks-interval=2\n"
    (tmp_path / "pdns.conf").write_text(settings, encoding="utf-8")
    (tmp_path / "peers").write_text(f"{PEER}\n", encoding="utf-8")
    module.SETTINGS, module.PEERS = tmp_path / "pdns.conf", tmp_path / "peers"
    module.FETCH_SECONDS = 0.3
    yield module
    del sys.modules[spec.name]


def hold(tmp_path: Path, name: str, kind: str, serial: int | None, primaries: str = "") -> None:
    """Put a zone into the database; a serial of None for one that has nothing yet."""
    with sqlite3.connect(tmp_path / "pdns.sqlite3") as connection:
        row = "INSERT INTO domains (name, master, type) VALUES (?, ?, ?)"
        cursor = connection.execute(row, (name, primaries, kind))
        if serial is not None:
            soa = f"ns.{name} hostmaster.{name} {serial} 14400 3600 604800 300"
            connection.execute(
                "INSERT INTO records VALUES (?, ?, 'SOA', ?, 0)", (cursor.lastrowid, name, soa)
            )


class Commands:
    """Commands that were run, and what the other server has."""

    def __init__(
        self, ready: ModuleType, monkeypatch: pytest.MonkeyPatch, serials: dict[str, int]
    ) -> None:
        self.run: list[str] = []
        self.asked: list[str] = []
        monkeypatch.setattr(ready, "run", lambda *command: self.run.append(" ".join(command)))

        def serial_at(_address: str, zone: str) -> int | None:
            self.asked.append(zone)
            return serials.get(zone)

        monkeypatch.setattr(ready, "serial_at", serial_at)


FETCHED = ["pdns_control purge a.example$", "pdns_control retrieve a.example"]


@pytest.mark.parametrize(
    ("kind", "serial", "there", "does"),
    [
        ("SLAVE", 7, 7, []),
        ("SLAVE", 7, 6, []),
        ("SLAVE", 7, 8, FETCHED),
        ("SLAVE", None, 8, FETCHED),
        ("SLAVE", 2**32 - 1, 1, FETCHED),
        ("MASTER", 7, 7, []),
        ("MASTER", 8, 7, []),
        (
            "MASTER",
            7,
            8,
            [
                f"pdnsutil change-secondary-zone-primary a.example {PEER}",
                "pdnsutil set-kind a.example secondary",
                *FETCHED,
            ],
        ),
    ],
)
def test_whoever_has_the_newer_serial_is_right(  # noqa: PLR0917 - a case and three fixtures
    ready: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    serial: int | None,
    there: int,
    does: list[str],
) -> None:
    hold(tmp_path, "a.example", kind, serial, PEER)
    said = Commands(ready, monkeypatch, {"a.example": there})
    ready.catch_up(ready.Server(), wait=False)
    assert said.run == does


def test_a_server_that_is_down_is_given_up_and_nothing_is_done(
    ready: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("a.example", "b.example"):
        hold(tmp_path, name, "SLAVE", 7, PEER)
    said = Commands(ready, monkeypatch, {})
    ready.catch_up(ready.Server(), wait=True)
    assert (said.run, said.asked) == ([], ["a.example"] * 3)


def test_what_is_copied_from_elsewhere_is_left_alone(
    ready: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hold(tmp_path, "a.example", "SLAVE", 7, "198.18.20.20, fd18:0:20::20")
    said = Commands(ready, monkeypatch, {"a.example": 9})
    ready.catch_up(ready.Server(), wait=True)
    assert said.run == []


def test_a_transfer_is_waited_for_and_not_for_ever(
    ready: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hold(tmp_path, "a.example", "SLAVE", 7, PEER)
    Commands(ready, monkeypatch, {"a.example": 8})
    ready.catch_up(ready.Server(), wait=True)
    assert "not fetched after 0 s: a.example" in capsys.readouterr().err
    with sqlite3.connect(tmp_path / "pdns.sqlite3") as connection:
        connection.execute("UPDATE records SET content = replace(content, ' 7 ', ' 8 ')")
    ready.catch_up(ready.Server(), wait=True)
    assert capsys.readouterr().err == ""


def test_every_computed_name_is_asked_for_once(ready: ModuleType) -> None:
    records = [
        ("www.a.example", "A \"ifurlup('http://a/', {'192.0.2.1'})\""),
        ("www.a.example", "AAAA \"ifurlup('http://a/', {'::1'})\""),
        ("*.kunder.a.example", 'A "..."'),
        ("*.kunder.a.example", 'A "..."'),
    ]
    assert ready.questions(records) == [
        ("www.a.example", "A"),
        ("www.a.example", "AAAA"),
        ("any.kunder.a.example", "A"),
    ]


@pytest.mark.parametrize(
    ("serials", "closed", "does"),
    [
        ([None, None], True, []),
        ([None, 7], True, ["nft delete table inet dns_closed"]),
        ([7, 7], True, ["nft delete table inet dns_closed"]),
        ([7, 7], False, []),
    ],
)
def test_the_world_is_let_in_when_there_is_something_to_tell(  # noqa: PLR0917 - as above
    ready: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    serials: list[int | None],
    closed: bool,  # noqa: FBT001 - as above
    does: list[str],
) -> None:
    for name, serial in zip(("a.example", "b.example"), serials, strict=True):
        hold(tmp_path, name, "SLAVE", serial, PEER)
    said = Commands(ready, monkeypatch, {})
    monkeypatch.setattr(ready, "closed", lambda: closed)
    ready.let_in(ready.Server())
    assert said.run == does

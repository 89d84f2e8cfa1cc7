"""What a mail server does that is one of two: the very programs that Puppet installs there."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILES = Path(__file__).parents[1] / "puppet/site/profile/files/mail"


def module(name: str) -> ModuleType:
    """Return a program as a module."""
    spec = importlib.util.spec_from_file_location(name, FILES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made  # dataclasses look their module up
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the program, at work below a directory of its own, with a firewall that notes."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = module("mail_pair")
    monkeypatch.setattr(made, "RUN", tmp_path / "run")
    monkeypatch.setattr(made, "KNOWN", tmp_path / "lib/alike")
    monkeypatch.setattr(made, "PULSE", 0.0)
    monkeypatch.setattr(made, "_nft", (tmp_path / "rules").write_text)
    return made


def settings(pair: ModuleType, **more: Any) -> Any:
    given = {"peer": "10.83.0.20", "ports": (8725,), "alone": 60.0, "silent": 10.0, "tidies": True}
    return pair.Settings(**{**given, **more})


class Ran:
    """Commands that were to be run, and how each ends."""

    def __init__(self, codes: dict[str, int]) -> None:
        self.codes = codes
        self.words: list[str] = []

    def __call__(self, command: Sequence[str]) -> int:
        """Note it."""
        word = next(each for each in command if not each.startswith("/"))
        self.words.append(word)
        return self.codes.get(word, 0)


class Clock:
    """A clock that is one second later each time it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        self.now += 1
        return self.now


def test_a_host_that_serves_already_goes_on(
    pair: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair, "run", Ran({"systemctl": 0}))
    assert pair.main(["close"]) == 0
    assert not pair.closed()
    assert pair.KNOWN.exists()


def test_a_host_that_has_just_started_lets_nobody_in(
    pair: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair, "run", Ran({"systemctl": 3}))
    assert pair.main(["close"]) == 0
    assert pair.closed()
    assert pair.main(["status"]) == 1


def test_the_mesh_is_never_closed_but_to_what_may_not_be_merged_yet(
    pair: ModuleType, tmp_path: Path
) -> None:
    rules, empty = tmp_path / "rules", tmp_path / "run/empty"
    pair.shut()
    assert 0 < rules.read_text().find("dport 12346 reject") < rules.read_text().find(" accept\n")
    assert empty.exists()
    pair._know()
    assert not empty.exists()
    pair.shut()
    assert 'iifname { "lo", "wg0" } accept' in rules.read_text()
    assert "12346" not in rules.read_text()
    assert not empty.exists()


def test_what_is_closed_is_where_synchronisations_come(pair: ModuleType) -> None:
    manifest = (FILES.parents[1] / "manifests/mail/pair.pp").read_text(encoding="utf-8")
    assert f"$dsync_port = {pair.SYNCS}\n" in manifest
    assert f"empty      => '/run/mail-pair/{pair.EMPTY}'" in manifest


def test_what_came_in_one_direction_is_made_alike_before_anybody_is_let_in(
    pair: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair, "run", Ran({"systemctl": 3}))
    pair.shut()

    def alike(_: object) -> bool:
        assert (pair.RUN / pair.EMPTY).exists()
        assert pair.closed()
        return True

    monkeypatch.setattr(pair, "until_alike", alike)
    pair.rejoin(settings(pair))
    assert not (pair.RUN / pair.EMPTY).exists()
    assert not pair.closed()


@pytest.mark.parametrize(("code", "alike"), [("exit 0", True), ("exit 1", False)])
def test_it_waits_for_the_mailboxes_and_asks_again(
    pair: ModuleType, monkeypatch: pytest.MonkeyPatch, code: str, *, alike: bool
) -> None:
    pair._know()
    monkeypatch.setattr(pair, "ALIKE", ["sh", "-c", code])
    lives = iter([True] * 3)
    found = pair.until_alike(settings(pair), lives=lambda _: next(lives, alike), clock=Clock())
    assert found is alike


def test_it_opens_alone_when_the_peer_is_silent(pair: ModuleType) -> None:
    pair._know()
    clock = Clock()
    assert not pair.until_alike(settings(pair), lives=lambda _: False, clock=clock)
    assert clock.now <= 64


def test_a_peer_that_dies_while_it_waits_does_not_keep_it_waiting(
    pair: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair._know()
    monkeypatch.setattr(pair, "ALIKE", ["sh", "-c", "exec sleep 600"])
    lives = iter([True, True])
    assert not pair.until_alike(settings(pair), lives=lambda _: next(lives, False), clock=Clock())


def test_a_host_without_mailboxes_never_opens_alone(pair: ModuleType) -> None:
    pauses = iter(range(1_000))

    def lives(_: object) -> bool:
        next(pauses)
        return False

    with pytest.raises(StopIteration):
        pair.until_alike(settings(pair), lives=lives, clock=Clock())


def test_the_queue_is_compared_before_anybody_is_let_in(
    pair: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    class Watching(Ran):
        def __call__(self, command: Sequence[str]) -> int:
            seen.append(pair.closed())
            return super().__call__(command)

    ran = Watching({"systemctl": 3})
    monkeypatch.setattr(pair, "run", ran)
    monkeypatch.setattr(pair, "until_alike", lambda _: True)
    pair.shut()
    pair.rejoin(settings(pair))
    ran.words.remove("systemctl")
    seen.pop(0)
    assert list(zip(ran.words, seen, strict=True)) == [
        ("rejoin", True),
        ("dedupe", False),
    ]
    assert pair.KNOWN.exists()


def test_only_one_of_the_two_takes_copies_out(
    pair: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = Ran({"systemctl": 3})
    monkeypatch.setattr(pair, "run", ran)
    monkeypatch.setattr(pair, "until_alike", lambda _: True)
    pair.rejoin(settings(pair, tidies=False))
    assert ran.words == ["systemctl", "rejoin"]


def test_a_host_that_is_just_being_made_has_nothing_to_compare(
    pair: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = Ran({"systemctl": 0})
    monkeypatch.setattr(pair, "run", ran)
    monkeypatch.setattr(pair, "until_alike", lambda _: True)
    pair.rejoin(settings(pair, tidies=False))
    assert "rejoin" not in ran.words


def test_what_a_silent_peer_had_is_delivered_and_copies_are_taken_out_when_it_is_back(
    pair: ModuleType,
) -> None:
    watch = pair.Watch(settings(pair), 0.0)
    heard = [(1, True), (5, False), (10, False), (12, False), (15, False), (23, False), (24, True)]
    decided = [watch.decide(answers=answers, now=float(now)) for now, answers in heard]
    assert decided == ["", "", "", "replay", "", "replay", "back"]
    assert not watch.decide(answers=True, now=25.0)
    watch.unfinished()
    assert watch.decide(answers=True, now=26.0) == "tidy"


def test_a_short_silence_costs_the_connections_that_may_be_dead(pair: ModuleType) -> None:
    watch = pair.Watch(settings(pair), 0.0)
    decided = [watch.decide(answers=now != 5, now=float(now)) for now in range(1, 9)]
    assert decided == ["", "", "", "", "", "cut", "", ""]


def test_a_host_that_stood_still_itself_takes_out_what_the_peer_delivered_for_it(
    pair: ModuleType,
) -> None:
    watch = pair.Watch(settings(pair), 0.0)
    still = settings(pair).silent
    decided = [watch.decide(answers=True, now=now) for now in (1.0, 2.0, 2.0 + still, 3.0 + still)]
    assert decided == ["", "", "tidy", ""]


def test_only_connections_from_before_the_silence_are_old(pair: ModuleType) -> None:
    listed = (
        "ESTAB 0 0 10.83.0.10:8725 10.83.0.20:59126 bbr lastsnd:80 lastrcv:12020 lastack:8000\n"
        "ESTAB 0 0 10.83.0.10:41000 10.83.0.20:12346 bbr lastsnd:9000 lastrcv:480 lastack:1\n"
        "SYN-SENT 0 1 10.83.0.10:41002 10.83.0.20:12346 bbr rto:1000 lastsnd:3042088 "
        "lastrcv:3042088 lastack:3042088 app_limited unacked:1\n"
    )
    assert list(pair.old(listed)) == [("10.83.0.10:8725", "10.83.0.20:59126")]


def test_whoever_tidies_up_for_a_while_did_not_stand_still(pair: ModuleType) -> None:
    watch = pair.Watch(settings(pair), 0.0)
    still = settings(pair).silent
    assert watch.decide(answers=True, now=1.0 + still) == "tidy"
    watch.worked(1.0 + 2 * still)
    assert not watch.decide(answers=True, now=2.0 + 2 * still)


def test_what_is_under_way_since_the_peer_is_back_is_not_cut_off(
    pair: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = iter([False, True, True, True])
    clock = iter([0.0, 20.0, 21.0, 82.0, 83.0, 143.0, 144.0, 204.0])
    cuts: list[object] = []
    ran: list[Sequence[str]] = []

    def fails(command: Sequence[str]) -> int:
        ran.append(command)
        return 1

    monkeypatch.setattr(pair, "answers", lambda _: next(heard))
    monkeypatch.setattr(pair.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(pair, "cut", cuts.append)
    monkeypatch.setattr(pair, "run", fails)
    with pytest.raises(StopIteration):
        pair.look_after(settings(pair))
    assert len(cuts) == len(["silent", "back"])
    assert ran == [pair.REPLAY] + [[*pair.ALIKE, "60"]] * 3


def test_somebody_who_asks_for_something_else_is_told(pair: ModuleType) -> None:
    assert pair.main(["open-up"]) == 2
    assert pair.main(["--help"]) == 0


@pytest.fixture
def health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the other program; nobody is greeted."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = module("mail_health")
    monkeypatch.setattr(made, "CLOSED", tmp_path / "closed")
    monkeypatch.setattr(made, "DRAINED", tmp_path / "drain.map")
    monkeypatch.setattr(made, "LISTENING", ())
    monkeypatch.setattr(made, "GREETINGS", {})
    return made


def test_people_are_led_to_a_host_that_is_open_and_not_drained(health: ModuleType) -> None:
    assert list(health.Health().wrong()) == []
    health.DRAINED.touch()
    assert list(health.Health().wrong()) == []
    health.DRAINED.write_text("host drained\n")
    health.CLOSED.touch()
    assert list(health.Health().wrong()) == ["closed: the mailboxes are not alike yet", "drained"]


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.25.9"), (socket.AF_INET6, "::1")]
)
def test_the_kernel_says_who_listens(health: ModuleType, family: int, address: str) -> None:
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        assert port in health.listening()
        with socket.create_connection((address, port)) as connected:
            assert connected.getsockname()[1] not in health.listening()
    assert port not in health.listening()


def test_a_daemon_that_does_not_listen_or_greet_is_told(
    health: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LISTENING", (1,))
    monkeypatch.setattr(health, "GREETINGS", {25: b"220 "})
    monkeypatch.setattr(health, "greets", lambda _port: False)
    assert list(health.Health().wrong()) == [
        "nobody listens on port 1",
        "nobody greets on port 25",
    ]


@contextmanager
def greeter(word: bytes) -> Iterator[int]:
    """Somebody on loopback who begins with a word, once."""
    with socket.create_server(("127.0.25.8", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(word)

        thread = threading.Thread(target=greet)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(("word", "right"), [(b"220 mail ESMTP\r\n", True), (b"421 no\r\n", False)])
def test_a_greeting_is_more_than_an_open_port(
    health: ModuleType, monkeypatch: pytest.MonkeyPatch, word: bytes, *, right: bool
) -> None:
    with greeter(word) as port:
        monkeypatch.setattr(health, "GREETINGS", {port: b"220 "})
        assert health.greets(port, address="127.0.25.8") is right


def test_it_answers_over_both_versions_of_ip(health: ModuleType) -> None:
    ask: Callable[[str, int], bytes] = said
    with health.Server(("::", 0), health.Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.server_address[1]
            assert ask("127.0.0.1", port).startswith(b"HTTP/1.0 200 ")
            health.CLOSED.touch()
            answer = ask("::1", port)
            assert answer.startswith(b"HTTP/1.0 503 ")
            assert answer.endswith(b"closed: the mailboxes are not alike yet\n")
        finally:
            server.shutdown()
            thread.join()


def said(address: str, port: int) -> bytes:
    """Return the answer to a name server's question."""
    with socket.create_connection((address, port), 5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: mail\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: plain.recv(4096), b""))

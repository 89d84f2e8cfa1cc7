"""The service from its spool to its doors; Dovecot alone is played, by a few lines."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count, repeat
from pathlib import Path

import pytest

from replicator import cli, service
from replicator.compare import LOOKS, SCRIPTS
from replicator.control import LARGEST, Control
from replicator.doveadm import CHANGED, NO_USER, DoveadmError, Endpoint
from replicator.gossip import HELD, PATH, Gossip, GossipError
from replicator.gossip import LARGEST as LARGEST_LESSON
from replicator.machine import Limits
from replicator.service import Service
from replicator.settings import Settings
from replicator.spool import BUSY

PASSWORD = "0123456789abcdef"
KARI, PER = "kari@nordlys.example", "per@nordlys.example"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Sweep as soon as the service starts, and compare soon after a change."""
    monkeypatch.setattr(service, "START_SECONDS", 0.0)
    monkeypatch.setattr(service, "Limits", partial(Limits, full_after=0.1))


@dataclass
class Dovecot:
    """A Dovecot that syncs when it is told to."""

    known: list[str] = field(default_factory=list)
    synced: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    at_once: int = 0
    answers: dict[str, list[DoveadmError]] = field(default_factory=dict)
    free: threading.Event = field(default_factory=threading.Event)
    down: bool = False
    held: dict[str, str] = field(default_factory=dict)
    subscribed: set[str] = field(default_factory=set)
    dumb: bool = False
    teaches: bool = False
    started_from: list[str] = field(default_factory=list)
    flags: Iterator[str] = field(default_factory=lambda: repeat(""))

    def __post_init__(self) -> None:
        self.free.set()

    def sync(self, user: str, *, state: str = "") -> str:
        self.started_from.append(state)
        self.at_once += 1
        self.free.wait(10)
        self.at_once -= 1
        if self.down:
            raise DoveadmError("no route to the peer", code=75)
        if self.answers.get(user):
            raise self.answers[user].pop(0)
        self.synced.append(user)
        return f"after {len(self.started_from)}" if self.teaches else ""

    def receive(self, user: str) -> None:
        if self.answers.get(user):
            raise self.answers[user].pop(0)
        assert user not in self.synced
        self.received.append(user)

    def folders(self, user: str) -> dict[str, str]:
        del user
        if self.dumb:
            raise DoveadmError("it does not say", code=75)
        return dict(self.held)

    def status(self, user: str) -> list[dict[str, str]]:
        self.folders(user)
        return [{"mailbox": "INBOX", "guid": "f", "uidvalidity": "1"}]

    def messages(self, user: str) -> list[dict[str, str]]:
        del user
        # This host and its peer are one, and are the same at once.
        return [{"mailbox": "INBOX", "uid": "1", "guid": "a", "flags": next(self.flags)}]

    def scripts(self, user: str) -> list[object]:
        del user
        return []

    def throw_away(self, user: str, *, name: str, guid: str) -> None:
        del user
        assert self.held.pop(guid) == name

    def subscriptions(self, user: str) -> frozenset[str]:
        del user
        return frozenset(self.subscribed)

    def unsubscribe(self, user: str, *, name: str) -> None:
        del user
        self.subscribed.remove(name)

    def users(self, mask: str = "*") -> list[str]:
        return [user for user in self.known if mask in ("*", user)]


@dataclass
class Running:
    """A service under way."""

    service: Service
    dovecot: Dovecot
    spool: Path
    control: Path
    port: int

    def mark(self, user: str) -> None:
        (self.spool / user).open("w").close()

    async def until(self, true: Callable[[], object], *, seconds: float = 10) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while not true():
            assert asyncio.get_running_loop().time() < deadline, self.service.report().as_text()
            await asyncio.sleep(0.01)

    async def settled(self) -> None:
        await self.until(lambda: not list(self.spool.iterdir()))

    def report(self):
        return self.service.report()


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def greet(server: socket.socket) -> None:
    """Be the peer's Dovecot and this host's: whoever connects is greeted."""
    while True:
        try:
            connection = server.accept()[0]
        except OSError:
            return
        with closing(connection):
            connection.sendall(b"-\n")


@asynccontextmanager
async def serving(tmp_path: Path, dovecot: Dovecot) -> AsyncIterator[Running]:
    spool, state = tmp_path / "spool", tmp_path / "state"
    spool.mkdir(exist_ok=True)
    state.mkdir(exist_ok=True)
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as peer,
        closing(socket.create_server(("127.0.0.1", 0))) as free,
    ):
        port = port_of(free)
        free.close()
        threading.Thread(target=greet, args=(peer,), daemon=True).start()
        settings = Settings(
            address="127.0.0.1",
            peer="127.0.0.1",
            dsync_port=port_of(peer),
            http_port=port_of(peer),
            metrics_port=port,
            spool=str(spool),
            state=str(state),
            parallel=2,
            sweep_interval=3600,
            empty=str(tmp_path / "empty"),
        )
        # Whatever it tells the peer it hears itself.
        gossip = Gossip(peer=Endpoint(host="127.0.0.1", port=port), password=PASSWORD)
        service = Service(settings=settings, doveadm=dovecot, gossip=gossip)  # type: ignore[arg-type] # played
        doors = Control(service=service, gossip=gossip)
        control = tmp_path / "control"
        events = tmp_path / "events"
        await doors.open(control=control, events=events, address="127.0.0.1", port=port)
        watch = service.begin()
        try:
            yield Running(service=service, dovecot=dovecot, spool=spool, control=control, port=port)
        finally:
            asyncio.get_running_loop().remove_reader(watch.fd)
            watch.close()
            peer.shutdown(socket.SHUT_RDWR)


def run(scenario: Callable[[], object]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))  # type: ignore[arg-type] # a coroutine


def test_a_change_is_synced_and_its_marker_goes(tmp_path):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot()) as it:
            it.mark(KARI)
            await it.settled()
            assert it.dovecot.synced == [KARI]

    run(scenario)


def test_what_was_left_by_a_crash_is_synced_first_thing(tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / f"{BUSY}{KARI}").touch()
    (tmp_path / "spool" / PER).touch()

    async def scenario() -> None:
        async with serving(tmp_path, Dovecot()) as it:
            await it.settled()
            assert set(it.dovecot.synced) == {KARI, PER}

    run(scenario)


def test_everybody_is_swept_at_the_start(tmp_path):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot(known=[KARI, PER])) as it:
            await it.until(lambda: it.report().healthy)
            assert sorted(it.dovecot.synced) == [KARI, PER]

    run(scenario)


def test_a_host_without_mailboxes_receives_them_before_it_gives_anything(tmp_path):
    (tmp_path / "empty").touch()
    changed, deleted = DoveadmError("", code=CHANGED), DoveadmError("", code=75)

    async def scenario() -> None:
        dovecot = Dovecot(known=[KARI, PER], answers={KARI: [changed, deleted]})
        async with serving(tmp_path, dovecot) as it:
            assert await ask(it, "wait", "--timeout", "10") == 0
            assert sorted(dovecot.received) == [KARI, KARI, PER, PER]
            assert set(dovecot.synced) == {KARI, PER}

    run(scenario)


def test_once_people_may_write_here_nothing_is_thrown_away_any_more(tmp_path):
    (tmp_path / "empty").touch()

    async def scenario() -> None:
        async with serving(tmp_path, Dovecot(known=[KARI])) as it:
            assert await ask(it, "wait", "--timeout", "10") == 0
            (tmp_path / "empty").unlink()
            it.dovecot.known.append(PER)
            it.mark(PER)
            await it.settled()
            (tmp_path / "empty").touch()
            it.mark("siri")
            await it.settled()
            assert it.dovecot.received == [KARI, KARI]
            assert it.dovecot.synced[-2:] == [PER, "siri"]

    run(scenario)


def test_a_change_during_a_sync_is_synced_again_and_not_at_the_same_time(tmp_path):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot()) as it:
            it.dovecot.free.clear()
            it.mark(KARI)
            await it.until(lambda: it.dovecot.at_once)
            it.mark(KARI)
            await it.until(lambda: (it.spool / KARI).exists() and it.report().lag > 0)
            assert it.dovecot.at_once == 1
            assert {entry.name for entry in it.spool.iterdir()} == {KARI, f"{BUSY}{KARI}"}
            it.dovecot.free.set()
            await it.settled()
            assert it.dovecot.synced == [KARI, KARI]

    run(scenario)


def test_changed_again_gone_and_unknown_to_the_peer(tmp_path):
    changed, unknown = DoveadmError("", code=CHANGED), DoveadmError("", code=NO_USER)

    async def scenario() -> None:
        dovecot = Dovecot(answers={KARI: [changed, changed], PER: [unknown], "new": [unknown]})
        async with serving(tmp_path, dovecot) as it:
            dovecot.known.append("new")
            for user in (KARI, PER, "new"):
                it.mark(user)
            await it.until(lambda: not (it.spool / f"{BUSY}{PER}").exists())
            await it.until(lambda: [user.error for user in it.report().worst] != [])
            assert it.report().breaker == "closed"
            await it.settled()
            assert sorted(it.dovecot.synced) == sorted([KARI, "new"])

    run(scenario)


def test_a_peer_that_is_away_opens_the_breaker_and_nothing_is_lost(tmp_path):
    async def scenario() -> None:
        dovecot = Dovecot(known=["siri"], down=True)
        async with serving(tmp_path, dovecot) as it:
            users = [f"user{number}" for number in range(8)]
            for user in users:
                it.mark(user)
            await it.until(lambda: it.report().breaker != "closed")
            assert not it.report().healthy
            dovecot.down = False
            await it.settled()
            await it.until(lambda: it.report().healthy)
            assert set(dovecot.synced) == {*users, "siri"}

    run(scenario)


async def ask(it: Running, *arguments: str) -> int:
    return await asyncio.to_thread(cli.main, [f"--control={it.control}", *arguments])


def test_waiting_ends_when_everybody_has_been_synced_since(tmp_path, capsys):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot(known=[KARI])) as it:
            assert await ask(it, "wait", "--timeout", "10") == 0
            before = len(it.dovecot.synced)
            assert await ask(it, "wait", "--timeout", "10") == 0
            assert len(it.dovecot.synced) == before + 1
            it.dovecot.free.clear()
            assert await ask(it, "wait", "--timeout", "0.3") == 1
            it.dovecot.free.set()

    run(scenario)
    assert "not alike within 0.3 s" in capsys.readouterr().err


def test_users_are_swept_on_demand(tmp_path):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot()) as it:
            assert await ask(it, "sweep", KARI) == 0
            await it.until(lambda: it.dovecot.synced == [KARI])

    run(scenario)


def test_how_it_stands_is_told_to_people_and_programs(tmp_path, capsys):
    async def scenario() -> None:
        dovecot = Dovecot(answers={KARI: [DoveadmError("the disk is full", code=75)]})
        async with serving(tmp_path, dovecot) as it:
            await it.until(lambda: it.report().healthy)
            assert await ask(it, "status") == 0
            it.mark(KARI)
            await it.until(lambda: it.report().failures)
            assert await ask(it, "status") == 1
            text = capsys.readouterr().out
            assert text.startswith("healthy: peer 127.0.0.1")
            assert "NOT HEALTHY" in text
            assert "the disk is full" in text
            assert await ask(it, "status", "--json") == 1
            data = json.loads(capsys.readouterr().out)
            assert data["healthy"] is False
            assert data["worst"][0]["user"] == KARI

    run(scenario)


def test_what_dovecot_says_of_a_sieve_script_causes_a_sync(tmp_path):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot()) as it:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "events")
            event = {"event": "managesieve_command_finished", "fields": {"user": KARI}}
            writer.write(json.dumps(event).encode() + b"\n")
            await it.until(lambda: it.dovecot.synced == [KARI])
            writer.write(b"nonsense\n")
            assert await reader.read() == b""
            writer.close()

    run(scenario)


def test_a_folder_that_comes_back_is_taken_away_whatever_it_is_called_and_no_other(tmp_path):
    folders = {"one": "back", "two": "back-temp-1", "three": "again"}

    async def scenario() -> None:
        dovecot = Dovecot(held=folders)
        async with serving(tmp_path, dovecot) as it:
            dovecot.free.clear()
            it.mark(KARI)
            await it.until(lambda: dovecot.at_once)
            _, writer = await asyncio.open_unix_connection(tmp_path / "events")
            about = {"user": KARI, "folders": "one two four "}
            line = json.dumps({"event": "replicator_folder_gone", "fields": about})
            writer.write(line.encode() + b"\n")
            await it.until(lambda: it.service.thrown(KARI).folders == {"one", "two", "four"})
            dovecot.free.set()
            await it.until(lambda: not it.service.thrown(KARI).folders)
            await it.until(lambda: it.report().healthy)
            assert folders == {"three": "again"}
            # The one under way, the one that finds it, the one that sees it gone.
            assert dovecot.synced == [KARI, KARI, KARI]
            page = (await http(it.port, b"GET /metrics HTTP/1.1\r\n\r\n")).decode()
            assert "\nreplicator_folders_came_back_total 2\n" in page
            writer.close()

    run(scenario)


def test_a_subscription_that_comes_back_is_taken_away_unless_it_is_wanted_again(tmp_path):
    subscribed = {"back", "again", "other"}

    async def scenario() -> None:
        dovecot = Dovecot(subscribed=subscribed)
        async with serving(tmp_path, dovecot) as it:
            _, writer = await asyncio.open_unix_connection(tmp_path / "events")
            for event, folder in (
                ("unsubscribed", "back"),
                ("unsubscribed", "again"),
                ("unsubscribed", "gone"),
                ("subscribed", "again"),
            ):
                about = {"user": KARI, "folder": folder}
                line = json.dumps({"event": f"replicator_{event}", "fields": about})
                writer.write(line.encode() + b"\n")
            await it.until(lambda: it.service.thrown(KARI).subscriptions == {"back", "gone"})
            it.mark(KARI)
            await it.until(lambda: not it.service.thrown(KARI))
            await it.until(lambda: it.report().healthy)
            assert subscribed == {"again", "other"}
            assert dovecot.synced == [KARI, KARI]
            writer.close()

    run(scenario)


def test_who_unsubscribes_is_synced_in_full_even_if_nothing_else_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "UNSUBSCRIBED_WITHIN", 0.1)
    subscribed = {"back"}

    async def scenario() -> None:
        async with serving(tmp_path, Dovecot(subscribed=subscribed)) as it:
            it.service.unsubscribed(KARI, "back")
            await it.until(lambda: not it.service.thrown(KARI))
            assert not subscribed

    run(scenario)


def test_whoever_dies_before_they_have_looked_looks_when_they_are_back(tmp_path):
    async def scenario() -> None:
        dovecot = Dovecot(known=[KARI], down=True)
        async with serving(tmp_path, dovecot) as it:
            it.service.gone(KARI, ["one"])
        # Meanwhile the peer has given it back.
        dovecot.held["one"], dovecot.down = "back", False
        async with serving(tmp_path, dovecot) as it:
            await it.until(lambda: not it.service.thrown(KARI).folders)
            assert not dovecot.held

    run(scenario)


def test_a_sync_has_worked_even_if_nobody_says_what_is_gone(tmp_path):
    async def scenario() -> None:
        dovecot = Dovecot(held={"one": "silent"}, dumb=True)
        async with serving(tmp_path, dovecot) as it:
            it.service.gone(KARI, ["one"])
            await it.until(lambda: it.report().healthy and dovecot.synced)
            assert it.service.thrown(KARI).folders == {"one"}
            dovecot.dumb = False
            it.mark(KARI)
            await it.until(lambda: not it.service.thrown(KARI).folders)
            assert not dovecot.held

    run(scenario)


def test_after_trouble_a_sync_starts_from_what_the_last_one_left_on_whichever_side(tmp_path):
    async def scenario() -> None:
        dovecot = Dovecot(known=[KARI], teaches=True)
        async with serving(tmp_path, dovecot) as it:
            await it.until(lambda: it.report().healthy and dovecot.synced)
            told = json.dumps([KARI, [0.1, "the peer's"]]).encode()
            assert b" 204 " in await http(it.port, post(told, PASSWORD))
            it.mark(KARI)
            dovecot.answers[KARI] = [DoveadmError("a hiccup", code=75)]
            await it.settled()
            assert dovecot.started_from == ["", "the peer's", "the peer's"]
        # Whatever is looked at is another one each time.
        dovecot.flags = map(str, count())
        async with serving(tmp_path, dovecot) as it:
            # What it left itself, and wrote down.
            again = [f"after {done}" for done in range(3, 3 + LOOKS)]
            await it.until(lambda: dovecot.started_from[3:] == again)
            # Looked at again later, though nobody who waits for a sweep waits for that.
            await it.until(lambda: it.report().healthy)
            assert it.report().queue == 1

    run(scenario)


def test_the_peer_alone_is_told_what_somebody_has(tmp_path):
    async def scenario() -> None:
        dovecot = Dovecot(known=[KARI])
        async with serving(tmp_path, dovecot) as it:
            peer = Endpoint(host="127.0.0.1", port=it.port)
            held = Gossip(peer=peer, password=PASSWORD).held
            assert set(await asyncio.to_thread(held, KARI)) == {"INBOX", SCRIPTS}
            with pytest.raises(GossipError, match="401"):
                await asyncio.to_thread(Gossip(peer=peer, password="another").held, KARI)
            assert b" 401 " in await http(it.port, f"GET {HELD}?x HTTP/1.1\r\n\r\n".encode())
            dovecot.dumb = True
            with pytest.raises(GossipError, match="503"):
                await asyncio.to_thread(held, KARI)

    run(scenario)


def test_a_peer_that_is_not_there_does_not_say():
    nobody = Gossip(peer=Endpoint(host="127.0.0.1", port=1), password=PASSWORD)
    with pytest.raises(GossipError, match="refused"):
        nobody.held(KARI)


@pytest.mark.parametrize(
    ("body", "password", "status"),
    [
        (b'["kari", [1, "s"]]', "another", b"401"),
        (b"", PASSWORD, b"413"),
        (b"nonsense", PASSWORD, b""),
        (b'["kari", ["s"]]', PASSWORD, b""),
        (b'[7, [1, "s"]]', PASSWORD, b""),
    ],
)
def test_whoever_is_not_the_peer_or_makes_no_sense_is_not_believed(
    tmp_path, body, password, status
):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot(known=["kari"])) as it:
            await it.until(lambda: it.dovecot.synced and it.report().healthy)
            answer = await http(it.port, post(body, password))
            assert status == answer[9:12]
            it.mark("kari")
            await it.settled()
            assert "s" not in it.dovecot.started_from

    run(scenario)


def test_whoever_has_too_much_to_say_is_not_listened_to(tmp_path):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot()) as it:
            request = post(b"", PASSWORD, length=LARGEST_LESSON + 1)
            assert b" 413 " in await http(it.port, request)

    run(scenario)


def post(body: bytes, password: str, *, length: int | None = None) -> bytes:
    auth = b64encode(f"replicator:{password}".encode()).decode()
    size = len(body) if length is None else length
    head = f"POST {PATH} HTTP/1.1\r\nAuthorization: Basic {auth}\r\nContent-Length: {size}"
    return head.encode() + b"\r\n\r\n" + body


def test_nobody_but_root_commands_it(tmp_path):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot()) as it:
            assert stat.S_IMODE(it.control.stat().st_mode) == 0o600

    run(scenario)


def test_a_service_that_is_not_there_cannot_be_asked(tmp_path, capsys):
    assert cli.main([f"--control={tmp_path / 'none'}", "status"]) == 3
    assert "systemctl status replicator" in capsys.readouterr().err


async def http(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


def test_prometheus_is_told(tmp_path):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot(known=[KARI])) as it:
            it.mark('per"\\@nordlys')
            await it.until(lambda: it.report().healthy)
            it.dovecot.free.clear()
            it.mark(KARI)
            await it.until(lambda: it.report().lag > 0)
            page = (await http(it.port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).decode()
            it.dovecot.free.set()
            head, body = page.split("\r\n\r\n", 1)
            assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
            lines = body.splitlines()
            assert 'replicator_syncs_total{kind="full",outcome="done"} 1' in lines
            assert "replicator_breaker_open 0" in lines
            assert any(
                line.startswith(f'replicator_user_lag_seconds{{user="{KARI}"}} ') for line in lines
            )
            names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
            samples = {line.split("{")[0].split()[0] for line in lines if not line.startswith("#")}
            assert all(any(sample.startswith(name) for name in names) for sample in samples)
            assert (await http(it.port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404 ")

    run(scenario)


def test_bad_peers_at_its_doors_lose_nothing_and_kill_nothing(tmp_path):
    async def scenario() -> None:
        async with serving(tmp_path, Dovecot()) as it:
            assert await http(it.port, b"\x00\xff" * 10 + b"\r\n\r\n") != b""
            assert await http(it.port, b"\r\n\r\n") != b""
            with suppress(ConnectionError):
                assert await http(it.port, b"A" * (LARGEST * 8)) == b""
            slow = [await asyncio.open_connection("127.0.0.1", it.port) for _ in range(100)]
            for request in (b"{}\n", b"[1]\n", b"\xff\n", b'{"command": "no"}\n', b"7\n"):
                reader, writer = await asyncio.open_unix_connection(it.control)
                writer.write(request)
                assert "error" in json.loads(await reader.readline())
                writer.close()
            it.mark(KARI)
            await it.settled()
            for _, writer in slow:
                writer.close()
            await it.until(lambda: it.report().healthy)
            while True:
                with suppress(ConnectionError):
                    if await http(it.port, b"GET /metrics HTTP/1.1\r\n\r\n"):
                        break

    run(scenario)

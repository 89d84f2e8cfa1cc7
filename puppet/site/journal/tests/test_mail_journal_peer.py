"""The two ends of the wire: real sockets, and peers of every kind."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as Directory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mail_journal.auth import Seal
from mail_journal.breaker import FIRST_PAUSE, LONGEST_PAUSE, Breaker, pause
from mail_journal.counts import Counts
from mail_journal.deadline import Deadlines
from mail_journal.entry import new_id
from mail_journal.exchange import Body, Peer, PeerError
from mail_journal.outgoing import MEMORY, Draft, Sender
from mail_journal.server import Server, Service
from mail_journal.store import Store

SECRET = "s" * 32
INSTANCE = "a" * 32


@dataclass(frozen=True, kw_only=True)
class Node:
    """A store that listens."""

    store: Store
    counts: Counts
    server: Server

    @property
    def port(self) -> int:
        """Where."""
        return int(self.server.server_address[1])

    def peer(self, secret: str = SECRET) -> Peer:
        """Return what another node sees of it."""
        return a_peer(self.port, secret)


def a_peer(port: int, secret: str = SECRET) -> Peer:
    return Peer(address="127.0.0.1", port=port, seal=Seal(secret=secret), deadlines=Deadlines())


def say(question: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"instance": INSTANCE, "asked": question["entries"]}


@contextlib.contextmanager
def listening(
    directory: Directory, *, peers: str = "127.0.0.1", idle: float = 90.0, max_bytes: int = 10**9
) -> Iterator[Node]:
    counts = Counts()
    store = Store(directory=directory, max_bytes=max_bytes, min_free=0)
    store.open(tidy=True)
    service = Service(
        store=store,
        seal=Seal(secret=SECRET),
        answer=say,
        instance=INSTANCE,
        largest=10**7,
        counts=counts,
    )
    server = Server(address="127.0.0.1", port=0, peers={peers}, service=service, idle=idle)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield Node(store=store, counts=counts, server=server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def node(tmp_path: Directory) -> Iterator[Node]:
    with listening(tmp_path) as it:
        yield it


def draft(directory: Directory, *, size: int = 100) -> Draft:
    it = Draft(sender="<s@far.test>", options=["SIZE=3", "BODY=8BITMIME"], directory=directory)
    it.recipient("<u@example.test>", ["NOTIFY=NEVER"])
    it.header("Subject", b" hello\n\tagain")
    it.header("x-mail-journal", b" " + b"f" * 32)
    it.begin_body(instance=INSTANCE, queue_id="ABCDEF")
    it.body(b"x" * size)
    return it


@pytest.mark.parametrize("size", [0, 100, MEMORY + 1])
def test_a_message_gets_to_the_peer_as_it_will_be_delivered(
    node: Node, tmp_path: Directory, size: int
) -> None:
    it = draft(tmp_path, size=size)
    node.peer().put(it.id, it.finished(), seconds=5)
    head, message = node.store.message(it.id)
    assert (head.sender.address, head.sender.options) == ("s@far.test", ("BODY=8BITMIME",))
    assert [one.options for one in head.recipients] == [("NOTIFY=NEVER",)]
    headers, _, body = message.partition(b"\r\n\r\n")
    assert headers == b"X-Mail-Journal: %s\r\nSubject: hello\r\n\tagain" % it.id.encode()
    assert body == b"x" * size
    assert it.foreign == 1


def test_connections_are_kept_and_a_stale_one_is_no_failure(tmp_path: Directory) -> None:
    (tmp_path / "store").mkdir()
    with listening(tmp_path / "store", idle=0.3) as node:
        peer = node.peer()
        for wait in (0, 0, 0.6):
            time.sleep(wait)
            it = draft(tmp_path)
            peer.put(it.id, it.finished(), seconds=5)
        assert len(node.store.held()) == 3


def test_questions_are_answered(node: Node) -> None:
    assert node.peer().ask({"entries": [1]}, seconds=5) == {"instance": INSTANCE, "asked": [1]}
    assert node.peer().alive(seconds=5) == {"instance": INSTANCE}
    with pytest.raises(PeerError, match="not understood") as caught:
        node.peer().ask({}, seconds=5)
    assert not caught.value.general


def test_whoever_does_not_know_the_secret_gets_nothing_in(node: Node, tmp_path: Directory) -> None:
    it = draft(tmp_path)
    with pytest.raises(PeerError, match="not marked") as caught:
        node.peer("t" * 32).put(it.id, it.finished(), seconds=5)
    assert caught.value.reason == "forged"
    assert node.store.held() == []
    assert node.counts.all()["unauthorized"] == 1


def test_whoever_comes_from_elsewhere_is_not_listened_to(tmp_path: Directory) -> None:
    with listening(tmp_path, peers="127.0.0.9") as node:
        with pytest.raises(PeerError):
            node.peer().alive(seconds=5)
        assert node.counts.all()["strangers"] >= 1


def test_a_full_peer_says_so(tmp_path: Directory) -> None:
    (tmp_path / "store").mkdir()
    with listening(tmp_path / "store", max_bytes=10) as node:
        it = draft(tmp_path)
        with pytest.raises(PeerError) as caught:
            node.peer().put(it.id, it.finished(), seconds=5)
        assert caught.value.reason == "full"
        assert caught.value.general


def test_what_was_changed_on_the_way_is_not_kept(node: Node) -> None:
    body = Body(file=b"{}\nother", length=8, digest=Body.of(b"{}\nwhole").digest)
    with pytest.raises(PeerError, match="announced"):
        node.peer().put(new_id(), body, seconds=5)
    with pytest.raises(PeerError, match="404"):
        node.peer().put("../../etc/passwd", Body.of(b"x"), seconds=5)
    assert node.store.held() == []


BAD = {
    "silent": b"",
    "garbage": bytes(range(256)) * 40,
    "a line without an end": b"P" * 200_000,
    "headers without an end": b"PUT / HTTP/1.1\r\n" + b"A: b\r\n" * 50_000,
    "half a request": b"PUT /v1/entries/x HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc",
    "huge": b"PUT /v1/entries/%s HTTP/1.1\r\nContent-Length: 999999999999999\r\n\r\n" % (b"a" * 32),
    "negative": b"PUT /v1/entries/%s HTTP/1.1\r\nContent-Length: -1\r\n\r\n" % (b"a" * 32),
    "chunked": b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "an old request": b"GET /\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_visitor_harms_nobody(tmp_path: Directory, kind: str) -> None:
    (tmp_path / "store").mkdir()
    with listening(tmp_path / "store", idle=0.5) as node:
        bad = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(20)]
        for sock in bad:
            with contextlib.suppress(OSError):
                sock.sendall(BAD[kind])
        it = draft(tmp_path)
        node.peer().put(it.id, it.finished(), seconds=5)
        assert [held.head.id for held in node.store.held()] == [it.id]
        began = time.monotonic()
        for sock in bad:
            sock.settimeout(5)
            with contextlib.suppress(ConnectionError):
                while sock.recv(65536):
                    pass
            sock.close()
        assert time.monotonic() - began < 5


def test_a_visitor_who_sends_a_byte_now_and_then_is_sent_away(tmp_path: Directory) -> None:
    with (
        listening(tmp_path, idle=0.5) as node,
        socket.create_connection(("127.0.0.1", node.port)) as sock,
    ):
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 10:
                sock.sendall(b"A")
                time.sleep(0.05)
        assert time.monotonic() - began < 3


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Yield the port of somebody who is no journal."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threads: list[threading.Thread] = []

        def run() -> None:
            while True:
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=answer, args=(sock,), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=run)
        accepting.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()


def silent(sock: socket.socket) -> None:
    with sock:
        while sock.recv(65536):
            pass


def dripping(sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):
        sock.sendall(b"HTTP/1.1 201 Created\r\n")
        while True:
            sock.sendall(b"A: b\r\n")
            time.sleep(0.1)


def endless(sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            sock.sendall(b"x" * 65536)


def lying(sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        silent(sock)


def babbling(sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):
        sock.sendall(bytes(range(256)) * 100)


@pytest.mark.parametrize("kind", [silent, dripping, endless, lying, babbling])
def test_no_answer_that_is_not_the_peers_counts_and_none_is_waited_for_long(
    tmp_path: Directory, kind: Callable[[socket.socket], None]
) -> None:
    with answering(kind) as port:
        it = draft(tmp_path)
        began = time.monotonic()
        with pytest.raises(PeerError):
            a_peer(port).put(it.id, it.finished(), seconds=0.7)
        assert time.monotonic() - began < 2


def a_sender(peer: Peer, *, seconds: float = 0.5) -> Sender:
    return Sender(peer=peer, counts=Counts(), seconds=seconds)


def test_a_peer_that_is_away_is_waited_for_once(tmp_path: Directory) -> None:
    with answering(silent) as port:
        sender = a_sender(a_peer(port))
        began = time.monotonic()
        first = sender.send(draft(tmp_path))
        waited = time.monotonic() - began
        assert first.degraded == "timeout"
        assert 0.4 < waited < 2
        began = time.monotonic()
        others = [sender.send(draft(tmp_path)) for _ in range(50)]
        assert {one.degraded for one in others} == {"timeout"}
        assert time.monotonic() - began < 0.5


def test_many_at_once_wait_no_longer_than_one(tmp_path: Directory) -> None:
    with answering(silent) as port:
        sender = a_sender(a_peer(port))
        threads = [threading.Thread(target=sender.send, args=(draft(tmp_path),)) for _ in range(30)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 2


def test_a_peer_that_comes_back_is_used_again(tmp_path: Directory) -> None:
    (tmp_path / "store").mkdir()
    with listening(tmp_path / "store") as node:
        sender = a_sender(node.peer(), seconds=5)
        assert not sender.send(draft(tmp_path)).degraded
        sender._failed(PeerError("gone", where="", reason="away", general=True))
        assert sender.send(draft(tmp_path)).degraded == "away"
        sender.watch_once()
        assert not sender.breaker.open
        assert not sender.send(draft(tmp_path)).degraded
        assert len(node.store.held()) == 2


def test_one_message_that_is_not_taken_does_not_stop_the_others(tmp_path: Directory) -> None:
    (tmp_path / "store").mkdir()
    with listening(tmp_path / "store") as node:
        sender = a_sender(node.peer(), seconds=5)
        large = draft(tmp_path, size=11_000_000)
        assert sender.send(large).degraded
        assert not sender.breaker.open
        assert not sender.send(draft(tmp_path)).degraded


def test_a_copy_that_is_not_whole_is_not_handed_over(
    node: Node, tmp_path: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = draft(tmp_path)

    def write(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(it._file, "write", write)
    it.body(b"more")
    sender = a_sender(node.peer())
    assert sender.send(it).degraded == "copy"
    assert node.store.held() == []
    assert not sender.breaker.open


@given(
    st.lists(
        st.tuples(st.sampled_from(["failed", "answered"]), st.floats(0, 10)),
        max_size=60,
    )
)
def test_the_breaker_opens_at_once_and_asks_again_before_long(
    events: list[tuple[str, float]],
) -> None:
    breaker, now = Breaker(), 0.0
    for what, later in events:
        now += later
        before = breaker
        if what == "failed":
            breaker = breaker.failed(reason="away", now=now)
            assert breaker.open
            assert breaker.next_try <= now + LONGEST_PAUSE
            assert not before.open or breaker.since == before.since
        else:
            breaker = breaker.answered()
            assert not breaker.open
    assert pause(0) == FIRST_PAUSE
    assert pause(10**9) == LONGEST_PAUSE

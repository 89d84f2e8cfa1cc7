"""The way to the peer's Dovecot that is cut in time, over real sockets."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest

from replicator.doveadm import CHANGED, Doveadm, DoveadmError, Endpoint
from replicator.relay import Relay

GUID = b"0123456789abcdef" * 2
ASKED = b"R" + GUID + b"\n"
MAIL = b"M" + GUID + b"\t7\t\x02\t\x02\t1\t2\t\nSubject: M\r\n\r\nM" + GUID[:31] + b"\n\n.\n"


def through(*pieces: bytes) -> tuple[bytes, bytes, bool]:
    """Return what came out, what the peer was asked, and whether it was cut."""
    asked: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with closing(server.accept()[0]) as connection:
                asked.append(connection.recv(100))
                for piece in pieces:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        return
                    threading.Event().wait(0.02)

        thread = threading.Thread(target=serve)
        thread.start()
        peer = Endpoint(host="127.0.0.1", port=server.getsockname()[1])
        with (
            Relay(peer=peer) as relay,
            closing(socket.create_connection(("127.0.0.1", relay.port), 5)) as near,
        ):
            near.sendall(ASKED)
            got = b"".join(iter(lambda: near.recv(4096), b""))
            cut = relay.cut
        thread.join()
    return got, asked[0], cut


def test_what_is_said_is_passed_on_both_ways():
    assert through(MAIL, MAIL) == (MAIL + MAIL, ASKED, False)


@pytest.mark.parametrize("at", range(0, len(GUID) + 4, 5))
@pytest.mark.parametrize("start", [b"", b"\0\0\0\0\x22"])
def test_it_is_cut_before_a_message_that_is_gone_wherever_the_pieces_end(start, at):
    gone = start + b"M" + GUID + b"\n"
    got, _, cut = through(MAIL + gone[:at], gone[at:] + MAIL)
    assert cut
    assert got.startswith(MAIL)
    assert GUID + b"\n" not in got[len(MAIL) :]


def test_a_message_cannot_say_that_another_is_gone():
    line = MAIL + b"M" + GUID[::-1] + b"\n"
    assert through(line, line) == (line + line, ASKED, False)


def test_whoever_cannot_be_reached_is_told_by_the_end_of_the_connection():
    with (
        Relay(peer=Endpoint(host="127.0.0.1", port=1)) as relay,
        closing(socket.create_connection(("127.0.0.1", relay.port), 5)) as near,
    ):
        assert near.recv(1) == b""
        assert not relay.cut


def test_nobody_stays_behind_when_it_was_not_used():
    with Relay(peer=Endpoint(host="127.0.0.1", port=1)) as relay:
        port = relay.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


class Way:
    """A relay that was cut, or not."""

    def __init__(self, *, cut: bool) -> None:
        self.cut, self.port = cut, 1

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("cut", "code"), [(True, CHANGED), (False, 75)])
def test_a_copy_that_was_cut_is_one_during_which_something_changed(monkeypatch, cut, code):
    def fails(*_: object) -> None:
        raise DoveadmError("exit code 75", code=75)

    nobody = Endpoint(host="127.0.0.1", port=1)
    monkeypatch.setattr(Doveadm, "_ask", fails)
    monkeypatch.setattr("replicator.doveadm.Relay", lambda **_: Way(cut=cut))
    with pytest.raises(DoveadmError) as raised:
        Doveadm(api=nobody, password="x", peer=nobody).receive("kari@nordlys.example")
    assert raised.value.code == code

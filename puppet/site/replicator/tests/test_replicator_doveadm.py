"""What Dovecot is asked and what is made of its answers, over real sockets; bad ones, too."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, contextmanager

import pytest

from replicator.digest import digest
from replicator.doveadm import Doveadm, DoveadmError, Endpoint, reachable

KARI = "kari@nordlys.example"
PEER = Endpoint(host="10.83.0.20", port=12346)


@contextmanager
def listener(answer: Callable[[socket.socket], None]):
    """Answer every connection with a function."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                with closing(connection):
                    try:
                        answer(connection)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield Endpoint(host="127.0.0.1", port=server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


class Api:
    """An HTTP API that keeps what it was asked."""

    def __init__(self, *answers: object, status: str = "200 OK") -> None:
        self.answers = list(answers)
        self.status = status
        self.asked: list[object] = []
        self.head = ""

    def __call__(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, body = data.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        length = int(self.head.lower().split("content-length: ")[1].split("\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
        ((command, parameters, _),) = json.loads(body)
        self.asked.append([command, parameters])
        text = json.dumps([self.answers.pop(0)]).encode()
        connection.sendall(
            f"HTTP/1.1 {self.status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text
        )


@contextmanager
def dovecot(api: Callable[[socket.socket], None]):
    with listener(api) as endpoint:
        yield Doveadm(api=endpoint, password="secret", peer=PEER)


def response(value: object) -> list[object]:
    return ["doveadmResponse", value, "1"]


def failure(code: int) -> list[object]:
    return ["error", {"type": "exitCode", "exitCode": code}, "1"]


def test_a_full_sync_says_so_and_returns_what_the_next_may_start_from():
    api = Api(response([{"state": "one"}]))
    with dovecot(api) as doveadm:
        assert doveadm.sync(KARI) == "one"
    command, parameters = api.asked[0]
    assert command == "sync"
    assert parameters["user"] == KARI
    assert parameters["destination"] == ["tcp:10.83.0.20:12346"]
    assert parameters["fullSync"] is True
    assert parameters["state"] == ""
    assert "Authorization: Basic ZG92ZWFkbTpzZWNyZXQ=" in api.head


def test_a_quick_sync_starts_from_there_and_is_not_called_full():
    api = Api(response([{"state": "two"}]))
    with dovecot(api) as doveadm:
        assert doveadm.sync(KARI, state="one") == "two"
    assert api.asked[0][1]["state"] == "one"
    assert "fullSync" not in api.asked[0][1]


def test_what_is_received_comes_from_the_peer_and_is_compared_in_full():
    api = Api(response([]))
    with dovecot(api) as doveadm:
        doveadm.receive(KARI)
    command, parameters = api.asked[0]
    assert command == "backup"
    assert parameters["destination"][0].startswith("tcp:127.0.0.1:")
    assert parameters["reverseSync"] is True
    assert parameters["fullSync"] is True


@pytest.mark.parametrize("code", [2, 67, 75])
@pytest.mark.parametrize("command", ["sync", "receive"])
def test_an_exit_code_is_told(code, command):
    with dovecot(Api(failure(code))) as doveadm, pytest.raises(DoveadmError) as raised:
        getattr(doveadm, command)(KARI)
    assert raised.value.code == code


def test_users_are_listed():
    with dovecot(Api(response({"userList": [KARI]}), failure(67))) as doveadm:
        assert doveadm.users() == [KARI]
        assert doveadm.users("nobody") == []


def test_folders_are_known_by_their_guids():
    rows = [{"mailbox": "Ferdig/2025", "guid": "b"}, {"mailbox": "Ferdig", "guid": "a"}]
    with dovecot(Api(response(rows), response([]))) as doveadm:
        assert doveadm.folders(KARI) == {"a": "Ferdig", "b": "Ferdig/2025"}
        assert doveadm.folders(KARI) == {}


@pytest.mark.parametrize("said", [None, 7, {}, ["Ferdig"]])
def test_what_is_no_list_of_folders_is_an_error(said):
    with dovecot(Api(response(said), response(said))) as doveadm:
        with pytest.raises(DoveadmError, match="not a list"):
            doveadm.folders(KARI)
        with pytest.raises(DoveadmError, match="not a list"):
            doveadm.subscriptions(KARI)


def test_subscriptions_are_known_and_taken_away_by_their_names():
    api = Api(response([{"mailbox": "Ferdig"}, {"mailbox": "Ferdig/2025"}]), response([]))
    with dovecot(api) as doveadm:
        assert doveadm.subscriptions(KARI) == {"Ferdig", "Ferdig/2025"}
        doveadm.unsubscribe(KARI, name="Ferdig")
    assert api.asked == [
        ["mailboxList", {"user": KARI, "subscriptions": True, "mailboxMask": ["*"]}],
        ["mailboxUnsubscribe", {"user": KARI, "mailbox": ["Ferdig"]}],
    ]


def test_a_folder_is_thrown_away_with_what_is_in_it_and_with_nothing_else():
    api = Api(response([]), response([]))
    with dovecot(api) as doveadm:
        doveadm.throw_away(KARI, name="Ferdig", guid="a")
    assert api.asked == [
        ["expunge", {"user": KARI, "query": ["mailbox-guid", "a", "all"]}],
        ["mailboxDelete", {"user": KARI, "mailbox": ["Ferdig"], "requireEmpty": True}],
    ]


def test_a_wrong_password_is_an_error_that_says_so():
    with (
        dovecot(Api(None, status="401 Unauthorized")) as doveadm,
        pytest.raises(DoveadmError, match="HTTP 401 Unauthorized"),
    ):
        doveadm.sync(KARI)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        7,
        [],
        {},
        ["x"],
        [1, 2, 3, 4],
        ["error", "why", "1"],
        ["error", None, "1"],
        [[], {}, 0],
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error(answer):
    with dovecot(Api(answer)) as doveadm, pytest.raises(DoveadmError):
        doveadm.sync(KARI)


@pytest.mark.parametrize("said", [b"", b"\xff" * 1000, b"HTTP/1.1 200 OK\r\n\r\n[[", b"A" * 70000])
def test_garbage_is_an_error(said):
    with (
        dovecot(lambda connection: connection.sendall(said)) as doveadm,
        pytest.raises(DoveadmError),
    ):
        doveadm.users()


def test_nobody_there_is_an_error():
    doveadm = Doveadm(api=Endpoint(host="127.0.0.1", port=1), password="x", peer=PEER)
    with pytest.raises(DoveadmError, match="refused"):
        doveadm.sync(KARI)


def test_mail_is_alike_when_folders_uids_guids_and_flags_are():
    folders = [{"mailbox": "INBOX", "guid": "f", "uidvalidity": "1"}]
    one = {"mailbox": "INBOX", "uid": "1", "guid": "a", "flags": r"\Seen \Flagged \Recent"}
    two = {"mailbox": "INBOX", "uid": "2", "guid": "b", "flags": ""}
    here = digest(folders=folders, messages=[one, two])
    assert digest(folders=folders, messages=[two, one | {"flags": r"\Flagged \Seen"}]) == here
    empty = {"mailbox": "Empty", "guid": "g", "uidvalidity": "1"}
    others = [
        digest(folders=folders, messages=[one]),
        digest(folders=folders, messages=[one, two | {"guid": "c"}]),
        digest(folders=folders, messages=[one | {"uid": "3"}, two]),
        digest(folders=folders, messages=[one | {"flags": r"\Seen"}, two]),
        digest(folders=[folders[0] | {"uidvalidity": "2"}], messages=[one, two]),
        digest(folders=[*folders, empty], messages=[one, two]),
    ]
    assert here not in others


def test_sieve_scripts_are_their_names_and_what_is_in_them():
    listed, first, second = [{"script": "b"}, {"script": "a"}], [{"is": "keep;"}], [{"is": "stop;"}]
    api = Api(*map(response, (listed, first, second)))
    with dovecot(api) as doveadm:
        assert doveadm.scripts(KARI) == [listed, first, second]
    assert [asked[0] for asked in api.asked] == ["sieveList", "sieveGet", "sieveGet"]
    assert [asked[1].get("scriptname") for asked in api.asked] == [None, "a", "b"]


def test_a_dovecot_is_known_by_its_greeting():
    with listener(lambda connection: connection.sendall(b"-\n")) as peer:
        assert reachable(peer, seconds=5)


def dawdle(connection: socket.socket) -> None:
    connection.sendall(b"-")
    time.sleep(1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: None,
        lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"),
        lambda connection: connection.sendall(b"\xff" * 1_000_000),
        lambda _: time.sleep(1),
        dawdle,
    ],
)
def test_anything_else_is_no_dovecot_and_takes_no_longer_than_it_may(answer):
    with listener(answer) as peer:
        began = time.monotonic()
        assert not reachable(peer, seconds=0.3)
        assert time.monotonic() - began < 0.9


def test_nobody_there_is_not_reachable():
    assert not reachable(Endpoint(host="127.0.0.1", port=1), seconds=1)

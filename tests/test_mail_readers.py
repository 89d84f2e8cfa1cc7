"""Readers, against a server on loopback that says what a mailbox holds."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from lab.history import Operation
from lab.users import mail_wire
from lab.users.mail_plan import IMAP, LOGIN, SEEN, Account, Reader
from lab.users.mail_readers import Reading
from lab.users.mail_wire import Stage

ADDRESS = "127.0.143.2"
KARI = Account(name="kari", login="kari", password="secret", address="kari@x")


@dataclass
class Mailbox:
    """One folder, and a server that speaks as much IMAP as readers need.

    Attributes:
        messages: number -> Message-ID.
        validity: UIDVALIDITY.
        password: that it takes.
    """

    messages: dict[int, str] = field(default_factory=dict)
    validity: int = 7
    password: str = "secret"
    connections: list[socket.socket] = field(default_factory=list)

    def serve(self, connection: socket.socket) -> None:
        """Speak to one program until it has had enough."""
        with contextlib.suppress(OSError):
            self.speak(connection)

    def speak(self, connection: socket.socket) -> None:
        """Answer one command after the other."""
        self.connections.append(connection)
        told = len(self.messages)
        with connection, connection.makefile("rwb") as file:

            def say(*lines: str) -> None:
                file.write("".join(f"{line}\r\n" for line in lines).encode())
                file.flush()

            say("* OK hei")
            while line := file.readline().decode().strip():
                tag, command, *rest = line.split(" ", 2)
                if command == "CAPABILITY":
                    say("* CAPABILITY IMAP4rev1 IDLE")
                elif command == "LOGIN" and f'"{self.password}"' not in line:
                    say(f"{tag} NO [AUTHENTICATIONFAILED] no")
                    continue
                elif command == "SELECT":
                    told = len(self.messages)
                    say(
                        f"* {told} EXISTS",
                        f"* OK [UIDVALIDITY {self.validity}] ok",
                        f"* OK [UIDNEXT {max(self.messages, default=0) + 1}] ok",
                    )
                elif command == "IDLE":
                    say("+ idling")
                    file.readline()
                    if told != len(self.messages):
                        told = len(self.messages)
                        say(f"* {told} EXISTS")
                elif command == "UID":
                    self.fetch(rest[0].split()[1], say)
                say(f"{tag} OK done")

    def fetch(self, wanted: str, say: Callable[..., None]) -> None:
        """Say what the messages with these numbers are."""
        if wanted.endswith(":*"):
            uids = {uid for uid in self.messages if uid >= int(wanted[:-2])}
            uids |= {max(self.messages)} if self.messages else set()
        else:
            uids = set(map(int, wanted.split(","))) & self.messages.keys()
        for uid in sorted(uids):
            head = f"Message-ID: <{self.messages[uid]}>\r\n\r\n"
            say(f"* 1 FETCH (UID {uid} FLAGS () BODY[X] {{{len(head)}}}", f"{head})")

    def cut(self) -> None:
        """Break all connections."""
        while self.connections:
            self.connections.pop().shutdown(socket.SHUT_RDWR)


@contextmanager
def reading(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Operation]]:
    """Let a reader read, and return what they write down meanwhile."""
    listening = socket.create_server((ADDRESS, 0))
    # No TLS: what is tried here is what a program remembers.
    monkeypatch.setattr(mail_wire.Imap, "starttls", lambda *_: None)
    port = listening.getsockname()[1]
    reader = Reader(name="r", account=KARI, host=ADDRESS, port=port, family="4", cadence=0.02)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=mailbox.serve, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    seen: list[Operation] = []
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()
    stage = Stage(loop=loop, stubs={}, trust=ssl.create_default_context(), add=seen.append)
    playing = threading.Thread(target=Reading(stage=stage, who=reader).play)
    playing.start()
    try:
        yield seen
    finally:
        stage.stop.set()
        playing.join(10)
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        loop.call_soon_threadsafe(loop.stop)
        running.join(10)
        loop.close()


def until(seen: list[Operation], *wanted: tuple[str, bool, str]) -> None:
    """Wait for operations: kind, whether they succeeded, and a pattern of what they say."""
    deadline = time.monotonic() + 10
    for kind, ok, pattern in wanted:
        while not any(
            one.kind == kind and one.ok is ok and re.search(pattern, f"{one.what} {one.detail}")
            for one in list(seen)
        ):
            assert time.monotonic() < deadline, [one for one in seen if one.kind != IMAP]
            time.sleep(0.01)


def shown(seen: list[Operation]) -> list[str]:
    return [one.what for one in seen if one.kind == SEEN and one.ok]


def test_what_comes_is_shown_once_whatever_happens_to_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mailbox = Mailbox(messages={3: "old@x"})
    with reading(mailbox, monkeypatch) as seen:
        until(seen, (IMAP, True, ""))
        mailbox.messages[5] = "gp-5@x"
        until(seen, (SEEN, True, "gp-5 INBOX 7 5"))
        mailbox.cut()
        mailbox.messages[6] = "gp-6@x"
        until(seen, (SEEN, True, "gp-6 INBOX 7 6"), (IMAP, False, "hung up"))
        mailbox.messages[7] = "somebody@else"
        mailbox.messages[8] = "gp-8@x"
        until(seen, (SEEN, True, "gp-8"))
    assert shown(seen) == ["gp-5", "gp-6", "gp-8"]
    assert not [one for one in seen if one.kind == SEEN and not one.ok]


def test_another_validity_is_told_and_reading_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Mailbox(messages={3: "old@x"})
    with reading(mailbox, monkeypatch) as seen:
        until(seen, (IMAP, True, ""))
        mailbox.validity = 8
        mailbox.cut()
        until(seen, (SEEN, False, "INBOX has another UIDVALIDITY: 8, not 7"))
        mailbox.messages[4] = "gp-4@x"
        until(seen, (SEEN, True, "gp-4 INBOX 8 4"))


def test_a_number_that_means_another_message_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Mailbox(messages={3: "old@x", 4: "other@x"})
    with reading(mailbox, monkeypatch) as seen:
        until(seen, (IMAP, True, ""))
        mailbox.messages = {3: "other@x", 4: "other@x"}
        mailbox.cut()
        until(seen, (SEEN, False, "INBOX 3 is other@x, and was old@x"))


def test_the_right_password_must_always_do(monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Mailbox(password="another")
    with reading(mailbox, monkeypatch) as seen:
        until(seen, (LOGIN, False, "AUTHENTICATIONFAILED"), (IMAP, False, "AUTH"))
        mailbox.password = "secret"
        until(seen, (LOGIN, True, ""), (IMAP, True, ""))

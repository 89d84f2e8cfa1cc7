#!/usr/bin/python3
"""Tells the name servers of the fleet whether people may be led to the mail server of this host.

200 when they may, 503 and why when not: when it lets nobody in, when somebody wants it out of use,
when a daemon does not listen or does not greet. Only the fleet may ask (nftables).
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CLOSED = Path("/run/mail-pair/closed")
# Not empty while somebody wants the host out of use (profile::drain).
DRAINED = Path("/var/lib/fleet/drain.map")
LISTENING = (25, 465, 587, 993, 4190)
# Port -> how whoever is there begins. Greeted seldom: each greeting is a line in their logs.
GREETINGS = {25: b"220 ", 143: b"* OK"}
GREET_SECONDS = 10.0
PATIENCE = 2.0
# From sock_diag(7), and from the headers inet_diag, netlink and tcp_states of the kernel.
SOCK_DIAG, BY_FAMILY, REQUEST_DUMP, ERROR, DONE = 4, 20, 0x301, 2, 3
LISTEN = 10


def listening() -> set[int]:
    """Return the TCP ports that somebody listens on.

    The kernel is asked for just those. To read /proc/net/tcp takes it 30 ms of a processor, for it
    goes through every connection that there could be.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as kernel:
        return {
            port
            for family in (socket.AF_INET, socket.AF_INET6)
            for port in _of_family(kernel, family)
        }


def _of_family(kernel: socket.socket, family: int) -> Iterator[int]:
    wanted = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 0, 1 << LISTEN)
    kernel.send(struct.pack("=IHHII", 16 + len(wanted), BY_FAMILY, REQUEST_DUMP, 0, 0) + wanted)
    while True:
        answer = kernel.recv(65536)
        while answer:
            length, kind = struct.unpack_from("=IH", answer)
            if kind == DONE:
                return
            if kind == ERROR:
                raise OSError(-struct.unpack_from("=i", answer, 16)[0], "sock_diag")
            yield struct.unpack_from("!H", answer, 20)[0]
            answer = answer[length + 3 & ~3 :]


def greets(port: int, *, address: str = "127.0.0.1") -> bool:
    """Whether the daemon behind a port says what it should."""
    try:
        with socket.create_connection((address, port), PATIENCE) as plain:
            return plain.recv(64).startswith(GREETINGS[port])
    except OSError:
        return False


class Health:
    """How this host stands; what is expensive to know is remembered for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = -GREET_SECONDS
        self._mute: list[int] = []

    def wrong(self) -> Iterator[str]:
        """Yield why nobody is to be led here."""
        if CLOSED.exists():
            yield "closed: the mailboxes are not alike yet"
        if DRAINED.exists() and DRAINED.stat().st_size:
            yield "drained"
        there = listening()
        yield from (f"nobody listens on port {each}" for each in LISTENING if each not in there)
        yield from (f"nobody greets on port {each}" for each in self._silent())

    def _silent(self) -> list[int]:
        with self._lock:
            if time.monotonic() - self._asked >= GREET_SECONDS or self._mute:
                self._mute = [port for port in GREETINGS if not greets(port)]
                self._asked = time.monotonic()
            return self._mute


class Handler(BaseHTTPRequestHandler):
    """Answers one question."""

    timeout = 5
    health = Health()

    def do_GET(self) -> None:
        """Say how it stands."""
        wrong = list(self.health.wrong())
        text = "".join(f"{each}\n" for each in wrong or ["ok"]).encode()
        self.send_response(HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing: it is asked twice a second for years."""


class Server(ThreadingHTTPServer):
    """Listens on both versions of IP."""

    address_family = socket.AF_INET6
    daemon_threads = True
    # Whoever asks waits a second at most: with five places, as by default, a busy host seemed dead.
    request_queue_size = 128

    def server_bind(self) -> None:
        """Take IPv4 as well."""
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


if __name__ == "__main__":
    Server(("::", int(sys.argv[1])), Handler).serve_forever()

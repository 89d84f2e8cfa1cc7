#!/usr/bin/python3
"""Tells the name servers of the fleet whether people may be led to the mail server of this host.

200 when they may, 503 and why when not: when it lets nobody in, when somebody wants it out of use,
when a daemon does not listen or does not greet. Only the fleet may ask (nftables).
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
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
LISTEN = "0A"  # net/tcp_states.h, as /proc/net/tcp has it


def listening(tables: Iterable[str]) -> set[int]:
    """Return the ports that somebody listens on, from the lines of /proc/net/tcp."""
    rows = (line.split()[1:4] for line in tables)
    return {int(row[0].rpartition(":")[2], 16) for row in rows if row[2:] == [LISTEN]}


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
        tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
        there = listening(line for each in tables for line in each.read_text().splitlines()[1:])
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

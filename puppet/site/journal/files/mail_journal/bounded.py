"""HTTP on the mesh that nobody there can wear out: few connections, and each ends by the clock."""

from __future__ import annotations

import http.server
import socket
import socketserver
import threading
from collections.abc import Collection
from typing import Any, Final

from mail_journal.counts import Counts
from mail_journal.deadline import Deadlines

CONNECTIONS: Final = 128
IDLE: Final = 90.0


class Bounded(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A server with a thread for each of a bounded number of connections.

    Args:
        address: where it listens.
        port: where it listens.
        handler: what a connection gets.
        peers: the addresses that may come; everybody if there are none.
        counts: what happened, for metrics.
        idle: seconds after which a connection on which nothing was asked and answered is closed.
        connections: how many there may be at a time.
    """

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(
        self,
        *,
        address: str,
        port: int,
        handler: type[Patient],
        peers: Collection[str],
        counts: Counts,
        idle: float = IDLE,
        connections: int = CONNECTIONS,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.counts = counts
        self.deadlines = Deadlines()
        self.idle = idle
        self._peers = frozenset(peers)
        self._places = threading.BoundedSemaphore(connections)
        super().__init__((address, port), handler)

    def server_bind(self) -> None:
        """Bind, without asking the DNS for a name as the library does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "mail-journal", self.server_address[1]

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002
        """Whether somebody is listened to."""
        if self._peers and client_address[0] not in self._peers:
            self.counts.add("strangers")
            return False
        return True

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve one connection in a thread of its own, if there is room."""
        if not self._places.acquire(blocking=False):
            self.counts.add("crowded")
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            # No more threads.
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """Go on: whoever hung up in the middle has done no harm."""
        self.counts.add("broken_off")


class Patient(http.server.BaseHTTPRequestHandler):
    """One connection, for as long as something is asked and answered on it."""

    server: Bounded
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # An answer is one packet.
    wbufsize = -1
    server_version = "mail-journal"
    sys_version = ""

    def handle_one_request(self) -> None:
        """Wait for a request and answer it, for a time: longer than any sender waits."""
        with self.server.deadlines.limit(self.connection, self.server.idle):
            super().handle_one_request()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: what matters is counted."""

"""An end to every exchange, however slowly the other side goes on.

A socket's own timeout is for one read: whoever sends a byte a second never meets it.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class _Limit:
    def __init__(self, sock: socket.socket) -> None:
        self.sock: socket.socket | None = sock
        self.expired = False


class Deadlines:
    """Shuts sockets down that are not done in time. One thread for all of them."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Limit]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit(self, sock: socket.socket, seconds: float) -> Iterator[_Limit]:
        """Give whatever is done with a socket so many seconds.

        Yields:
            Something that says whether it was shut down (``expired``).
        """
        limit = _Limit(sock)
        at = time.monotonic() + seconds
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            heapq.heappush(self._heap, (at, next(self._count), limit))
            if self._heap[0][2] is limit:
                self._changed.notify()
        try:
            yield limit
        finally:
            with self._changed:
                limit.sock = None

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._heap:
                    self._changed.wait()
                at, _, limit = self._heap[0]
                left = at - time.monotonic()
                if limit.sock is not None and left > 0:
                    self._changed.wait(left)
                    continue
                heapq.heappop(self._heap)
                if limit.sock is not None:
                    limit.expired = True
                    with suppress(OSError):
                        limit.sock.shutdown(socket.SHUT_RDWR)

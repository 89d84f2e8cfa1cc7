"""A way to the peer's Dovecot that is cut before Dovecot trips over a message that is gone.

A message that leaves a folder while the folder is copied is announced by its GUID, without a body.
Dovecot 2.4.1 cancels its saving, takes all that it saved with it for cancelled as well when it
commits, and deletes the files of messages that are in the index (``dsync_mailbox_save_body``,
``sdbox_transaction_save_commit_post``); and says that it worked. A connection that ends instead
costs nothing: what has been saved is kept, and the next copy goes on from there.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from replicator.doveadm import Endpoint

_ASKED: Final = re.compile(rb"R([0-9a-f]{32})")
_GONE: Final = re.compile(rb"(?:\n|\0\0[\0-\xff]{2})M([0-9a-f]{32})\n")
"""Behind another line, or at the beginning of a packet, which is announced by its length."""
_LONGEST: Final = 4 + len("M") + 32
"""What may be the beginning of either."""

_CHUNK: Final = 1 << 16
_SECONDS: Final = 30.0


class Relay:
    """Takes one connection on the loopback and passes it on to the peer, as long as it is in use.

    Attributes:
        port: where it listens.
        cut: whether it has ended the connection, for a message that was gone.
    """

    def __init__(self, *, peer: Endpoint) -> None:
        """Make one that listens."""
        self._peer = peer
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(_SECONDS)
        self._ends: list[socket.socket] = []
        self._asked: set[bytes] = set()
        self.port = int(self._server.getsockname()[1])
        self.cut = False
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End whatever is under way."""
        self._end(self._server)
        for each in self._ends:
            self._end(each)

    def _serve(self) -> None:
        try:
            near = self._server.accept()[0]
            self._ends.append(near)
            far = socket.create_connection((self._peer.host, self._peer.port), timeout=_SECONDS)
        except OSError:
            for each in self._ends:
                self._end(each)
            return
        self._ends.append(far)
        for each in (near, far):
            each.settimeout(None)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._ask, args=(near, far), daemon=True).start()
        self._answer(far, near)

    def _ask(self, near: socket.socket, far: socket.socket) -> None:
        seen = b""
        with suppress(OSError):
            while data := near.recv(_CHUNK):
                # Whoever writes a message can know no GUID that is asked for.
                whole = seen + data
                self._asked.update(_ASKED.findall(whole))
                seen = whole[-_LONGEST:]
                # Even if nobody listens any more: a reset would take from Dovecot what it has not
                # read yet.
                with suppress(OSError):
                    far.sendall(data)
        self._end(near)
        self._end(far)

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        seen = b""
        with suppress(OSError):
            while data := far.recv(_CHUNK):
                whole = seen + data
                gone = next((one for one in _GONE.finditer(whole) if one[1] in self._asked), None)
                if gone is not None:
                    self.cut = True
                    near.sendall(whole[len(seen) : gone.start(1) - 1])
                    break
                near.sendall(data)
                seen = whole[-_LONGEST:]
        self._end(far)
        with suppress(OSError):
            near.shutdown(socket.SHUT_WR)

    @staticmethod
    def _end(one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

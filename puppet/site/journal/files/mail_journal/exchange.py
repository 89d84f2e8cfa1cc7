"""What this node asks of the peer's store, within a time that is over when it is over."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from mail_journal.auth import SCHEME, Seal, new_nonce, same
from mail_journal.deadline import Deadlines
from mail_journal.errors import CouldNotError

ENTRIES: Final = "/v1/entries/"
QUESTIONS: Final = "/v1/questions"
ALIVE: Final = "/v1/alive"

DIGEST: Final = "Journal-Digest"
NONCE: Final = "Journal-Nonce"
MARK: Final = "Journal-Mark"

LONGEST_ANSWER: Final = 16 * 1024 * 1024
SLOWEST: Final = 4 * 1024 * 1024
"""Bytes a second that a message's size adds to the time it may take."""

_IDLE: Final = 32
_BLOCK: Final = 64 * 1024


class PeerError(CouldNotError):
    """The peer has not done what it was asked to.

    Attributes:
        reason: in one word, for metrics.
        general: whether the next message would fare no better.
    """

    def __init__(self, what: str, *, where: str, reason: str, general: bool) -> None:
        super().__init__(what, where=where)
        self.reason = reason
        self.general = general


@dataclass(frozen=True, kw_only=True)
class Body:
    """What is sent: a file from its beginning, or nothing.

    Attributes:
        file: open for reading.
        length: how many bytes there are.
        digest: their SHA-256, in hexadecimal.
    """

    file: BinaryIO | bytes
    length: int
    digest: str

    @classmethod
    def of(cls, content: bytes) -> Body:
        """Return a body of bytes."""
        return cls(file=content, length=len(content), digest=hashlib.sha256(content).hexdigest())


class Peer:
    """The other node's store. Connections are kept open; threads may share it.

    Args:
        address: on the mesh.
        port: of its store.
        seal: what it knows this node by.
        deadlines: what ends exchanges that take too long.
    """

    def __init__(self, *, address: str, port: int, seal: Seal, deadlines: Deadlines) -> None:
        self._address = address
        self._port = port
        self._seal = seal
        self._deadlines = deadlines
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    @property
    def where(self) -> str:
        """What errors call it."""
        return f"the peer's journal ({self._address} port {self._port})"

    def put(self, entry_id: str, body: Body, *, seconds: float) -> None:
        """Have the peer keep an entry; it is on its disk when this returns.

        Raises:
            PeerError: it is not.
        """
        self._exchange("PUT", f"{ENTRIES}{entry_id}", body, seconds + body.length / SLOWEST)

    def alive(self, *, seconds: float) -> Mapping[str, Any]:
        """Ask whether it would keep an entry.

        Raises:
            PeerError: it would not.
        """
        return self._document(self._exchange("GET", ALIVE, Body.of(b""), seconds))

    def ask(self, question: Mapping[str, Any], *, seconds: float) -> Mapping[str, Any]:
        """Ask what has become of messages.

        Raises:
            PeerError: there is no answer.
        """
        body = Body.of(json.dumps(question).encode())
        return self._document(self._exchange("POST", QUESTIONS, body, seconds))

    def _document(self, content: bytes) -> Mapping[str, Any]:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._error(f"its answer is malformed: {error}", "garbage") from error
        if not isinstance(document, dict):
            raise self._error("its answer is no object", "garbage")
        return document

    def _error(self, what: str, reason: str, *, general: bool = True) -> PeerError:
        return PeerError(what, where=self.where, reason=reason, general=general)

    def _exchange(self, method: str, path: str, body: Body, seconds: float) -> bytes:
        end = time.monotonic() + seconds
        while True:
            with self._lock:
                kept = self._idle.pop() if self._idle else None
            try:
                return self._once(kept, method, path, body, end)
            except (http.client.HTTPException, OSError, ValueError) as error:
                if time.monotonic() >= end:
                    raise self._error(f"no answer within {seconds:.1f} s", "timeout") from error
                # A connection that was idle may have been closed at the other end meanwhile.
                if kept is None:
                    reason = "garbage" if isinstance(error, http.client.HTTPException) else "away"
                    raise self._error(f"no answer: {error!r}", reason) from error

    def _once(
        self,
        kept: http.client.HTTPConnection | None,
        method: str,
        path: str,
        body: Body,
        end: float,
    ) -> bytes:
        connection = kept or self._connect(end)
        sock = connection.sock
        try:
            left = max(0.001, end - time.monotonic())
            sock.settimeout(left)
            with self._deadlines.limit(sock, left):
                nonce = new_nonce()
                if not isinstance(body.file, bytes):
                    body.file.seek(0)
                connection.request(
                    method,
                    path,
                    body=body.file,
                    headers={
                        "Content-Length": str(body.length),
                        DIGEST: body.digest,
                        NONCE: nonce,
                        "Authorization": SCHEME
                        + " "
                        + self._seal.request(
                            method=method, path=path, nonce=nonce, digest=body.digest
                        ),
                    },
                )
                answer = connection.getresponse()
                content = answer.read(LONGEST_ANSWER)
            self._believe(answer, content, path=path, nonce=nonce)
        except BaseException:
            connection.close()
            raise
        self._release(connection, answer)
        return content

    def _connect(self, end: float) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(
            self._address,
            self._port,
            timeout=max(0.001, end - time.monotonic()),
            blocksize=_BLOCK,
        )
        connection.connect()
        return connection

    def _release(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        with self._lock:
            if not answer.will_close and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _believe(
        self, answer: http.client.HTTPResponse, content: bytes, *, path: str, nonce: str
    ) -> None:
        """Take an answer for what it is, if it is the peer's."""
        expected = self._seal.answer(
            status=answer.status,
            path=path,
            nonce=nonce,
            digest=hashlib.sha256(content).hexdigest(),
        )
        if not same(answer.getheader(MARK, ""), expected):
            raise self._error(
                f"its answer ({answer.status}) is not marked by whoever knows the secret",
                "forged",
            )
        if answer.status in {http.client.OK, http.client.CREATED}:
            return
        said = content[:200].decode(errors="replace").strip()
        raise self._error(
            f"{answer.status}: {said}",
            "full" if answer.status == http.client.INSUFFICIENT_STORAGE else "refused",
            general=answer.status >= http.client.INTERNAL_SERVER_ERROR,
        )

    def hang_up(self) -> None:
        """Close what is idle: after an outage none of it is worth anything."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(OSError):
                connection.close()

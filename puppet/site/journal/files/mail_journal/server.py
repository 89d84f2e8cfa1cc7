"""The store's port: what the peer may ask, and nobody else.

Whoever comes from another address is not listened to, and whoever does not know the secret gets no
further than the headers. A connection that is slow is ended by the clock.
"""

from __future__ import annotations

import hashlib
import http
import json
import re
import socket
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mail_journal.auth import SCHEME, Seal, same
from mail_journal.bounded import IDLE, Bounded, Patient
from mail_journal.counts import Counts
from mail_journal.entry import EntryError, is_id
from mail_journal.errors import JournalError
from mail_journal.exchange import ALIVE, DIGEST, ENTRIES, MARK, NONCE, QUESTIONS
from mail_journal.store import BLOCK, FullError, MismatchError, Store, StoreError

LONGEST_QUESTION: Final = 16 * 1024 * 1024

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_NONCE: Final = re.compile(r"[0-9a-f]{16}\Z")
_NUMBER: Final = re.compile(r"[0-9]{1,12}\Z")


@dataclass(frozen=True, kw_only=True)
class Service:
    """What the port stands for.

    Attributes:
        store: where entries are kept.
        seal: what the peer is known by.
        answer: a question about messages -> what has become of them.
        instance: the id of this node's disks.
        largest: how large an entry may be, in bytes.
        counts: what happened, for metrics.
    """

    store: Store
    seal: Seal
    answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    instance: str
    largest: int
    counts: Counts


class Server(Bounded):
    """Listens on this node's address on the mesh.

    Args:
        address: where.
        port: where.
        peers: the addresses that may come.
        service: what they get.
        idle: seconds after which a connection on which nobody asks anything is closed.
    """

    def __init__(
        self,
        *,
        address: str,
        port: int,
        peers: Collection[str],
        service: Service,
        idle: float = IDLE,
    ) -> None:
        self.service = service
        super().__init__(
            address=address,
            port=port,
            handler=Handler,
            peers=peers,
            counts=service.counts,
            idle=idle,
        )


class Handler(Patient):
    """One connection of the peer's."""

    server: Server

    def do_PUT(self) -> None:  # noqa: N802 - the library's name
        """Keep an entry."""
        entry_id = self.path.removeprefix(ENTRIES)
        length = self._begin(largest=self.server.service.largest)
        if length is None:
            return
        if not self.path.startswith(ENTRIES) or not is_id(entry_id):
            self._refuse(http.HTTPStatus.NOT_FOUND, "there is no such thing")
            return
        store = self.server.service.store
        try:
            new = store.put(entry_id, self.rfile, length=length, digest=self.headers[DIGEST])
        except FullError as error:
            self._refuse(http.HTTPStatus.INSUFFICIENT_STORAGE, str(error))
        except (MismatchError, EntryError) as error:
            self._refuse(http.HTTPStatus.CONFLICT, str(error))
        except StoreError as error:
            self._refuse(http.HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        else:
            self.server.service.counts.add("kept" if new else "kept_again")
            self._answer(http.HTTPStatus.CREATED if new else http.HTTPStatus.OK, b"")

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        """Answer a question."""
        length = self._begin(largest=LONGEST_QUESTION)
        if length is None:
            return
        body = self.rfile.read(length)
        if hashlib.sha256(body).hexdigest() != self.headers[DIGEST] or self.path != QUESTIONS:
            self._refuse(http.HTTPStatus.NOT_FOUND, "there is no such thing")
            return
        try:
            answer = self.server.service.answer(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._refuse(http.HTTPStatus.BAD_REQUEST, f"not understood: {error!r}")
        except JournalError as error:
            self._refuse(http.HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        else:
            self._answer(http.HTTPStatus.OK, json.dumps(answer).encode())

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        """Say whether an entry would be kept."""
        if self._begin(largest=0) is None:
            return
        service = self.server.service
        if self.path != ALIVE:
            self._refuse(http.HTTPStatus.NOT_FOUND, "there is no such thing")
            return
        try:
            service.store.room(0)
        except FullError as error:
            self._refuse(http.HTTPStatus.INSUFFICIENT_STORAGE, str(error))
        except OSError as error:
            self._refuse(http.HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        else:
            self._answer(http.HTTPStatus.OK, json.dumps({"instance": service.instance}).encode())

    def _begin(self, *, largest: int) -> int | None:
        """Return how long the body is, if whoever asks may ask; otherwise they have been told."""
        digest = self.headers.get(DIGEST, "")
        nonce = self.headers.get(NONCE, "")
        length = self.headers.get("Content-Length", "")
        given = self.headers.get("Authorization", "")
        plausible = _SHA256.match(digest) and _NONCE.match(nonce) and _NUMBER.match(length)
        mark = self.server.service.seal.request(
            method=self.command, path=self.path, nonce=nonce, digest=digest
        )
        if not same(given, f"{SCHEME} {mark}") or not plausible:
            self.server.service.counts.add("unauthorized")
            self._refuse(http.HTTPStatus.UNAUTHORIZED, "you are not the peer")
            return None
        if int(length) > largest:
            self._refuse(http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "it is too large")
            return None
        return int(length)

    def _refuse(self, status: http.HTTPStatus, why: str) -> None:
        """Answer no. What else came on this connection may be part of what was refused."""
        self.server.service.counts.add(f"refused_{status.value}")
        self.close_connection = True
        self._answer(status, f"{why}\n".encode())
        if status is not http.HTTPStatus.UNAUTHORIZED:
            self._linger()

    def _linger(self) -> None:
        """Read what the peer is still sending: whoever hangs up on it takes the answer away."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while self.connection.recv(BLOCK):
                pass

    def _answer(self, status: http.HTTPStatus, content: bytes) -> None:
        mark = self.server.service.seal.answer(
            status=status.value,
            path=self.path,
            nonce=self.headers.get(NONCE, ""),
            digest=hashlib.sha256(content).hexdigest(),
        )
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header(MARK, mark)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

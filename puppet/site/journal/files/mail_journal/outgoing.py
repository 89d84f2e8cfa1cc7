"""A message on its way to the peer, and whether it got there in time."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from mail_journal.breaker import Breaker
from mail_journal.counts import Counts
from mail_journal.entry import HEADER, Head, header_value, new_id
from mail_journal.entry import Path as MailPath
from mail_journal.exchange import Body, Peer, PeerError

MEMORY: Final = 1024 * 1024
"""A larger message is written to a file while it comes."""

_SENDER_OPTIONS: Final = ("BODY=", "SMTPUTF8", "RET=", "ENVID=")
_RECIPIENT_OPTIONS: Final = ("NOTIFY=", "ORCPT=")

_log = logging.getLogger(__name__)


def path(address: str, options: Sequence[str], kept: Sequence[str]) -> MailPath:
    """Return a sender or a recipient with those of its options that still hold for a replay."""
    return MailPath(
        address=address.removeprefix("<").removesuffix(">"),
        options=tuple(one for one in options if one.upper().startswith(tuple(kept))),
    )


class Draft:
    """A message as it comes in, piece by piece.

    Attributes:
        id: the journal's id of it.
        foreign: how often a stranger had written our header into it.
        broken: why this copy of it is not whole; empty while it is.

    Args:
        sender: address, with or without angle brackets.
        options: what was told with it.
        directory: where large ones are while they come.
    """

    def __init__(self, *, sender: str, options: Sequence[str], directory: Path) -> None:
        self.id = new_id()
        self.foreign = 0
        self.broken = ""
        self._sender = path(sender, options, _SENDER_OPTIONS)
        self._recipients: list[MailPath] = []
        self._headers: list[bytes] = []
        self._digest = hashlib.sha256()
        self._length = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY, dir=str(directory))  # noqa: SIM115

    def recipient(self, address: str, options: Sequence[str]) -> None:
        """Add somebody whom it is for."""
        self._recipients.append(path(address, options, _RECIPIENT_OPTIONS))

    def header(self, name: str, value: bytes) -> None:
        """Add a header; whoever has written ours before is counted and left out.

        Args:
            name: without the colon.
            value: everything after the colon, folded as it was.
        """
        if name.lower() == HEADER.lower():
            self.foreign += 1
            return
        folded = b"\r\n".join(value.replace(b"\r\n", b"\n").split(b"\n"))
        self._headers.append(name.encode(errors="surrogateescape") + b":" + folded + b"\r\n")

    def begin_body(self, *, instance: str, queue_id: str) -> None:
        """End the headers.

        Args:
            instance: the id of this node's disks.
            queue_id: what Postfix calls the message.
        """
        head = Head(
            id=self.id,
            instance=instance,
            queue_id=queue_id,
            sender=self._sender,
            recipients=tuple(self._recipients),
        )
        ours = f"{HEADER}: {header_value(self.id, degraded=False)}\r\n".encode()
        self._write(b"".join([head.encode(), ours, *self._headers, b"\r\n"]))

    def body(self, chunk: bytes) -> None:
        """Add to the body."""
        self._write(chunk)

    def _write(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._length += len(chunk)
        try:
            self._file.write(chunk)
        except OSError as error:
            self.broken = str(error)

    def finished(self) -> Body:
        """Return the entry, whole."""
        self._file.seek(0)
        file = cast("BinaryIO", self._file)
        return Body(
            file=file.read() if self._length <= MEMORY else file,
            length=self._length,
            digest=self._digest.hexdigest(),
        )

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a message.

    Attributes:
        degraded: why the peer does not have it; empty if it has.
    """

    degraded: str = ""


class Sender:
    """Hands messages to the peer; no message waits for a peer that is known to be away.

    Args:
        peer: the other node's store.
        counts: what happened, for metrics.
        seconds: how long a small message may take.
        clock: one that never goes back.
    """

    def __init__(
        self,
        *,
        peer: Peer,
        counts: Counts,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peer = peer
        self._counts = counts
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._opened = threading.Condition(self._lock)
        self._breaker = Breaker()
        counts.set("peer_up", 1)

    @property
    def breaker(self) -> Breaker:
        """Whether the peer is asked."""
        return self._breaker

    def send(self, draft: Draft) -> Outcome:
        """Hand a message over.

        Returns:
            What became of it; a peer that is away is no error.
        """
        breaker = self._breaker
        if draft.broken:
            _log.warning("message %s cannot be copied: %s", draft.id, draft.broken)
            return self._degraded("copy")
        if breaker.open:
            return self._degraded(breaker.reason)
        began = self._clock()
        try:
            self._peer.put(draft.id, draft.finished(), seconds=self._seconds)
        except PeerError as error:
            if error.general:
                self._failed(error)
            else:
                _log.warning("message %s is on this disk only: %s", draft.id, error)
            return self._degraded(error.reason)
        finally:
            self._counts.add("exchange_seconds_sum", self._clock() - began)
            self._counts.add("exchange_seconds_count")
        self._counts.add("journaled")
        return Outcome()

    def _degraded(self, reason: str) -> Outcome:
        self._counts.add(f"degraded_{reason}")
        self._counts.set("last_degraded", time.time())
        return Outcome(degraded=reason)

    def _failed(self, error: PeerError) -> None:
        with self._lock:
            was_open = self._breaker.open
            self._breaker = self._breaker.failed(reason=error.reason, now=self._clock())
            self._opened.notify()
        if not was_open:
            self._counts.set("peer_up", 0)
            _log.warning("messages are on this disk only from now on: %s", error)
            self._peer.hang_up()

    def watch(self) -> None:
        """Wait for the peer to come back whenever it is away; for a thread of its own."""
        while True:
            self.watch_once()

    def watch_once(self) -> None:
        """Ask a peer that is away until it answers."""
        with self._lock:
            while not self._breaker.open:
                self._opened.wait()
        while self._breaker.open:
            with self._lock:
                left = self._breaker.next_try - self._clock()
                if left > 0:
                    self._opened.wait(left)
                    continue
            try:
                self._peer.alive(seconds=self._seconds)
            except PeerError as error:
                self._failed(error)
            else:
                with self._lock:
                    self._breaker = self._breaker.answered()
                self._counts.set("peer_up", 1)
                _log.warning("messages are on both disks again")

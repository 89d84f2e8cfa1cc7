"""What the peer accepted, on this node's disk.

A file an entry: the bytes that came, and their SHA-256 after them, so that what was cut short is
known from what is whole. An entry counts as kept when the file and the directory that names it are
on the disk.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from mail_journal.entry import LONGEST_HEAD, EntryError, Head, is_id
from mail_journal.errors import CouldNotError
from mail_journal.synced import DirectorySync

BLOCK: Final = 256 * 1024
TRAILER: Final = hashlib.sha256().digest_size


class StoreError(CouldNotError):
    """The journal on this disk cannot be read or written."""


class FullError(StoreError):
    """There is no room for more."""


class MismatchError(StoreError):
    """What came is not what was announced, or not what is kept under that id."""


class Source(Protocol):
    """Where the bytes of an entry come from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """An entry that is kept.

    Attributes:
        head: what is known of the message.
        size: of the file, in bytes.
        received: when it came, by the wall clock.
        known: since when this process knows it, by a clock that never goes back.
    """

    head: Head
    size: int
    received: float
    known: float

    def age(self) -> float:
        """For how many seconds it has been kept, whatever somebody did to the clock."""
        return max(time.time() - self.received, time.monotonic() - self.known, 0.0)


class Store:
    """The entries on this node.

    Args:
        directory: where they are.
        max_bytes: how much they may take.
        min_free: how many bytes of the disk are left to others.
    """

    def __init__(self, *, directory: Path, max_bytes: int, min_free: int) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._min_free = min_free
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._coming: set[str] = set()
        self._names = DirectorySync(directory)
        self.bytes = 0
        self.damaged = 0

    def open(self, *, tidy: bool) -> None:
        """Look at what is there.

        What never arrived whole was never confirmed, and is removed. What was whole and is not
        any more is put aside for somebody to look at.

        Args:
            tidy: whether to do so; for whoever only reads, it is passed over.

        Raises:
            StoreError: the directory cannot be read.
        """
        try:
            for path in self.directory.iterdir():
                if tidy and path.name.endswith(".part"):
                    path.unlink()
                elif is_id(path.name):
                    with suppress(FileNotFoundError):
                        self._look_at(path, tidy=tidy)
            self.damaged = sum(1 for _ in self.directory.glob("*.damaged"))
        except OSError as error:
            raise StoreError(f"cannot be read: {error}", where=str(self.directory)) from error

    def _look_at(self, path: Path, *, tidy: bool) -> None:
        try:
            head = check(path)
        except EntryError:
            if tidy:
                path.rename(path.with_name(f"{path.name}.damaged"))
            return
        status = path.stat()
        self._add(
            Held(
                head=head,
                size=status.st_size,
                received=status.st_mtime,
                known=time.monotonic(),
            )
        )

    def _add(self, held: Held) -> None:
        with self._lock:
            self._held[held.head.id] = held
            self.bytes += held.size

    def room(self, length: int) -> None:
        """See whether so many bytes may come.

        Raises:
            FullError: they may not.
        """
        if self.bytes + length > self._max_bytes:
            raise FullError(f"the journal has {self.bytes} bytes and may have {self._max_bytes}")
        if (free := self.free()) < self._min_free + length:
            raise FullError(f"the disk has {free} bytes left, and {self._min_free} are others'")

    def free(self) -> int:
        """How many bytes the disk has left for whoever is not root."""
        status = os.statvfs(self.directory)
        return status.f_bavail * status.f_frsize

    def put(self, entry_id: str, source: Source, *, length: int, digest: str) -> bool:
        """Keep an entry; it is on the disk when this returns.

        Args:
            entry_id: what it is called.
            source: where its bytes come from.
            length: how many there are.
            digest: their SHA-256, in hexadecimal.

        Returns:
            Whether it is new; an entry may come twice.

        Raises:
            FullError: there is no room.
            MismatchError: it is not what was announced, or another one has that id.
            StoreError: it cannot be written.
            EntryError: it is no entry.
        """
        self.room(length)
        with self._lock:
            if entry_id in self._coming:
                raise MismatchError("it is coming by another way at this moment")
            self._coming.add(entry_id)
        part = self.directory / f"{entry_id}.part"
        try:
            if entry_id in self._held:
                return self._again(entry_id, source, length=length, digest=digest)
            self._write(part, entry_id, source, length=length, digest=digest)
        except OSError as error:
            raise StoreError(f"cannot be written: {error}", where=str(part)) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            with self._lock:
                self._coming.discard(entry_id)
        return True

    def _write(
        self, part: Path, entry_id: str, source: Source, *, length: int, digest: str
    ) -> None:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            first = b""
            got = hashlib.sha256()
            for block in blocks(source, length):
                if b"\n" not in first and len(first) < LONGEST_HEAD:
                    first += block
                got.update(block)
                file.write(block)
            if got.hexdigest() != digest:
                raise MismatchError("the message is not the one that was announced")
            head = Head.parse(first.partition(b"\n")[0])
            if head.id != entry_id:
                raise MismatchError("the message calls itself by another id")
            file.write(got.digest())
            # Renamed before it is synced: one transaction of the file system has both.
            part.rename(self.directory / entry_id)
            os.fsync(file.fileno())
            self._names.sync()
        self._add(
            Held(
                head=head,
                size=length + TRAILER,
                received=time.time(),
                known=time.monotonic(),
            )
        )

    def _again(self, entry_id: str, source: Source, *, length: int, digest: str) -> bool:
        for _ in blocks(source, length):
            pass
        with (self.directory / entry_id).open("rb") as file:
            file.seek(-TRAILER, os.SEEK_END)
            if file.read() != bytes.fromhex(digest):
                raise MismatchError("another message is kept under this id")
        return False

    def held(self) -> list[Held]:
        """Return what is kept, the oldest first."""
        with self._lock:
            return sorted(self._held.values(), key=lambda held: held.received)

    def get(self, entry_id: str) -> Held | None:
        """Return an entry that is kept."""
        return self._held.get(entry_id)

    def discard(self, entry_id: str) -> None:
        """Keep an entry no longer.

        Raises:
            StoreError: it cannot be removed.
        """
        try:
            (self.directory / entry_id).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot be removed: {error}", where=entry_id) from error
        with self._lock:
            if held := self._held.pop(entry_id, None):
                self.bytes -= held.size

    def message(self, entry_id: str) -> tuple[Head, bytes]:
        """Return an entry's head and message, checked against its checksum.

        Raises:
            EntryError: it is damaged.
            StoreError: it cannot be read.
        """
        path = self.directory / entry_id
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"cannot be read: {error}", where=str(path)) from error
        body, trailer = content[:-TRAILER], content[-TRAILER:]
        if hashlib.sha256(body).digest() != trailer:
            raise EntryError("it is damaged", where=str(path))
        line, _, message = body.partition(b"\n")
        return Head.parse(line), message


def blocks(source: Source, length: int) -> Iterator[bytes]:
    """Read exactly *length* bytes.

    Raises:
        MismatchError: there are fewer.
    """
    left = length
    while left:
        block = source.read(min(BLOCK, left))
        if not block:
            raise MismatchError("it ended before it was whole")
        left -= len(block)
        yield block


def check(path: Path) -> Head:
    """Return the head of an entry that is whole.

    Raises:
        EntryError: it is not.
        OSError: it cannot be read.
    """
    left = path.stat().st_size - TRAILER
    got = hashlib.sha256()
    with path.open("rb") as file:
        line = file.readline(LONGEST_HEAD)
        got.update(line)
        left -= len(line)
        if left < 0:
            raise EntryError("it is cut short", where=str(path))
        while left and (block := file.read(min(BLOCK, left))):
            got.update(block)
            left -= len(block)
        if left or file.read(TRAILER + 1) != got.digest():
            raise EntryError("it is damaged", where=str(path))
    head = Head.parse(line)
    if head.id != path.name:
        raise EntryError("it is called by another id than its own", where=str(path))
    return head

#!/usr/bin/python3
"""Bring what programs append to a file on one host to the same file on the others.

    web-lines HOST DATA JOURNALS FILE...

A guest book is one file, to which several hosts may append at the same time: whoever exchanged
whole files would lose lines. So each host writes down the lines that began with it, in a journal
that nobody else writes (JOURNALS/FILE/HOST.lines), and appends to its own DATA/FILE what it finds
in the journals of the others. How journals travel is not decided here; syncthing carries them, and
whatever it lays aside as a conflict is a journal as well.

The file is the union of all: it has each line as often as any of them has it. That is the same in
whichever order, and however often, journals arrive, so nothing has to be remembered. Lines are only
ever added. To take one out for good, stop this on every host, take it out of the file and of the
journals on each, and start it again.

Programs hold a lock (flock(2)) while they append, as PHP's LOCK_EX does, and so does this.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.2
END = b"\n"
JOURNALS = "*.lines"
USAGE = "usage: web-lines HOST DATA JOURNALS FILE..."

Stamp = tuple[str, int, int, int]
"""What shows that a file has changed: its name, inode, size, and time of writing."""


class Book:
    """One file that programs append to, and its journals.

    Args:
        file: the file; it is made when there is something to be in it.
        journals: the directory of its journals; the same.
        host: whose own journal this host writes.
    """

    def __init__(self, *, file: Path, journals: Path, host: str) -> None:
        self._file = file
        self._journals = journals
        self._own = journals / f"{host}.lines"
        self._seen: set[Stamp] = set()

    def turn(self) -> int:
        """Append what began elsewhere, write down what began here; return how many lines.

        Raises:
            OSError: a file cannot be read or written. It is as it was, and the next turn may do.
        """
        now = self._stamps()
        if now == self._seen:
            return 0
        with locked(self._file) as descriptor:
            here = whole(self._file)
            have, known = Counter(here), Counter[bytes]()
            arrived: list[bytes] = []
            for path in sorted(self._journals.glob(JOURNALS)):
                journal = whole(path)
                new = missing(journal, have)
                have.update(new)
                arrived += new
                known |= Counter(journal)
            append(descriptor, arrived)
            if begun := missing(here, known):
                self._write_down(begun)
        self._seen = now
        return len(arrived) + len(begun)

    def _write_down(self, lines: list[bytes]) -> None:
        self._journals.mkdir(parents=True, exist_ok=True)
        with locked(self._own) as descriptor:
            # What was lost at its end when the power failed is among the lines.
            os.ftruncate(descriptor, self._own.read_bytes().rfind(END) + 1)
            append(descriptor, lines)

    def _stamps(self) -> set[Stamp]:
        """Look at all files before they are read: what comes later is another turn's."""
        found: set[Stamp] = set()
        for path in (self._file, *self._journals.glob(JOURNALS)):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            found.add((path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return found


def missing(wanted: Iterable[bytes], have: Counter[bytes]) -> list[bytes]:
    """Return the lines of *wanted* that are there less often than in it, in their order."""
    seen: Counter[bytes] = Counter()
    found = []
    for line in wanted:
        seen[line] += 1
        if seen[line] > have[line]:
            found.append(line)
    return found


def whole(path: Path) -> list[bytes]:
    """Return the lines of a file; one that has no end yet is none, and no file has none."""
    try:
        return path.read_bytes().split(END)[:-1]
    except FileNotFoundError:
        return []


def append(descriptor: int, lines: list[bytes]) -> None:
    """Write *lines* at the end of a file that is locked, all of them or none.

    What a program did not finish before it died gets its end: it is a line of its own.

    Raises:
        OSError: there is no room.
    """
    if not lines:
        return
    size = os.fstat(descriptor).st_size
    unfinished = size and os.pread(descriptor, 1, size - 1) != END
    left = memoryview((END if unfinished else b"") + b"".join(line + END for line in lines))
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Keep programs from appending to a file while the block runs; it is made if need be."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def main(arguments: list[str]) -> int:
    """Go on for ever, a few times a second."""
    if len(arguments) < len(USAGE.split()[2:]):
        print(USAGE, file=sys.stderr)
        return 2
    host, data, journals, *names = arguments
    books = [
        Book(file=Path(data) / name, journals=Path(journals) / name, host=host) for name in names
    ]
    while True:
        for book in books:
            book.turn()
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

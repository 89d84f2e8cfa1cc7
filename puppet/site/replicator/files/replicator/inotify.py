"""Which files of a directory have been written: inotify(7), which Python does not know."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Final

CLOSE_WRITE: Final = 0x00000008
MOVED_TO: Final = 0x00000080
OVERFLOW: Final = 0x00004000
_NONBLOCK: Final = os.O_NONBLOCK | os.O_CLOEXEC
_HEAD: Final = struct.Struct("iIII")
_AT_ONCE: Final = 65536


class Watch:
    """A watch on one directory.

    Attributes:
        fd: readable when there is something.
    """

    def __init__(self, *, directory: Path) -> None:
        """Begin to watch.

        Raises:
            OSError: it cannot be watched.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = libc.inotify_init1(_NONBLOCK)
        if (
            self.fd < 0
            or libc.inotify_add_watch(self.fd, os.fsencode(directory), CLOSE_WRITE | MOVED_TO) < 0
        ):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(directory))

    def read(self) -> list[str] | None:
        """Return the names of the files written since; nothing at all when some were missed."""
        try:
            data = os.read(self.fd, _AT_ONCE)
        except BlockingIOError:
            return []
        names: list[str] = []
        at = 0
        while at < len(data):
            _, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            if mask & OVERFLOW:
                return None
            names.append(os.fsdecode(data[at : at + length].rstrip(b"\0")))
            at += length
        return names

    def close(self) -> None:
        """Watch no longer."""
        os.close(self.fd)

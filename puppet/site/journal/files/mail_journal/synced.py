"""Files and names that are on the disk, not on their way there."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class DirectorySync:
    """Brings the names in a directory to the disk, for whoever asks at the same time at once.

    Each time is a flush of the disk's own cache: many writers share one that began after the last
    of them had written.

    Args:
        directory: where the names are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._changed = threading.Condition()
        self._begun = 0
        self._done = 0
        self._running = False

    def sync(self) -> None:
        """Return when every name that was there before the call is on the disk.

        Raises:
            OSError: that failed.
        """
        with self._changed:
            mine = self._begun + 1
            while self._done < mine:
                if self._running:
                    self._changed.wait()
                    continue
                self._running = True
                self._begun += 1
                self._flush(self._begun)

    def _flush(self, number: int) -> None:
        """Flush once, while others may ask for the next time; they hold the lock meanwhile."""
        self._changed.release()
        try:
            sync_directory(self._directory)
        except OSError:
            number = 0
            raise
        finally:
            self._changed.acquire()
            self._running = False
            self._done = max(self._done, number)
            self._changed.notify_all()


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk.

    Raises:
        OSError: that failed.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, content: bytes) -> None:
    """Replace a small file in one step; it is on the disk when this returns.

    Raises:
        OSError: that failed.
    """
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_directory(path.parent)

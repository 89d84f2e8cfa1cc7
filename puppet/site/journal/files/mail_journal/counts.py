"""What has happened, counted for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Mapping


class Counts:
    """Numbers by name; threads may share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, float] = {}

    def add(self, name: str, number: float = 1) -> None:
        """Count something."""
        with self._lock:
            self._numbers[name] = self._numbers.get(name, 0) + number

    def set(self, name: str, number: float) -> None:
        """Say how much there is of something."""
        with self._lock:
            self._numbers[name] = number

    def all(self) -> Mapping[str, float]:
        """Return every number by name."""
        with self._lock:
            return dict(self._numbers)

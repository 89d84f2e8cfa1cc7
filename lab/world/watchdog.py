"""Listens for somebody who says every minute that all is running, and notices when it stops.

    watchdog.py DIRECTORY SECONDS

It stands for whatever service outside a fleet's owner lets its watchdog call: Prometheus' own
alert that always fires comes by HTTP, as Alertmanager sends it. DIRECTORY/heard is touched each
time; when nothing has come for SECONDS, DIRECTORY/silent is written, with the time, and taken
away when somebody calls again. systemd hands the socket over with the first call: until then
nobody is expected.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ALERT = "Watchdog"
_FIRST_SOCKET = 3
_MOST_BYTES = 65_536


class Silence:
    """When somebody was last heard.

    Args:
        directory: where it is told.
        seconds: of silence that are too many.
    """

    def __init__(self, *, directory: Path, seconds: float) -> None:
        self._heard, self._silent = directory / "heard", directory / "silent"
        self._seconds = seconds
        self._last = time.monotonic()

    def heard(self) -> None:
        """Note that somebody called."""
        self._last = time.monotonic()
        self._heard.touch()
        self._silent.unlink(missing_ok=True)

    def look(self) -> None:
        """Tell when nobody has called for too long."""
        if time.monotonic() - self._last > self._seconds and not self._silent.exists():
            self._silent.write_text(f"{time.time():.0f}\n")


def is_watchdog(body: bytes) -> bool:
    """Return whether a call is Alertmanager's, and says that the alert that always fires does."""
    try:
        alerts = json.loads(body)["alerts"]
        return any(
            each["status"] == "firing" and each["labels"]["alertname"] == ALERT for each in alerts
        )
    except (ValueError, KeyError, TypeError):
        return False


class Ear(BaseHTTPRequestHandler):
    """Takes a call."""

    silence: Silence

    def do_POST(self) -> None:
        """Answer, and note it when it is what is waited for."""
        length = min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES)
        right = is_watchdog(self.rfile.read(length))
        if right:
            self.silence.heard()
        self.send_response(HTTPStatus.NO_CONTENT if right else HTTPStatus.BAD_REQUEST)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
        """Say nothing of calls: there is one a minute."""


def main(argv: Sequence[str]) -> None:
    """Listen on the socket that systemd gives, for ever."""
    Ear.silence = Silence(directory=Path(argv[1]), seconds=float(argv[2]))
    server = HTTPServer(("", 0), Ear, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=_FIRST_SOCKET)
    server.timeout = 1.0
    while True:
        server.handle_request()
        Ear.silence.look()


if __name__ == "__main__":
    main(sys.argv)

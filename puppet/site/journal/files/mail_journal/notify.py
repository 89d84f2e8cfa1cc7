"""Telling systemd that a service is ready (sd_notify(3))."""

from __future__ import annotations

import os
import socket


def notify() -> None:
    """Say so, if systemd asked for it."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(address.replace("@", "\0", 1))
            sock.send(b"READY=1")

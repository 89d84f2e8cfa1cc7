"""Faults that only the table of alerts has: what people stop, exporters that lie, a full disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from lab.faults import Faults
from lab.lab import Lab

HISTORY: Final = "/var/lib/prometheus"
_VOLUME_MB: Final = 64


@contextmanager
def stopped(lab: Lab, host: str, *units: str) -> Iterator[None]:
    """Stop units as a person does: systemd does not bring them back."""
    lab.engine.run(host, ["systemctl", "stop", *units])
    try:
        yield
    finally:
        lab.engine.run(host, ["systemctl", "start", *reversed(units)])


_STANDIN: Final = """
import http.server, sys, time

class Says(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(sys.argv[1].format(in_an_hour=time.time() + 3600).encode())

http.server.ThreadingHTTPServer(("127.0.0.1", 9100), Says).serve_forever()
"""


@contextmanager
def telling(lab: Lab, host: str, text: str) -> Iterator[None]:
    """Let the exporter of a host say something else than it does.

    Args:
        lab: the lab.
        host: which.
        text: what is said, with ``{in_an_hour}`` for the time in an hour.
    """
    standin = "standin.service"
    with stopped(lab, host, "prometheus-node-exporter.service"):
        command = ["systemd-run", "--quiet", "--collect", f"--unit={standin}"]
        lab.engine.run(host, [*command, "python3", "-c", _STANDIN, text])
        try:
            yield
        finally:
            lab.engine.run(host, ["systemctl", "stop", standin])


@contextmanager
def small_history(faults: Faults, lab: Lab, host: str) -> Iterator[None]:
    """Let the history that Prometheus keeps be on a volume that can be filled."""
    # What runs in a mount namespace of its own sees a volume that was there when it started.
    units = ("prometheus.service", "prometheus-node-exporter.service")
    with ExitStack() as stack:
        with stopped(lab, host, *units):
            stack.enter_context(faults.small_volume(host, HISTORY, megabytes=_VOLUME_MB))
        try:
            yield
        finally:
            with stopped(lab, host, *units):
                stack.close()


@contextmanager
def filled(lab: Lab, host: str, *, left: int) -> Iterator[None]:
    """Fill the volume of the history.

    Args:
        lab: the lab.
        host: that watches.
        left: MB that stay free.
    """
    ballast = f"{HISTORY}/.fault-ballast"
    script = f"""
        free=$(df --output=avail -BK {HISTORY} | tail -n 1 | tr -dc 0-9)
        head -c $((free - {left} * 1024))K /dev/zero >{ballast} || true
    """
    lab.engine.run(host, ["sh", "-ec", script])
    try:
        yield
    finally:
        lab.engine.run(host, ["rm", ballast])

"""Whether a host that has just been started lets people at their mail."""

from __future__ import annotations

from typing import Final

from lab.lab import Lab
from lab.pair.strikes import PAIR

_OPEN: Final = (
    "until mail-pair status && [ $(systemctl is-active postfix) = active ]; do sleep 0.3; done"
)


def opened(lab: Lab, host: str) -> None:
    """Wait until *host* lets people in, which it does when it has what the other one has."""
    lab.engine.run(host, ["timeout", "120", "sh", "-c", _OPEN], timeout=130)


def both_opened(lab: Lab) -> None:
    """Wait until both of the pair do: neither does when a milestone has just been taken."""
    for host in PAIR:
        opened(lab, host)

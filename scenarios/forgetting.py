"""A resolver that has forgotten whom it found silent: it would avoid them for minutes."""

from __future__ import annotations

from lab.lab import Lab


def forgotten(lab: Lab) -> None:
    """Let the lab's resolver forget all that it knows of servers."""
    lab.engine.run("resolver", ["unbound-control", "-q", "reload"])

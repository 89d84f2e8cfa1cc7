"""Small things about text that several domains need."""

from __future__ import annotations


def brief(command: str, *, width: int = 80) -> str:
    """Return *command* on one line, cut to *width* characters."""
    line = " ".join(command.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def last_line(text: str) -> str:
    """Return the last line of *text* that says something; empty when none does."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""

"""Begins the milter. The library it needs is on mail servers, and nothing else needs it."""

from __future__ import annotations

from importlib import import_module

from mail_journal.config import Config


def run(config: Config) -> None:
    """Serve Postfix until somebody says stop.

    Raises:
        JournalError: it cannot be begun.
    """
    import_module("mail_journal.milter").run(config)

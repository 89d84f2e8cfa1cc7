"""Postfix on this node: what is in its queue, and how a message gets into it again."""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from mail_journal.entry import HEADER, Head, Path, id_in
from mail_journal.errors import CouldNotError

TIMEOUT: Final = 120.0

_QUEUED: Final = re.compile(r"queued as ([0-9A-Za-z]+)")


class PostfixError(CouldNotError):
    """Postfix does not do what it is asked to."""


@dataclass(frozen=True, kw_only=True)
class Queued:
    """A message in the queue.

    Attributes:
        queue_id: what Postfix calls it.
        recipients: those it is still for, after aliases.
    """

    queue_id: str
    recipients: tuple[str, ...]


def queue() -> list[Queued]:
    """Return what is in the queue.

    Raises:
        PostfixError: it cannot be read.
    """
    return parse_queue(_run("postqueue", "-j"))


def parse_queue(text: str) -> list[Queued]:
    """Read what ``postqueue -j`` prints: an object a line.

    Raises:
        PostfixError: it is malformed.
    """
    try:
        documents = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [
            Queued(
                queue_id=one["queue_id"],
                recipients=tuple(to["address"].lower() for to in one["recipients"]),
            )
            for one in documents
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise PostfixError(f"postqueue says what is not understood: {error!r}") from error


def journal_id(queue_id: str) -> str:
    """Return the journal's id of a message in the queue; empty if it has none.

    Raises:
        PostfixError: it cannot be read.
    """
    for line in _run("postcat", "-hq", queue_id).splitlines():
        name, _, value = line.partition(":")
        if name.lower() == HEADER.lower() and (found := id_in(value)):
            return found
    return ""


def purge(queue_ids: Sequence[str]) -> None:
    """Take messages out of the queue.

    Raises:
        PostfixError: that failed.
    """
    if queue_ids:
        _run("postsuper", "-d", "-", stdin="".join(f"{one}\n" for one in queue_ids))


def running() -> bool:
    """Whether Postfix runs."""
    command = ["postfix", "status"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise PostfixError(f"cannot be asked: {error}", where="postfix status") from error
    return done.returncode == 0


def start() -> None:
    """Start it.

    Raises:
        PostfixError: it does not start.
    """
    _run("systemctl", "start", "postfix.service")


def _run(*command: str, stdin: str = "") -> str:
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PostfixError(f"cannot be run: {error}", where=command[0]) from error
    if done.returncode:
        raise PostfixError(
            f"ended with {done.returncode}: {done.stderr.strip()}", where=" ".join(command)
        )
    return done.stdout


class Reinjector:
    """Hands messages to Postfix once more, past every milter: they have been through them.

    Args:
        port: where Postfix takes them, on the loopback interface.
    """

    def __init__(self, *, port: int) -> None:
        self._smtp = smtplib.SMTP(timeout=TIMEOUT)
        self._port = port

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            PostfixError: Postfix does not answer.
        """
        try:
            self._smtp.connect("127.0.0.1", self._port)
            self._smtp.ehlo()
        except (OSError, smtplib.SMTPException) as error:
            raise self._error(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._smtp.close()

    def deliver(self, head: Head, recipients: Sequence[Path], message: bytes) -> str:
        """Hand a message over.

        Args:
            head: who it is from.
            recipients: who it is for.
            message: headers and body, with CRLF.

        Returns:
            What Postfix calls it.

        Raises:
            PostfixError: it does not take the message, or not for every recipient.
        """
        try:
            self._smtp.rset()
            self._command(*self._smtp.mail(head.sender.address, list(head.sender.options)))
            for one in recipients:
                self._command(*self._smtp.rcpt(one.address, list(one.options)))
            answer = self._command(*self._smtp.data(message))
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            raise self._error(error) from error
        found = _QUEUED.search(answer)
        return found[1] if found else ""

    def _command(self, code: int, answer: bytes) -> str:
        text = answer.decode(errors="replace")
        if code // 100 != 2:  # noqa: PLR2004 - RFC 5321: done
            raise self._error(f"{code} {text}")
        return text

    def _error(self, what: object) -> PostfixError:
        return PostfixError(
            f"does not take a message: {what}",
            where=f"Postfix (127.0.0.1 port {self._port})",
            remedy="Is postfix.service running? What was not taken stays in the journal",
        )

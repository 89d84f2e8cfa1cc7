"""Dovecot's mailboxes on this node: which journal ids are in them."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mail_journal.entry import HEADER, id_in
from mail_journal.errors import CouldNotError

MARGIN: Final = 120.0
"""Seconds by which a message may have come earlier than asked for."""

TIMEOUT: Final = 60.0
_NO_USER: Final = 67
_FIELD: Final = f"hdr.{HEADER.lower()}"


class MailboxesError(CouldNotError):
    """Dovecot cannot be asked."""


class NoMailboxError(MailboxesError):
    """Dovecot does not know such a mailbox."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One message in a mailbox.

    Attributes:
        id: the journal's.
        folder: name of the folder.
        uid: its number there.
        flags: what its owner marked it with.
    """

    id: str
    folder: str
    uid: int
    flags: str


class Mailboxes:
    """Dovecot, by its HTTP API.

    Args:
        url: where.
        password: its ``doveadm_password``.
        timeout: seconds.
    """

    def __init__(self, *, url: str, password: str, timeout: float = TIMEOUT) -> None:
        self._url = url
        self._timeout = timeout
        self._authorization = "Basic " + base64.b64encode(f"doveadm:{password}".encode()).decode()

    def ids(self, user: str, *, since: float) -> frozenset[str]:
        """Return the ids of what somebody has, in any folder.

        Args:
            user: the mailbox.
            since: how many seconds ago it may have come at most.

        Raises:
            NoMailboxError: Dovecot does not know it.
            MailboxesError: Dovecot does not answer.
        """
        return frozenset(copy.id for copy in self.copies(user, since=since))

    def copies(self, user: str, *, since: float) -> list[Copy]:
        """Return every message with an id that somebody has, in any folder.

        Args:
            user: the mailbox.
            since: how many seconds ago it may have come at most.

        Raises:
            MailboxesError: Dovecot does not answer.
        """
        answer = self._call(
            "fetch",
            user=user,
            field=[_FIELD, "mailbox", "uid", "flags"],
            query=["mailbox", "*", "savedsince", f"{int(since + MARGIN)} s"],
        )
        return [
            Copy(
                id=entry_id,
                folder=one["mailbox"],
                uid=int(one["uid"]),
                flags=one.get("flags", ""),
            )
            for one in answer
            if (entry_id := id_in(one.get(_FIELD, "")))
        ]

    def expunge(self, user: str, *, folder: str, uid: int) -> None:
        """Remove one message.

        Raises:
            MailboxesError: Dovecot does not answer.
        """
        self._call("expunge", user=user, query=["mailbox", folder, "uid", str(uid)])

    def users(self) -> Sequence[str]:
        """Return every mailbox there is.

        Raises:
            MailboxesError: Dovecot does not answer.
        """
        answer = self._call("user", userMask=["*"])
        return sorted(str(name) for name in answer.get("userList", [])) if answer else []

    def _call(self, command: str, **parameters: object) -> Any:  # noqa: ANN401 - JSON
        request = urllib.request.Request(  # noqa: S310 - the URL is Puppet's
            self._url,
            data=json.dumps([[command, parameters, "t"]]).encode(),
            headers={"Authorization": self._authorization, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                document = json.load(answer)
            kind, content, _ = document[0]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise MailboxesError(
                f"Dovecot does not answer: {error}",
                where=self._url,
                remedy="Is dovecot.service running, and the password right?",
            ) from error
        if kind == "error":
            if content.get("exitCode") == _NO_USER:
                raise NoMailboxError("there is no such mailbox", where=str(parameters.get("user")))
            raise MailboxesError(f"doveadm {command} failed: {content}", where=self._url)
        return content

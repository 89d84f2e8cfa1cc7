"""What a node knows of messages: whether they wait in its queue, and which mailboxes have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from mail_journal import postfix
from mail_journal.entry import is_id
from mail_journal.mailboxes import NoMailboxError
from mail_journal.replayed import Replayed

FAR_BACK: Final = 86400.0
"""Seconds by which a clock may be off at most for a message to be found nevertheless."""


class Finder(Protocol):
    """Where journal ids are looked for."""

    def ids(self, user: str, *, since: float) -> frozenset[str]:
        """Return the ids of what somebody got within so many seconds."""


class Witness:
    """Answers the peer's questions about messages that this node accepted.

    Args:
        instance: the life of this node.
        mailboxes: Dovecot here.
        replayed: directory of what was done for the peer.
        queue: what is in Postfix's queue.
    """

    def __init__(
        self,
        *,
        instance: str,
        mailboxes: Finder,
        replayed: Path,
        queue: Callable[[], list[postfix.Queued]] = postfix.queue,
    ) -> None:
        self._instance = instance
        self._mailboxes = mailboxes
        self._replayed = replayed
        self._queue = queue

    def answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a question (:func:`question`).

        Raises:
            KeyError, TypeError, ValueError: it is malformed.
            JournalError: Postfix or Dovecot do not answer.
        """
        if "replayed" in question:
            return {
                "instance": self._instance,
                "replayed": {
                    entry_id: sorted(done.finals)
                    for entry_id in question["replayed"]
                    if is_id(entry_id) and (done := Replayed.read(self._replayed, entry_id))
                },
            }
        entries = question["entries"]
        # The queue before the mailboxes: what leaves the one in between is in the others.
        queued = {one.queue_id for one in self._queue()}
        found = look(
            self._mailboxes,
            [(frozenset(one["mailboxes"]), float(one["age"])) for one in entries.values()],
        )
        return {
            "instance": self._instance,
            "entries": {
                entry_id: {
                    "queued": one["queue_id"] in queued,
                    # Of a mailbox that is not there, nobody can say what it had.
                    "mailboxes": [
                        user
                        for user in one["mailboxes"]
                        if user not in found or entry_id in found[user]
                    ],
                }
                for entry_id, one in entries.items()
            },
        }


def look(
    mailboxes: Finder, wanted: Iterable[tuple[frozenset[str], float]]
) -> Mapping[str, frozenset[str]]:
    """Look into mailboxes for what is journaled.

    Args:
        mailboxes: Dovecot here.
        wanted: of each message, its mailboxes and how many seconds ago it came.

    Returns:
        The ids in each mailbox that there is.

    Raises:
        MailboxesError: Dovecot does not answer.
    """
    since: dict[str, float] = {}
    for users, age in wanted:
        for user in users:
            since[user] = max(since.get(user, 0.0), age)
    found = {}
    for user, age in sorted(since.items()):
        with suppress(NoMailboxError):
            found[user] = mailboxes.ids(user, since=age)
    return found

"""What the journal keeps of a message: who it is from and for, and where it was accepted.

An entry is one line of JSON, its *head*, and the message as it will be delivered. The same bytes
go over the wire and onto the disk.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

from mail_journal.errors import CheckFailedError

HEADER: Final = "X-Mail-Journal"
"""The header that a message is found again by; what a stranger wrote there is taken out."""

LONGEST_HEAD: Final = 1024 * 1024
"""In bytes. Postfix takes 1,000 recipients, and an address is at most 320 bytes long."""

_ID: Final = re.compile(r"[0-9a-f]{32}\Z")
_QUEUE_ID: Final = re.compile(r"[0-9A-Za-z]{4,32}\Z")
_ADDRESS: Final = re.compile(r"[^\x00-\x20\x7f<>]*\Z|\"[^\x00-\x1f\x7f<>]*\Z")
_OPTION: Final = re.compile(r"[A-Za-z0-9-]+(=[^\x00-\x20\x7f]*)?\Z")
_DEGRADED: Final = "degraded"


class EntryError(CheckFailedError):
    """What should be an entry is none."""


def new_id() -> str:
    """Return an id that no other message has, and that nobody can guess."""
    return secrets.token_hex(16)


def is_id(text: str) -> bool:
    """Whether a text may be an id: safe as the name of a file, in a header and in a query."""
    return _ID.match(text) is not None


def header_value(entry_id: str, *, degraded: bool) -> str:
    """Return what the header says of a message; *degraded* if no peer has it."""
    return f"{entry_id} {_DEGRADED}" if degraded else entry_id


def id_in(value: str) -> str:
    """Return the id that a header has; empty if it has none."""
    first = value.split(maxsplit=1)[0] if value.strip() else ""
    return first if is_id(first) else ""


@dataclass(frozen=True, kw_only=True)
class Path:
    """A sender or a recipient, as it was told in SMTP.

    Attributes:
        address: without angle brackets; empty for the sender of a bounce.
        options: what was told with it, such as ``NOTIFY=NEVER`` (RFC 3461).
    """

    address: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Head:
    """What is known of a message besides itself.

    Attributes:
        id: of the entry, and in the message's header.
        instance: the life of the node that accepted it (:mod:`mail_journal.instance`).
        queue_id: what Postfix calls it there.
        sender: who it is from.
        recipients: who it is for, before any alias.
    """

    id: str
    instance: str
    queue_id: str
    sender: Path
    recipients: tuple[Path, ...]

    def encode(self) -> bytes:
        """Return it as one line."""
        document = {
            "id": self.id,
            "instance": self.instance,
            "queue_id": self.queue_id,
            "sender": [self.sender.address, *self.sender.options],
            "recipients": [[one.address, *one.options] for one in self.recipients],
        }
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Read a line of :meth:`encode`.

        Raises:
            EntryError: it is none.
        """
        try:
            document = json.loads(line)
            head = cls(
                id=document["id"],
                instance=document["instance"],
                queue_id=document["queue_id"],
                sender=_path(document["sender"]),
                recipients=tuple(_path(one) for one in document["recipients"]),
            )
            good = is_id(head.id) and is_id(head.instance) and _QUEUE_ID.match(head.queue_id)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise EntryError(f"the head is malformed: {error!r}") from error
        if not good or not head.recipients:
            raise EntryError("the head has an id that is none, or no recipient")
        return head


def _path(items: object) -> Path:
    if not isinstance(items, list):
        raise TypeError("a sender or a recipient is no list")
    address, *options = items
    if not _ADDRESS.match(address) or not all(_OPTION.match(one) for one in options):
        raise ValueError("an address or an option that SMTP does not take")
    return Path(address=address, options=tuple(options))

"""What IMAP servers say, read: names of folders, messages and their flags.

Shipped to the outside machine: standard library only.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_ASCII = re.compile(r"&|[^\x20-\x7e]+")
_SHIFTED = re.compile(r"&([^-]*)-")
_LISTED = re.compile(rb"\((?P<flags>[^)]*)\) (?:NIL|\"(?:[^\"\\]|\\.)*\") (?P<name>.*)", re.DOTALL)
_ID = re.compile(rb"Message-ID:\s*<([^>]*)>", re.IGNORECASE)
_UID = re.compile(rb"\bUID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")

MARK = "gp-"
"""What the marks of all messages begin with."""

HEAD = "(UID FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID RETURN-PATH)])"
"""What :func:`messages` reads of messages that are new to somebody."""

WHOLE = "(UID FLAGS BODY.PEEK[])"
"""What it reads of messages to see that they are there. A server may know the head of one whose
file is gone: Dovecot answers from its cache."""


@dataclass(frozen=True, kw_only=True)
class Message:
    r"""A message in a folder.

    Attributes:
        uid: its number.
        mark: what users know it by; empty when it is nobody's of them.
        id: its Message-ID.
        flags: all but ``\Recent``, which is not the message's own.
        returned: whether it is what a mail server says of another message.
        whole: all of it that was read.
    """

    uid: int
    mark: str
    id: str
    flags: frozenset[str]
    returned: bool = False
    whole: bytes = field(default=b"", repr=False)


def encoded(name: str) -> str:
    """Return a folder's name as the wire has it: modified UTF-7 (RFC 3501 5.1.3), quoted."""

    def shifted(match: re.Match[str]) -> str:
        if match.group() == "&":
            return "&-"
        word = base64.b64encode(match.group().encode("utf-16-be")).decode()
        return f"&{word.rstrip('=').replace('/', ',')}-"

    word = _ASCII.sub(shifted, name)
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def decoded(word: str) -> str:
    """Return a folder's name as people have it; the word is not quoted any more."""

    def plain(match: re.Match[str]) -> str:
        shifted = match.group(1).replace(",", "/")
        if not shifted:
            return "&"
        return base64.b64decode(shifted + "=" * (-len(shifted) % 4)).decode("utf-16-be")

    return _SHIFTED.sub(plain, word)


def listed(answer: Sequence[object]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the folders in an answer to LIST or LSUB, and their flags."""
    for line in answer:
        # A name that cannot be quoted comes as a literal behind the rest of its line.
        head, literal = (line[0], line[1]) if isinstance(line, tuple) else (line, None)
        if not isinstance(head, bytes) or not (found := _LISTED.match(head)):
            continue
        if isinstance(literal, bytes):
            name = literal.decode("ascii", "replace")
        else:
            name = found["name"].decode("ascii", "replace")
            if name.startswith('"'):
                name = re.sub(r"\\(.)", r"\1", name[1:-1])
        yield decoded(name), frozenset(found["flags"].decode().split())


def messages(answer: Sequence[object]) -> Iterator[Message]:
    """Yield the messages in an answer to FETCH of :data:`HEAD` or :data:`WHOLE`."""
    for place, item in enumerate(answer):
        if not isinstance(item, tuple):
            continue
        after = answer[place + 1] if place + 1 < len(answer) else b""
        told = item[0] + (after if isinstance(after, bytes) else b"")
        if not (uid := _UID.search(told)):
            continue
        head = item[1].partition(b"\r\n\r\n")[0]
        found, flags = _ID.search(head), _FLAGS.search(told)
        name = found.group(1).decode("ascii", "replace") if found else ""
        yield Message(
            uid=int(uid.group(1)),
            mark=name.partition("@")[0] if name.startswith(MARK) else "",
            id=name,
            flags=frozenset(flags.group(1).decode().split() if flags else ()) - {"\\Recent"},
            returned=b"return-path: <>" in head.lower(),
            whole=item[1],
        )

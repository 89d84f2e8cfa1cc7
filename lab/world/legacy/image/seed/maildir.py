"""Maildir++ as Dovecot 2.3 writes it: flags, keywords, UIDs and subscriptions, without Dovecot."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .messages import Message

KEYWORDS = ("$Label1", "$Forwarded", "NonJunk", "viktig", "oppfolging")
"""A letter in a file's name stands for each, in this order from ``a``."""


@dataclass(frozen=True)
class Stored:
    """A message in a folder.

    Attributes:
        message: the message.
        uid: its number in the folder, which never changes.
        flags: letters as in the file's name, system flags and keywords; None in ``new``.
    """

    message: Message
    uid: int
    flags: str | None


def folder_directory(name: str) -> str:
    """Return the directory of a folder below the maildir, ``""`` for INBOX.

    Args:
        name: the name that people see, with ``/`` between the levels. A dot in it, which is
            Maildir++'s own separator, is escaped as Dovecot's plugin ``listescape`` does.
    """
    if name == "INBOX":
        return ""
    return "." + ".".join(_escaped(name))


def modified_utf7(text: str) -> str:
    """Return a folder's name as IMAP spells it (RFC 3501, section 5.1.3)."""
    spelt, foreign = [], ""
    for character in text + "\0":
        if " " <= character <= "~" or character == "\0":
            if foreign:
                coded = base64.b64encode(foreign.encode("utf-16-be")).decode()
                spelt.append("&" + coded.rstrip("=").replace("/", ",") + "-")
                foreign = ""
            spelt.append("&-" if character == "&" else character)
        else:
            foreign += character
    return "".join(spelt).rstrip("\0")


def write_folder(maildir: Path, name: str, messages: Iterable[Stored], *, uidvalidity: int) -> int:
    """Write one folder and return how many messages it has."""
    directory = maildir / folder_directory(name)
    for part in ("cur", "new", "tmp"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    if name != "INBOX":
        (directory / "maildirfolder").touch()
    used = ""
    known = []
    uid = 0
    for stored in messages:
        base = _file_name(stored.message, stored.uid)
        where = "new" if stored.flags is None else "cur"
        path = directory / where / (base if stored.flags is None else f"{base}:2,{stored.flags}")
        path.write_bytes(stored.message.content)
        os.utime(path, (stored.message.received, stored.message.received))
        known.append(f"{stored.uid} :{base}\n")
        used += stored.flags or ""
        uid = stored.uid
    guid = sha256(f"{maildir} {name}".encode()).hexdigest()[:32]
    # Some numbers after the last one were given and are gone again.
    head = f"3 V{uidvalidity} N{uid + 4} G{guid}\n"
    (directory / "dovecot-uidlist").write_text(head + "".join(known))
    if any(letter.islower() for letter in used):
        lines = (f"{number} {keyword}\n" for number, keyword in enumerate(KEYWORDS))
        (directory / "dovecot-keywords").write_text("".join(lines))
    return len(known)


def write_subscriptions(maildir: Path, names: Sequence[str]) -> None:
    """Write which folders the owner's programs show."""
    lines = ("\t".join(_escaped(name)) + "\n" for name in names)
    (maildir / "subscriptions").write_text("V\t2\n\n" + "".join(lines))


def _escaped(name: str) -> list[str]:
    """Return the levels of a folder's name as they are spelt on the disk."""
    return [modified_utf7(part).replace(".", "\\2e") for part in name.split("/")]


def _file_name(message: Message, uid: int) -> str:
    size = len(message.content)
    virtual = size + message.content.count(b"\n")  # as IMAP sends it, with CR LF
    return f"{message.received}.M{uid:06d}P{1000 + uid % 9000}.bergen,S={size},W={virtual}"

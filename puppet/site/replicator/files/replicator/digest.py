"""What a user's mail comes to, in one checksum: equal on two servers when it is alike.

Counts and next UIDs say nothing: after a time with two writers they may be equal where messages
are not. For people it is Dovecot's own program that is asked, by root, which has no limit; the
service itself is not root, and asks over HTTP (:mod:`replicator.compare`).
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from replicator.doveadm import DoveadmError

Row = dict[str, Any]

_OF_A_SESSION: Final = r"\Recent"
"""A flag that says something about who is looking."""


def of_user(user: str) -> str:
    """Return the checksum of a user's mail.

    Raises:
        DoveadmError: Dovecot does not say.
    """
    folders = _rows("mailbox", "status", "-u", user, "guid uidvalidity", "*")
    messages = _rows("fetch", "-u", user, "mailbox uid guid flags", "ALL")
    return digest(folders=folders, messages=messages)


def users() -> list[str]:
    """Return everybody who has a mailbox.

    Raises:
        DoveadmError: Dovecot does not say.
    """
    return sorted(_doveadm("user", "*").split())


def digest(*, folders: Sequence[Row], messages: Sequence[Row]) -> str:
    """Return the checksum of folders, and of every message's UID, GUID and flags."""
    return checksum(sorted(by_folder(folders=folders, messages=messages).items()))


def by_folder(*, folders: Sequence[Row], messages: Sequence[Row]) -> dict[str, str]:
    """Return the checksum of each folder by its name, with what is in it."""
    within: defaultdict[str, list[tuple[str | int, ...]]] = defaultdict(list)
    for row in messages:
        one = (int(row["uid"]), row["guid"], *_flags(row["flags"]))
        within[row["mailbox"]].append(one)
    return {
        row["mailbox"]: checksum([row["guid"], row["uidvalidity"], sorted(within[row["mailbox"]])])
        for row in folders
    }


def checksum(held: object) -> str:
    """Return the checksum of what can be JSON."""
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()


def _flags(text: str) -> list[str]:
    return sorted(flag for flag in text.split() if flag != _OF_A_SESSION)


def _rows(*arguments: str) -> list[Row]:
    said = _doveadm("-f", "json", *arguments)
    try:
        rows = json.loads(said or "[]")
    except ValueError as error:
        raise DoveadmError(f"doveadm {arguments[0]}: not an answer: {said[:80]}") from error
    return list(rows)


def _doveadm(*arguments: str) -> str:
    argv = ["doveadm", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DoveadmError(f"{' '.join(argv)}: {done.stderr.strip()}", code=done.returncode)
    return done.stdout

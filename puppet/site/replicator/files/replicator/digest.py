"""What a user's mail comes to, in one checksum: equal on two servers when it is alike.

Counts and next UIDs say nothing: after a time with two writers they may be equal where messages
are not.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from replicator.doveadm import Doveadm

_OF_A_SESSION: Final = r"\Recent"
"""A flag that says something about who is looking."""


def digest(doveadm: Doveadm, user: str) -> str:
    """Return the checksum of a user's folders, and of every message's UID, GUID and flags.

    Raises:
        DoveadmError: Dovecot does not say.
    """
    folders = sorted(
        (row["mailbox"], row["guid"], row["uidvalidity"]) for row in doveadm.mailboxes(user)
    )
    messages = sorted(
        (row["mailbox"], int(row["uid"]), row["guid"], *_flags(row["flags"]))
        for row in doveadm.messages(user)
    )
    return hashlib.sha256(json.dumps([folders, messages]).encode()).hexdigest()


def _flags(text: str) -> list[str]:
    return sorted(flag for flag in text.split() if flag != _OF_A_SESSION)

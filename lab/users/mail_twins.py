"""What two servers hold of the same mailboxes, compared: ``python3 -m lab.users.mail_twins``.

After a partition counts and UIDNEXT may be alike while mailboxes are not: compared is each message
of each folder, by what the server says that never changes, its number and its flags; and the very
text of what has come since yesterday.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from lab.users.mail_census import recent
from lab.users.mail_folders import WHOLE, encoded, listed, messages
from lab.users.mail_plan import Account, MailUsers
from lab.users.mail_wire import Imap, Stage, log_in, onlooker
from lab.users.probes import Plan

_AT_ONCE: Final = 3
_TOLD: Final = 12
_EACH: Final = "(UID FLAGS X-GUID)"
_LINE: Final = re.compile(rb"\bUID (\d+)")
_FLAGS: Final = re.compile(rb"FLAGS \(([^)]*)\)")
_GUID: Final = re.compile(rb"X-GUID \"?([0-9A-Za-z]+)")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """One folder as a server has it.

    Attributes:
        validity: its UIDVALIDITY.
        subscribed: whether its owner wants to see it.
        messages: number -> all that is known of the message, as one text.
    """

    validity: int
    subscribed: bool = False
    messages: Mapping[int, str] = field(default_factory=dict)


Mailbox = Mapping[str, Folder]
"""Name -> folder."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What came of comparing.

    Attributes:
        messages: how many the first server has.
        different: what is not alike, some of it, one line each.
        count: how much is not alike.
    """

    messages: int = 0
    different: tuple[str, ...] = ()
    count: int = 0

    def to_json(self) -> str:
        """Return it as the text that :meth:`of` reads, parsed."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read it."""
        return cls(**{**given, "different": tuple(given["different"])})

    def __add__(self, other: Compared) -> Compared:
        """Return both together; of what is different, the first few."""
        return Compared(
            messages=self.messages + other.messages,
            different=(*self.different, *other.different)[:_TOLD],
            count=self.count + other.count,
        )


def compared(owner: str, one: Mailbox, other: Mailbox) -> Compared:
    """Compare what two servers have of one mailbox."""
    found = list(_different(one, other))
    return Compared(
        messages=sum(len(folder.messages) for folder in one.values()),
        different=tuple(f"{each} of {owner}" for each in found[:_TOLD]),
        count=len(found),
    )


def _different(one: Mailbox, other: Mailbox) -> Iterator[str]:
    for name in sorted(one.keys() | other.keys()):
        here, there = one.get(name), other.get(name)
        if here is None or there is None:
            yield f"{name} is only on the {'second' if here is None else 'first'} server: folder"
            continue
        if here.validity != there.validity:
            yield f"{name} has UIDVALIDITY {here.validity} and {there.validity}: folder"
        if here.subscribed != there.subscribed:
            yield f"{name} is subscribed to on one server only: folder"
        for uid in sorted(here.messages.keys() | there.messages.keys()):
            mine, theirs = here.messages.get(uid), there.messages.get(uid)
            if mine != theirs:
                yield f"{name} {uid} is {mine or 'not there'}, and {theirs or 'not there'}: message"


def read(imap: Imap) -> dict[str, Folder]:
    """Read the whole of one mailbox on one server."""
    names = [
        name
        for name, flags in listed(Imap.expect(imap.list('""', "*")))
        if not {"\\noselect", "\\nonexistent"} & {flag.lower() for flag in flags}
    ]
    subscribed = {name for name, _ in listed(Imap.expect(imap.lsub('""', "*")))}
    found = {}
    for name in names:
        # To examine changes nothing, not even what is recent.
        Imap.expect(imap.select(encoded(name), readonly=True))
        validity = int(imap.response("UIDVALIDITY")[1][0] or 0)
        holds = int((imap.response("EXISTS")[1] or [b"0"])[-1] or 0)
        each = dict(known(Imap.expect(imap.uid("FETCH", "1:*", _EACH)))) if holds else {}
        for uid, digest in _texts(imap, each):
            each[uid] = f"{each[uid]} {digest}"
        found[name] = Folder(validity=validity, subscribed=name in subscribed, messages=each)
    return found


def known(answer: Iterable[object]) -> Iterator[tuple[int, str]]:
    r"""Yield number, and lasting name with flags, from an answer to FETCH; without ``\Recent``."""
    for line in answer:
        if not isinstance(line, bytes):
            continue
        uid, guid, flags = (each.search(line) for each in (_LINE, _GUID, _FLAGS))
        if uid and guid and flags:
            kept = sorted({flag.lower() for flag in flags[1].decode().split()} - {"\\recent"})
            yield int(uid[1]), " ".join([guid[1].decode(), *kept])


def _texts(imap: Imap, there: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Yield number and checksum of what has come since yesterday."""
    uids: Sequence[str] = recent(imap) if there else ()
    if not uids:
        return
    for message in messages(Imap.expect(imap.uid("FETCH", ",".join(uids), WHOLE))):
        if message.uid in there:
            yield message.uid, hashlib.sha256(message.whole).hexdigest()[:12]


def look_at_both(users: MailUsers, stage: Stage) -> Compared:
    """Let every owner look at both servers, and compare."""

    def one(account: Account) -> Compared:
        return compared(account.name, *(mailbox(account, server) for server in users.twins))

    def mailbox(account: Account, server: str) -> dict[str, Folder]:
        imap = log_in(
            stage, account, host=users.host, port=993, family="4", target=account.name, at=server
        )
        try:
            return read(imap)
        finally:
            imap.hang_up()

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        return sum(threads.map(one, users.accounts), Compared())


async def ask(plan: Plan) -> Compared:
    """Return what came of comparing a plan's mailboxes."""
    return await asyncio.to_thread(look_at_both, plan.mail, onlooker(plan))


if __name__ == "__main__":
    _plan = Plan.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(asyncio.run(ask(_plan)).to_json())

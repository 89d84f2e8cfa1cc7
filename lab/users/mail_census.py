"""What is in the mailboxes in the end, read by their owners: ``python3 -m lab.users.mail_census``.

Only what has come since yesterday is looked at: twenty thousand messages of the past are not.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from lab.users.mail_folders import MARK, WHOLE, Message, encoded, listed, messages
from lab.users.mail_messages import intact
from lab.users.mail_plan import Account, MailUsers
from lab.users.mail_wire import BadRefusalError, Imap, Stage, log_in, onlooker
from lab.users.probes import Plan

_AT_ONCE: Final = 3
_TRIES: Final = 3
_MARKS: Final = re.compile(rf"{re.escape(MARK)}[0-9a-f]{{16}}")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A message of users in a mailbox of the fleet.

    Attributes:
        owner: whose mailbox.
        folder: where in it.
        validity: the folder's UIDVALIDITY.
        uid: its number there.
        mark: what users know it by.
        flags: that it has.
        intact: whether its text is what was written.
    """

    owner: str
    folder: str
    validity: int
    uid: int
    mark: str
    flags: tuple[str, ...] = ()
    intact: bool = True


@dataclass(frozen=True, kw_only=True)
class Census:
    """Everything that users will ask after.

    Attributes:
        messages: in the fleet's mailboxes.
        folders: owner and name of each.
        subscribed: the same of those subscribed to.
        abroad: address and mark of each message that came to somebody elsewhere.
        returned: marks of messages that mail servers sent back.
    """

    messages: tuple[Found, ...] = ()
    folders: frozenset[tuple[str, str]] = frozenset()
    subscribed: frozenset[tuple[str, str]] = frozenset()
    abroad: tuple[tuple[str, str], ...] = ()
    returned: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return it as the text that :meth:`of` reads, parsed."""
        return json.dumps(asdict(self), default=list)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read it."""
        return cls(
            messages=tuple(
                Found(**{**each, "flags": tuple(each["flags"])}) for each in given["messages"]
            ),
            folders=frozenset((owner, name) for owner, name in given["folders"]),
            subscribed=frozenset((owner, name) for owner, name in given["subscribed"]),
            abroad=tuple((address, mark) for address, mark in given["abroad"]),
            returned=tuple(given["returned"]),
        )

    def __add__(self, other: Census) -> Census:
        """Return both together."""
        return Census(
            messages=self.messages + other.messages,
            folders=self.folders | other.folders,
            subscribed=self.subscribed | other.subscribed,
            abroad=self.abroad + other.abroad,
            returned=self.returned + other.returned,
        )


def look(imap: Imap, owner: str) -> Census:
    """Read all folders of one mailbox."""
    answer = Imap.expect(imap.list('""', "*"))
    folders = [
        name for name, flags in listed(answer) if not {"\\noselect", "\\nonexistent"} & _low(flags)
    ]
    subscribed = [name for name, _ in listed(Imap.expect(imap.lsub('""', "*")))]
    found: list[Found] = []
    returned: set[str] = set()
    for folder in folders:
        validity, there = _fetched(imap, folder)
        for message in there:
            if message.mark:
                found.append(
                    Found(
                        owner=owner,
                        folder=folder,
                        validity=validity,
                        uid=message.uid,
                        mark=message.mark,
                        flags=tuple(sorted(message.flags)),
                        intact=intact(message.whole),
                    )
                )
            elif message.returned:
                returned |= sent_back(message.whole)
    return Census(
        messages=tuple(found),
        folders=frozenset((owner, name) for name in folders),
        subscribed=frozenset((owner, name) for name in subscribed),
        returned=tuple(returned),
    )


def _fetched(imap: Imap, folder: str) -> tuple[int, list[Message]]:
    """Read all that has come into a folder since yesterday, and its UIDVALIDITY."""
    for tries in reversed(range(_TRIES)):
        Imap.expect(imap.select(encoded(folder), readonly=True))
        validity = int(imap.response("UIDVALIDITY")[1][0] or 0)
        if not (uids := recent(imap)):
            break
        try:
            return validity, list(messages(Imap.expect(imap.uid("FETCH", ",".join(uids), WHOLE))))
        except BadRefusalError:  # one of them has gone meanwhile
            if not tries:
                raise
    return validity, []


def sent_back(report: bytes) -> set[str]:
    """Return the marks of what a mail server says that it could not deliver (RFC 3464)."""
    text = report.decode("utf-8", "replace")
    return set(_MARKS.findall(text)) if "\nAction: failed" in text.replace("\r", "") else set()


def _low(flags: frozenset[str]) -> frozenset[str]:
    return frozenset(flag.lower() for flag in flags)


def recent(imap: Imap) -> list[str]:
    """Return the numbers of what has come into the folder since yesterday."""
    since = datetime.now(UTC) - timedelta(days=1)
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    day = f"{since.day}-{months[since.month - 1]}-{since.year}"
    found: Sequence[bytes] = Imap.expect(imap.uid("SEARCH", "SINCE", day))
    return [uid.decode() for uid in (found[0] or b"").split()]


def look_around(users: MailUsers, stage: Stage) -> Census:
    """Read everybody's mailbox."""

    def one(account: Account) -> Census:
        imap = log_in(stage, account, host=users.host, port=993, family=family, target=account.name)
        try:
            return look(imap, account.name)
        finally:
            imap.hang_up()

    family = min(users.resolver)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        return sum(threads.map(one, users.accounts), Census())


async def read(plan: Plan) -> Census:
    """Return the census of a plan's mailboxes."""
    return await asyncio.to_thread(look_around, plan.mail, onlooker(plan))


if __name__ == "__main__":
    print(
        asyncio.run(read(Plan.from_json(Path(sys.argv[1]).read_text(encoding="utf-8")))).to_json()
    )

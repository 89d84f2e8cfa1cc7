"""What readers were shown of mail: when, and under which numbers. Pure."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from lab.users.mail_plan import MAIL, SEEN, SUBMISSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.history import History, Operation
    from lab.users.mail_books import Books, Place
    from lab.users.mail_census import Census, Found
    from lab.users.mail_plan import MailUsers

_NS: Final = 1_000_000_000
_CLASH: Final = re.compile(r"INBOX (\d+) is (gp-[0-9a-f]+)")
"""What a reader says who is shown another message under a number that they know."""

Number = tuple[str, int]
"""A mailbox's owner, and a number in their INBOX."""


def sightings(history: History, users: MailUsers) -> Iterator[tuple[str, Operation]]:
    """Yield whose mailbox it was that a message was shown in, and the moment."""
    owners = {reader.name: reader.account.name for reader in users.readers}
    for item in history.operations:
        if item.kind == SEEN and item.ok and item.target in owners:
            yield owners[item.target], item


def void_numbers(history: History, users: MailUsers, *, seconds: float) -> frozenset[Number]:
    """Return owner and number of what was shown around a fault, and may be another's now.

    Just before it; and as long behind it: a server that hears nothing any more still shows what
    had come to it.
    """
    spans = history.unsettled(seconds=seconds, behind=seconds)
    return frozenset(
        (owner, int(item.detail.split()[2]))
        for owner, item in sightings(history, users)
        if any(item.end_ns in span for span in spans)
    )


def unshown(
    history: History, users: MailUsers, census: Census, void: frozenset[Number]
) -> Iterator[str]:
    """Yield what lies in INBOX below what a reader was shown last, and was never shown to them."""
    shown: defaultdict[str, set[str]] = defaultdict(set)
    last: dict[str, tuple[int, int]] = {}
    for owner, item in sightings(history, users):
        shown[owner].add(item.what)
        _, validity, uid = item.detail.split()
        last[owner] = max(last.get(owner, (0, 0)), (int(validity), int(uid)))
    mine = {
        item.what.split(" ")[0] for item in history.operations if item.kind in (MAIL, SUBMISSION)
    }
    for message in census.messages:
        if message.owner in last and message.folder == "INBOX" and message.mark in mine:
            known, highest = last[message.owner]
            if (
                message.validity == known
                and message.uid <= highest
                and (message.owner, message.uid) not in void
                and message.mark not in shown[message.owner]
            ):
                yield message.mark


def renumbered(
    history: History, users: MailUsers, census: Census, void: frozenset[Number]
) -> Iterator[str]:
    """Yield what programs would download again, or take for something else."""
    for item, number, _ in _clashes(history, users):
        if number is None or number not in void:
            yield f"{item.target}: {item.detail}"
    numbers = {(message.owner, message.folder, message.uid): message for message in census.messages}
    validities: dict[tuple[str, str], int] = {
        (message.owner, message.folder): message.validity for message in census.messages
    }
    for owner, item in sightings(history, users):
        folder, validity, uid = item.detail.split()
        if validities.get((owner, folder), int(validity)) != int(validity):
            yield f"{folder} of {owner} has another UIDVALIDITY"
        now: Found | None = numbers.get((owner, folder, int(uid)))
        if now and now.mark != item.what and (owner, int(uid)) not in void:
            yield f"{folder} {uid} of {owner} is {now.mark}, and was {item.what}"


def lateness(
    history: History, books: Books, users: MailUsers, void: frozenset[Number] = frozenset()
) -> dict[str, float]:
    """Return for each message how long it took until the last of its readers was shown it.

    The first time counts: servers that were written to at once give messages new numbers when they
    meet again, under which they are shown once more. Before that, one may bear a number that died
    with the other server; whoever looks at what they have sees it there.
    """
    first: dict[Place, int] = {}
    for owner, mark, shown_ns in (
        *((owner, item.what, item.end_ns) for owner, item in sightings(history, users)),
        *_under_void(history, users, void),
    ):
        first[owner, mark] = min(first.get((owner, mark), shown_ns), shown_ns)
    found: dict[str, float] = {}
    for (_, mark), shown_ns in first.items():
        one = books.sent.get(mark)
        if one and one.accepted_ns is not None:
            delay = max(0.0, (shown_ns - one.accepted_ns) / _NS)
            found[mark] = max(found.get(mark, 0.0), delay)
    return found


def _clashes(history: History, users: MailUsers) -> Iterator[tuple[Operation, Number | None, str]]:
    """Yield who was shown another message under a number that they knew, which one, and what."""
    owners = {reader.name: reader.account.name for reader in users.readers}
    for item in history.operations:
        if item.kind == SEEN and item.ok is False:
            said = _CLASH.match(item.detail)
            known = (owners.get(item.target, ""), int(said[1])) if said else None
            yield item, known, said[2] if said else ""


def _under_void(
    history: History, users: MailUsers, void: frozenset[Number]
) -> Iterator[tuple[str, str, int]]:
    """Yield owner, mark and moment of what was shown under a number that may be another's."""
    for item, number, mark in _clashes(history, users):
        if number is not None and number in void:
            yield number[0], mark, item.end_ns


def spread(delays: Mapping[str, float]) -> Iterator[str]:
    """Say how long it took, when there is enough to tell."""
    values = sorted(delays.values())
    if len(values) > 1:
        most = statistics.quantiles(values, n=20, method="inclusive")[-1]
        yield f"shown after at most {values[-1]:.2f} s, 95 % of them within {most:.2f} s"

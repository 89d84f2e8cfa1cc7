"""How fast mail is there, and on the other server: ``python3 -m lab.users.mail_pace``.

One program writes to the first server and looks into mailboxes on each: all moments are read from
one clock. It looks by NOOP, as Dovecot lets IDLE wait for half a second before it says anything.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from lab.users.mail_messages import written
from lab.users.mail_plan import Account, Letter, MailUsers
from lab.users.mail_wire import PATIENCE, Imap, NoMailError, Smtp, Stage, log_in, onlooker, plainly
from lab.users.probes import Plan

_LOOK: Final = 0.01
"""Seconds from one look to the next."""

_LONGEST: Final = 120.0
_NS: Final = 1_000_000_000
_LINE: Final = b"Her er det ikke noe nytt, men linjen skal likevel fram.\r\n"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be written.

    Attributes:
        sender: the address that all of it comes from.
        each: messages for every account.
        every: seconds from one to the next for an account; 0 for as fast as they are taken.
        size: of a message in bytes, at least.
    """

    sender: str
    each: int
    every: float = 0.0
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One message's way, in nanoseconds on the monotonic clock.

    Attributes:
        sent: when its sender began.
        missing: when it was looked for on the first server for the last time in vain.
        seen: when it was seen on the other one.
    """

    sent: int
    missing: int
    seen: int


@dataclass(frozen=True, kw_only=True)
class Paced:
    """What came of some work, in nanoseconds on the monotonic clock.

    Attributes:
        begun: when the first message was begun.
        complete: when each server was seen to have everything.
        passages: the way of each message, where they were followed.
    """

    begun: int
    complete: tuple[int, ...]
    passages: tuple[Passage, ...] = ()

    def to_json(self) -> str:
        """Return it as the text that :meth:`of` reads, parsed."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read it."""
        return cls(
            begun=given["begun"],
            complete=tuple(given["complete"]),
            passages=tuple(Passage(**each) for each in given["passages"]),
        )


class Box:
    """An INBOX on one server, open for looking only.

    Args:
        imap: its owner, logged in.

    Attributes:
        wanted: how many messages there shall be.
    """

    def __init__(self, imap: Imap) -> None:
        self._imap = imap
        Imap.expect(imap.select("INBOX", readonly=True))
        self._count = self.wanted = self._told() or 0

    def wait(self, *, since: int) -> int:
        """Wait until it has all that is wanted.

        Args:
            since: when something was missing for certain, as the monotonic clock has it.

        Returns:
            When something was missing for the last time.

        Raises:
            NoMailError: it takes too long.
        """
        missing = since
        while self._count < self.wanted:
            asked = time.monotonic_ns()
            Imap.expect(self._imap.noop())
            self._count = self._told() or self._count
            if self._count < self.wanted:
                missing = asked
                time.sleep(_LOOK)
            if missing - since > _LONGEST * _NS:
                raise NoMailError(f"a message is not there after {_LONGEST:.0f} s")
        return missing

    def _told(self) -> int | None:
        said = self._imap.response("EXISTS")[1][-1]
        return int(said) if said else None


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Whoever writes to one account and looks into it.

    Attributes:
        account: whose.
        smtp: a connection to the first server.
        boxes: the mailbox on each server.
    """

    account: Account
    smtp: Smtp
    boxes: Sequence[Box]

    def send(self, work: Work) -> None:
        """Write one message, which is wanted everywhere from now on."""
        for box in self.boxes:
            box.wanted += 1
        letter = Letter(sender=work.sender, to=self.account.address)
        _, content = written(letter)
        content += _LINE * max(0, -(-(work.size - len(content)) // len(_LINE)))
        self.smtp.sendmail(letter.sender, letter.to, content)


def follow(seats: Sequence[Seat], work: Work) -> Paced:
    """Write at a pace, and follow each message until it is on the other server."""
    start = time.monotonic()

    def one(number: int) -> list[Passage]:
        seat, found = seats[number], []
        beat = start + work.every * number / len(seats)
        for _ in range(work.each):
            time.sleep(max(0.0, beat - time.monotonic()))
            sent = time.monotonic_ns()
            seat.send(work)
            here, there = seat.boxes
            missing = here.wait(since=time.monotonic_ns())
            there.wait(since=missing)
            found.append(Passage(sent=sent, missing=missing, seen=time.monotonic_ns()))
            beat += work.every
        return found

    with ThreadPoolExecutor(max_workers=len(seats)) as threads:
        passages = tuple(each for found in threads.map(one, range(len(seats))) for each in found)
    return Paced(
        begun=min(each.sent for each in passages),
        complete=(max(each.seen for each in passages),),
        passages=passages,
    )


def burst(seats: Sequence[Seat], work: Work) -> Paced:
    """Write as fast as it is taken, and look when each server has everything."""
    begun = time.monotonic_ns()

    def one(seat: Seat) -> None:
        for _ in range(work.each):
            seat.send(work)

    def complete(number: int) -> int:
        # Counts only grow: it does not matter who is looked at last.
        for seat in seats:
            seat.boxes[number].wait(since=begun)
        return time.monotonic_ns()

    with ThreadPoolExecutor(max_workers=len(seats)) as threads:
        list(threads.map(one, seats))
        return Paced(begun=begun, complete=tuple(threads.map(complete, range(len(seats[0].boxes)))))


@contextmanager
def seated(stage: Stage, users: MailUsers) -> Iterator[list[Seat]]:
    """Connect everybody before anybody begins, and hang up in the end."""
    with ExitStack() as connections, ThreadPoolExecutor(max_workers=len(users.accounts)) as threads:

        def box(account: Account, server: str) -> Box:
            imap = log_in(
                stage,
                account,
                host=users.host,
                port=993,
                family="4",
                target=account.name,
                at=server,
            )
            connections.callback(imap.hang_up)
            return Box(imap)

        def seat(account: Account) -> Seat:
            smtp = Smtp(
                host=users.host,
                address=users.twins[0],
                port=25,
                trust=stage.trust,
                timeout=PATIENCE,
            )
            connections.enter_context(closing(smtp))
            smtp.starttls(context=stage.trust)
            return Seat(
                account=account, smtp=smtp, boxes=[box(account, each) for each in users.twins]
            )

        yield list(threads.map(seat, users.accounts))


PACES: Final[Mapping[str, Callable[[Sequence[Seat], Work], Paced]]] = {
    "follow": follow,
    "burst": burst,
}
"""What can be done, by name."""


async def ask(plan: Plan, pace: str, work: Work) -> Paced:
    """Do it for everybody in a plan."""

    def done() -> Paced:
        with seated(stage, plan.mail) as seats:
            return PACES[pace](seats, work)

    stage = onlooker(plan)
    return await asyncio.to_thread(done)


if __name__ == "__main__":
    _plan = Plan.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        print(asyncio.run(ask(_plan, sys.argv[2], Work(**json.loads(sys.argv[3])))).to_json())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told in one line
        sys.exit(str(plainly(error)))

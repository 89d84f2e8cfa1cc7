"""Those who read: logged in all the time, shown at once what comes, and nothing twice.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lab.users.mail_folders import HEAD, Message, messages
from lab.users.mail_plan import IMAP, SEEN
from lab.users.mail_wire import Imap, NoMailError, Stage, log_in, plainly

if TYPE_CHECKING:
    from lab.users.mail_plan import Reader

_AGAIN: Final = 0.5
"""Seconds from one try to connect again to the next; the first one comes at once."""

_REMEMBERED: Final = 20
"""Messages of which the program checks, when it connects again, that they are what they were."""

INBOX: Final = "INBOX"


@dataclass
class _Memory:
    """What a program keeps of a folder when it is not connected."""

    validity: int = 0
    last: int = 0
    known: dict[int, str] = field(default_factory=dict)


class Reading:
    """A reader at work.

    Args:
        stage: what they have in their hands.
        who: the reader.
    """

    def __init__(self, *, stage: Stage, who: Reader) -> None:
        self._stage = stage
        self._who = who
        self._memory = _Memory()

    def play(self) -> None:
        """Read until it is enough."""
        wait = 0.0
        while not self._stage.stop.wait(wait):
            start = time.monotonic_ns()
            try:
                imap = self._connected()
            except Exception as error:  # noqa: BLE001 - whatever it is, there is no mail to read
                self._note(IMAP, start, ok=False, detail=str(plainly(error)))
                wait = _AGAIN
                continue
            self._note(IMAP, start, ok=True)
            wait = 0.0 if self._stays(imap) else _AGAIN

    def _connected(self) -> Imap:
        who = self._who
        imap = log_in(
            self._stage,
            who.account,
            host=who.host,
            port=who.port,
            family=who.family,
            target=who.name,
        )
        try:
            Imap.expect(imap.select(INBOX))
            self._compare(imap)
            self._fetch(imap)
        except BaseException:
            imap.hang_up()
            raise
        return imap

    def _stays(self, imap: Imap) -> bool:
        """Stay connected for as long as it lasts; return whether it lasted at all."""
        lasted = False
        while not self._stage.stop.is_set():
            start = time.monotonic_ns()
            try:
                self._live(imap)
            except Exception as error:  # noqa: BLE001 - whatever it is, the connection is of no use
                self._note(IMAP, start, ok=False, detail=str(plainly(error)))
                break
            self._note(IMAP, start, ok=True)
            lasted = True
        imap.hang_up()
        return lasted

    def _live(self, imap: Imap) -> None:
        """Wait a little, and show what has come."""
        if self._who.idle:
            imap.idle_a_while(self._who.cadence)
        else:
            Imap.expect(imap.noop())
            self._stage.stop.wait(self._who.cadence)
        if imap.response("EXISTS")[1] != [None]:
            self._fetch(imap)

    def _compare(self, imap: Imap) -> None:
        """Check that the folder is the one that the program knows."""
        memory = self._memory
        validity = _number(imap, "UIDVALIDITY")
        first = not memory.validity
        if validity != memory.validity and not first:
            self._shown(f"{INBOX} has another UIDVALIDITY: {validity}, not {memory.validity}")
        if validity != memory.validity:
            # As good as a new folder; what it holds already was there before anybody looked.
            memory.validity, memory.known = validity, {}
            memory.last = _number(imap, "UIDNEXT") - 1
        if first:
            for message in self._messages(imap, f"{max(1, memory.last - _REMEMBERED)}:*"):
                memory.known[message.uid] = message.id
                self._show(message, time.monotonic_ns())
            return
        uids = sorted(memory.known)[-_REMEMBERED:]
        if not uids:
            return
        for message in self._messages(imap, ",".join(map(str, uids))):
            if (before := memory.known.get(message.uid, message.id)) != message.id:
                self._shown(f"{INBOX} {message.uid} is {message.id}, and was {before}")

    def _fetch(self, imap: Imap) -> None:
        """Show what is new, as the program takes it: by its number."""
        memory = self._memory
        start = time.monotonic_ns()
        for message in self._messages(imap, f"{memory.last + 1}:*"):
            if message.uid <= memory.last:
                continue  # with nothing new, the last one is "*"
            memory.last = message.uid
            memory.known[message.uid] = message.id
            self._show(message, start)

    def _show(self, message: Message, start: int) -> None:
        if message.mark:
            detail = f"{INBOX} {self._memory.validity} {message.uid}"
            self._stage.record(
                SEEN, self._who.name, start, ok=True, what=message.mark, detail=detail
            )

    @staticmethod
    def _messages(imap: Imap, uids: str) -> list[Message]:
        found = messages(Imap.expect(imap.uid("FETCH", uids, HEAD)))
        return sorted(found, key=lambda message: message.uid)

    def _shown(self, what: str) -> None:
        self._stage.record(
            SEEN, self._who.name, time.monotonic_ns(), ok=False, what=INBOX, detail=what
        )

    def _note(self, kind: str, start: int, *, ok: bool, detail: str = "") -> None:
        what = f"{self._who.host}:{self._who.port}"
        self._stage.record(kind, self._who.name, start, ok=ok, what=what, detail=detail)


def _number(imap: Imap, name: str) -> int:
    """Return a number that came with SELECT.

    Raises:
        NoMailError: it did not.
    """
    found = imap.response(name)[1]
    if not found or found[0] is None:
        raise NoMailError(f"no {name}")
    return int(found[0])

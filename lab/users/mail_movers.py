"""Those who keep order: drafts, flags, copies, folders. What the server confirms is written down.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lab.users.mail_changes import Change
from lab.users.mail_folders import HEAD, MARK, encoded, messages
from lab.users.mail_messages import written
from lab.users.mail_plan import CHANGE, Letter
from lab.users.mail_wire import BadRefusalError, Imap, NoMailError, Stage, log_in, plainly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.users.mail_plan import Mover

_AGAIN: Final = 0.5
_KEYWORD: Final = "gp-viktig"

Doing = tuple[Change, Callable[[], tuple[str, list[Any]]]]
"""A change, and the command that makes it."""


class GoneError(NoMailError):
    """The connection broke: what was under way is left as it is."""


class Moving:
    """Somebody who keeps order, at work.

    Args:
        stage: what they have in their hands.
        who: they.
    """

    def __init__(self, *, stage: Stage, who: Mover) -> None:
        self._stage = stage
        self._who = who
        self._filed = 0
        self._made = ""

    def play(self) -> None:
        """Keep order until it is enough.

        A message whose fate is not known is left alone from then on.
        """
        targets = itertools.cycle(self._who.folders)
        while not self._stage.stop.is_set():
            try:
                imap = self._connected()
            except Exception:  # noqa: BLE001 - readers say what is wrong with the server
                self._stage.stop.wait(_AGAIN)
                continue
            try:
                for round_ in itertools.count():
                    self._works(imap, next(targets), round_)
            except (NoMailError, StopIteration):
                pass
            imap.hang_up()
            self._stage.stop.wait(_AGAIN)

    def _connected(self) -> Imap:
        who = self._who
        imap = log_in(
            self._stage,
            who.account,
            host=who.host,
            port=993,
            family=who.family,
            target=who.name,
            at=who.at,
        )
        if not self._filed:
            Imap.expect(imap.select("INBOX"))
            self._filed = int(imap.response("UIDNEXT")[1][0] or 1)
        return imap

    def _works(self, imap: Imap, folder: str, round_: int) -> None:
        """One message's life, and now and then a folder's."""
        for change, command in self._life(imap, folder, round_):
            self._do(change, command)
        if self._who.files:
            for change, command in self._from_inbox(imap, folder):
                self._do(change, command)
        if round_ % 4 == 0:
            for change, command in self._makes(imap, f"{folder}/{_new()}"):
                self._do(change, command)
        # Dovecot notes in whole seconds when a subscription changed; the other server, when it
        # heard of that. Of two changes in two seconds the first may win.
        if round_ % 4 == 1 and self._made and secrets.randbelow(2):
            made, self._made = self._made, ""
            for change, command in self._throws_away(imap, made):
                self._do(change, command)

    def _do(self, change: Change, command: Callable[[], tuple[str, list[Any]]]) -> None:
        start, name = time.monotonic_ns(), self._who.name
        try:
            Imap.expect(command())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is written down
            told = plainly(error)
            ok = False if isinstance(told, BadRefusalError) else None
            self._stage.record(CHANGE, name, start, ok=ok, what=str(change), detail=str(told))
            raise GoneError(str(told)) from None
        self._stage.record(CHANGE, name, start, ok=True, what=str(change))
        if self._stage.stop.wait(self._who.cadence):
            raise GoneError("it is enough")

    def _life(self, imap: Imap, folder: str, round_: int) -> Iterator[Doing]:
        address, drafts = self._who.account.address, self._who.drafts
        mark, content = written(Letter(sender=address, to=address))

        def change(verb: Any, where: str, to: str = "", *flags: str) -> Change:  # noqa: ANN401
            return Change(verb=verb, what=mark, folder=where, to=to, flags=flags)

        yield (
            change("append", drafts, "", "\\Draft"),
            lambda: imap.append(encoded(drafts), "(\\Draft)", "", content),
        )
        uid = _find(imap, drafts, mark)
        yield (
            change("flag", drafts, "", "\\Flagged", _KEYWORD),
            lambda: imap.by_number("STORE", uid, "+FLAGS", f"(\\Flagged {_KEYWORD})"),
        )
        if round_ % 2:
            yield (
                change("copy", drafts, "INBOX"),
                lambda: imap.by_number("COPY", uid, "INBOX"),
            )
        yield (
            change("move", drafts, folder),
            lambda: imap.by_number("MOVE", uid, encoded(folder)),
        )
        uid = _find(imap, folder, mark)
        yield (
            change("unflag", folder, "", "\\Flagged", "\\Draft"),
            lambda: imap.by_number("STORE", uid, "-FLAGS", "(\\Flagged \\Draft)"),
        )
        yield (
            change("flag", folder, "", "\\Seen", "\\Answered"),
            lambda: imap.by_number("STORE", uid, "+FLAGS", "(\\Seen \\Answered)"),
        )
        if round_ % 3 == 0:
            yield (
                change("flag", folder, "", "\\Deleted"),
                lambda: imap.by_number("STORE", uid, "+FLAGS", "(\\Deleted)"),
            )
            yield change("expunge", folder), lambda: imap.uid("EXPUNGE", uid)

    def _from_inbox(self, imap: Imap, folder: str) -> Iterator[Doing]:
        """File the oldest message that came into INBOX since the last one that was filed."""
        try:
            Imap.expect(imap.select("INBOX"))
            answer = Imap.expect(imap.uid("FETCH", f"{self._filed}:*", HEAD))
        except Exception as error:  # noqa: BLE001 - nothing has happened yet
            raise GoneError(str(plainly(error))) from None
        for message in sorted(messages(answer), key=lambda each: each.uid):
            if message.uid >= self._filed and message.mark:
                self._filed = message.uid + 1
                change = Change(verb="move", what=message.mark, folder="INBOX", to=folder)
                yield change, partial(imap.by_number, "MOVE", str(message.uid), encoded(folder))
                return

    def _makes(self, imap: Imap, name: str) -> Iterator[Doing]:
        word = encoded(name)
        yield Change(verb="create", folder=name), lambda: imap.create(word)
        yield Change(verb="subscribe", folder=name), lambda: imap.subscribe(word)
        self._made = name

    @staticmethod
    def _throws_away(imap: Imap, name: str) -> Iterator[Doing]:
        word = encoded(name)
        yield Change(verb="unsubscribe", folder=name), lambda: imap.unsubscribe(word)
        yield Change(verb="delete", folder=name), lambda: imap.delete(word)


def _new() -> str:
    return f"{MARK}{secrets.token_hex(4)} ferdig (nei)"


def _find(imap: Imap, folder: str, mark: str) -> str:
    """Return the number of a message that is there.

    Raises:
        GoneError: it is not, or nobody answers.
    """
    try:
        Imap.expect(imap.select(encoded(folder)))
        found = Imap.expect(imap.uid("SEARCH", "HEADER", "Message-ID", f'"{mark}"'))[0].split()
    except Exception as error:  # noqa: BLE001 - nothing has happened yet
        raise GoneError(str(plainly(error))) from None
    if not found:
        raise GoneError(f"{mark} is not in {folder}")
    return str(found[-1].decode())

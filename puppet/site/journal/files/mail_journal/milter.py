"""The milter: what Postfix tells of a message goes into a draft, and at its end to the peer.

Nothing that goes wrong here is a reason to refuse mail. The peer gets the message as the milters
before this one have left it, which is what will be delivered.
"""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path
from typing import Any, ClassVar, Final

import Milter  # pymilter, as Debian packages it
import milter

from mail_journal.auth import Seal
from mail_journal.config import Config
from mail_journal.counts import Counts
from mail_journal.deadline import Deadlines
from mail_journal.entry import HEADER, header_value
from mail_journal.errors import CouldNotError
from mail_journal.exchange import Peer
from mail_journal.instance import read
from mail_journal.notify import notify
from mail_journal.outgoing import Draft, Sender
from mail_journal.report import write_counts

IDLE: Final = 7210
"""Seconds; Postfix hangs up before (``milter_command_timeout`` and its own clients' limits)."""

_log = logging.getLogger(__name__)


@Milter.header_leading_space
class JournalMilter(Milter.Base):  # type: ignore[misc] # pymilter has no types
    """One connection of Postfix's, for one message after the other."""

    sender: ClassVar[Sender]
    instance: ClassVar[str]
    directory: ClassVar[Path]

    def __init__(self) -> None:
        self._draft: Draft | None = None

    @Milter.noreply  # type: ignore[untyped-decorator]
    def envfrom(self, sender: str, *options: str) -> Any:  # noqa: ANN401 - a constant of libmilter's
        """Begin a message."""
        self._forget()
        self._draft = Draft(sender=sender, options=options, directory=self.directory)
        return Milter.CONTINUE

    @Milter.noreply  # type: ignore[untyped-decorator]
    def envrcpt(self, recipient: str, *options: str) -> Any:  # noqa: ANN401
        """Add a recipient."""
        if self._draft:
            self._draft.recipient(recipient, options)
        return Milter.CONTINUE

    @Milter.noreply  # type: ignore[untyped-decorator]
    @Milter.decode("bytes")  # type: ignore[untyped-decorator]
    def header(self, name: str, value: bytes) -> Any:  # noqa: ANN401
        """Add a header."""
        if self._draft:
            self._draft.header(name, value)
        return Milter.CONTINUE

    @Milter.noreply  # type: ignore[untyped-decorator]
    def eoh(self) -> Any:  # noqa: ANN401
        """End the headers."""
        if self._draft:
            self._draft.begin_body(instance=self.instance, queue_id=self.getsymval("i") or "")
        return Milter.CONTINUE

    @Milter.noreply  # type: ignore[untyped-decorator]
    def body(self, chunk: bytes) -> Any:  # noqa: ANN401
        """Add to the body."""
        if self._draft:
            self._draft.body(chunk)
        return Milter.CONTINUE

    def eom(self) -> Any:  # noqa: ANN401
        """Hand the message to the peer, and mark it."""
        draft = self._draft
        if draft is None:
            return Milter.CONTINUE
        outcome = self.sender.send(draft)
        # From the last to the first: taking one away changes the numbers of those after it.
        for number in range(draft.foreign, 0, -1):
            self.chgheader(HEADER, number, None)
        value = header_value(draft.id, degraded=bool(outcome.degraded))
        self.addheader(HEADER, f" {value}" if self._leading_space else value, 0)
        self._forget()
        return Milter.ACCEPT

    @property
    def _leading_space(self) -> bool:
        return bool(self._protocol & Milter.P_HDR_LEADSPC)

    def abort(self) -> Any:  # noqa: ANN401
        """Forget the message."""
        self._forget()
        return Milter.CONTINUE

    def close(self) -> Any:  # noqa: ANN401
        """Forget everything."""
        self._forget()
        return Milter.CONTINUE

    def _forget(self) -> None:
        if self._draft:
            self._draft.close()
            self._draft = None


def run(config: Config) -> None:
    """Serve Postfix until somebody says stop.

    Raises:
        CouldNotError: the socket cannot be made.
    """
    counts = Counts()
    peer = Peer(
        address=config.peer,
        port=config.port,
        seal=Seal(secret=config.secret),
        deadlines=Deadlines(),
    )
    sender = Sender(peer=peer, counts=counts, seconds=config.timeout)
    JournalMilter.sender = sender
    JournalMilter.instance = read(config.spool)
    if not JournalMilter.instance:
        raise CouldNotError(
            "this node's disks carry no id", remedy="`mail-journal prepare` writes it"
        )
    JournalMilter.directory = config.spool
    threading.Thread(target=sender.watch, name="watch", daemon=True).start()
    threading.Thread(
        target=write_counts, args=(config.counts, counts), name="counts", daemon=True
    ).start()
    Milter.factory = JournalMilter
    Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS)
    milter.set_exception_policy(milter.CONTINUE)
    try:
        threading.Thread(target=_tell_ready, args=(config.socket,), daemon=True).start()
        Milter.runmilter("mail-journal", f"unix:{config.socket}", timeout=IDLE)
    except milter.error as error:
        raise CouldNotError(f"the milter ended: {error}", where=str(config.socket)) from error


def _tell_ready(path: Path) -> None:
    """Tell systemd once Postfix can come."""
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(path)):
            threading.Event().wait(0.05)
    notify()

"""A dead peer's messages, delivered by this node: each once, as far as can be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path as Directory
from typing import Final, Protocol

from mail_journal.addresses import Addresses, Target
from mail_journal.entry import EntryError, Head, Path
from mail_journal.errors import RefusedError
from mail_journal.postfix import PostfixError
from mail_journal.replayed import Replayed
from mail_journal.store import Held, Store, StoreError
from mail_journal.witness import FAR_BACK, Finder, look

_ADDED: Final = ("", "+", "-", "_", "=")
"""What may follow the name of a mailbox: nothing, or a delimiter (postconf(5))."""

NOTHING: Final = Replayed(finals=frozenset())


class Delivers(Protocol):
    """Whoever takes a message for delivery."""

    def deliver(self, head: Head, recipients: Sequence[Path], message: bytes) -> str:
        """Take it; return what it is called in the queue."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done for one message.

    Attributes:
        recipients: whom it is to be delivered to; nobody when all is done.
        finals: every mailbox and address outside that is then seen to.
        whole: whether nothing is left to do then.
    """

    recipients: tuple[Path, ...]
    finals: frozenset[str]
    whole: bool = True


def plan(
    recipients: Sequence[Path],
    *,
    targets: Mapping[str, Target],
    here: frozenset[str],
    done: frozenset[str],
    mailboxes_only: bool = False,
) -> Plan:
    """Say whom a message has yet to be delivered to.

    An address whose mailboxes all lack it gets it under that very address, so that what stands
    behind it still counts (``name+folder``). Of an alias of which only some have it, the others get
    it by themselves. Whoever is outside gets it unless this node has sent it there before: whether
    the dead one had, nobody knows.

    Args:
        recipients: those that it was accepted for.
        targets: where each leads.
        here: mailboxes that have it.
        done: mailboxes and addresses that were seen to by an earlier replay.
        mailboxes_only: whether those outside are left to somebody who knows that the other node is
            dead: what was sent to them cannot be taken back.
    """
    wanted: list[Path] = []
    finals: set[str] = set()
    left: set[str] = set()
    for one in recipients:
        target = targets[one.address]
        whole = target.mailboxes | target.outside
        due = target.mailboxes if mailboxes_only else whole
        finals |= due
        left |= whole - due - done
        needed = due - here - done
        # Aliases lead outside as well: who leaves those alone delivers past all aliases.
        as_told = needed == due if not mailboxes_only else _only_itself(one.address, needed)
        if needed and as_told:
            wanted.append(one)
        else:
            wanted.extend(Path(address=address) for address in sorted(needed))
    unique = {one.address: one for one in reversed(wanted)}
    return Plan(
        recipients=tuple(reversed(list(unique.values()))),
        finals=frozenset(finals) | done,
        whole=not left,
    )


def _only_itself(address: str, needed: frozenset[str]) -> bool:
    """Whether an address is the one mailbox that is needed, whatever its owner has added to it."""
    if len(needed) != 1:
        return False
    local, _, domain = address.lower().rpartition("@")
    name, _, home = next(iter(needed)).rpartition("@")
    return domain == home and local.startswith(name) and local[len(name) :][:1] in _ADDED


@dataclass(kw_only=True)
class Report:
    """What a replay found and did.

    Attributes:
        living: messages of the peer as it is now, which sees to them itself.
        present: those that need nothing.
        delivered: those that were delivered, or would be.
        copies: to how many recipients.
        wrong: what could not be done, one line each.
    """

    living: int = 0
    present: int = 0
    delivered: int = 0
    copies: int = 0
    wrong: list[str] = field(default_factory=list)


class Replay:
    """Sees to the messages of a node that died.

    Args:
        store: what it had accepted.
        mailboxes: Dovecot here.
        addresses: Postfix's tables.
        notes: directory where it is noted what was done.
        reinjector: opens the way into Postfix's queue.
        tell: is called after each message with how many were looked at.
    """

    def __init__(
        self,
        *,
        store: Store,
        mailboxes: Finder,
        addresses: Addresses,
        notes: Directory,
        reinjector: Callable[[ExitStack], Delivers],
        tell: Callable[[int, int], None],
    ) -> None:
        self._store = store
        self._mailboxes = mailboxes
        self._addresses = addresses
        self._notes = notes
        self._reinjector = reinjector
        self._tell = tell

    def run(
        self,
        *,
        peer_instance: str,
        peer_is_dead: bool,
        apply: bool,
        mailboxes_only: bool = False,
    ) -> Report:
        """Look at every message, and deliver what is missing.

        Args:
            peer_instance: the life of the peer that answers; empty if none does.
            peer_is_dead: whether somebody knows that a peer that does not answer is dead.
            apply: whether to do it.
            mailboxes_only: whether nothing is sent to anybody outside; copies in mailboxes can be
                taken out again, so the peer may then be alive.

        Raises:
            RefusedError: the peer may be alive, and would deliver them, too.
            JournalError: it cannot be told what is missing.
        """
        held = self._store.held()
        due = [one for one in held if one.head.instance != peer_instance]
        sure = peer_instance or peer_is_dead or mailboxes_only
        if due and apply and not sure:
            raise RefusedError(
                "the peer does not answer, but it may be alive and cut off: it would deliver its"
                " messages, too",
                remedy="If it is dead, say --peer-is-dead",
            )
        report = Report(living=len(held) - len(due))
        targets = {
            one.address: self._addresses.target(one.address)
            for entry in due
            for one in entry.head.recipients
        }
        found = look(
            self._mailboxes,
            [
                (targets[one.address].mailboxes, entry.age() + FAR_BACK)
                for entry in due
                for one in entry.head.recipients
            ],
        )
        with ExitStack() as stack:
            way = self._reinjector(stack) if apply and due else None
            plans = self._plans(due, targets, found, mailboxes_only=mailboxes_only)
            for number, (entry, what, before) in enumerate(plans, 1):
                self._one(entry, what, before, way, report)
                self._tell(number, len(due))
        return report

    def _plans(
        self,
        due: Sequence[Held],
        targets: Mapping[str, Target],
        found: Mapping[str, frozenset[str]],
        *,
        mailboxes_only: bool,
    ) -> Iterator[tuple[Held, Plan, Replayed]]:
        for entry in due:
            before = Replayed.read(self._notes, entry.head.id) or NOTHING
            here = frozenset(user for user, ids in found.items() if entry.head.id in ids)
            yield (
                entry,
                plan(
                    entry.head.recipients,
                    targets=targets,
                    here=here,
                    done=before.finals,
                    mailboxes_only=mailboxes_only,
                ),
                before,
            )

    def _one(
        self, entry: Held, what: Plan, before: Replayed, way: Delivers | None, report: Report
    ) -> None:
        entry_id = entry.head.id
        queue_ids = before.queue_ids
        try:
            if what.recipients and way:
                head, message = self._store.message(entry_id)
                queue_ids = (*queue_ids, way.deliver(head, what.recipients, message))
            if way and not before.whole:
                Replayed(finals=what.finals, queue_ids=queue_ids, whole=what.whole).write(
                    self._notes, entry_id
                )
        except (EntryError, StoreError, PostfixError) as error:
            report.wrong.append(f"{entry_id}: {error}")
            return
        if what.recipients:
            report.delivered += 1
            report.copies += len(what.recipients)
        else:
            report.present += 1

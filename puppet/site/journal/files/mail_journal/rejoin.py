"""A node that comes back with its disks: what the other one has seen to is not sent twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mail_journal.addresses import Target
from mail_journal.mailboxes import Copy


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A message in the queue of the node that comes back.

    Attributes:
        queue_id: what Postfix calls it.
        entry_id: the journal's id of it; empty if it has none.
        targets: where the recipients lead that it is still for.
    """

    queue_id: str
    entry_id: str
    targets: tuple[Target, ...]


def seen_to(waiting: Waiting, *, here: frozenset[str], replayed: frozenset[str]) -> bool:
    """Whether nobody would miss a message if it left the queue.

    A recipient that leads nowhere known is somebody who would.

    Args:
        waiting: the message.
        here: mailboxes that have it.
        replayed: mailboxes and addresses outside that the other node has seen to.
    """
    if not waiting.entry_id or not waiting.targets:
        return False
    return all(
        (target.mailboxes or target.outside)
        and target.mailboxes <= here | replayed
        and target.outside <= replayed
        for target in waiting.targets
    )


def purgeable(
    queue: Iterable[Waiting],
    *,
    found: Mapping[str, frozenset[str]],
    replayed: Mapping[str, frozenset[str]],
) -> list[Waiting]:
    """Return what may leave the queue.

    Args:
        queue: what is in it.
        found: mailbox -> the ids that it has.
        replayed: id -> what the other node has seen to.
    """
    return [
        one
        for one in queue
        if seen_to(
            one,
            here=frozenset(user for user, ids in found.items() if one.entry_id in ids),
            replayed=replayed.get(one.entry_id, frozenset()),
        )
    ]


def surplus(copies: Sequence[Copy]) -> list[Copy]:
    """Return the copies of messages that their owner has twice in one folder.

    The one stays that has the most marks of its owner's, and of several the oldest. In two
    folders, somebody copied it.
    """
    groups: dict[tuple[str, str], list[Copy]] = {}
    for copy in copies:
        groups.setdefault((copy.folder, copy.id), []).append(copy)
    extra: list[Copy] = []
    for group in groups.values():
        stays = min(group, key=lambda copy: (-len(copy.flags.split()), copy.uid))
        extra.extend(copy for copy in group if copy is not stays)
    return extra

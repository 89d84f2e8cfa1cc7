"""Which entries are needed no longer.

An entry stands for what would be lost with the other node's disks. It may go when the node that
accepted the message says that it has left its queue, so that it is in mailboxes or somebody else
has answered for it, and no mailbox has it there that has not got it here.

That node says nothing when it is away, and what it says counts only while its disks are those that
the message was accepted on (:mod:`mail_journal.instance`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Self

ROUNDS: Final = 2
"""How often in a row a message must be in neither mailbox until it counts as gone.

It was moved from folder to folder while one looked, or its owner has thrown it away.
"""


class Why(Enum):
    """Why an entry stays or goes."""

    UNKNOWN = "the node that accepted it does not answer"
    ANOTHER_LIFE = "the disks that it was accepted on are gone"
    QUEUED = "it waits in the queue there"
    AHEAD = "a mailbox there has it, and has it not here"
    NOWHERE = "neither mailbox has it; it is looked for again"
    DONE = "it is here, or needed nowhere"

    @property
    def goes(self) -> bool:
        """Whether the entry may go."""
        return self is Why.DONE


@dataclass(frozen=True, kw_only=True)
class There:
    """What the node that accepted a message says of it.

    Attributes:
        queued: whether it is in the queue.
        mailboxes: those that have it.
    """

    queued: bool
    mailboxes: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what was sent.

        Raises:
            KeyError, TypeError: it is malformed.
        """
        return cls(
            queued=document["queued"] is not False, mailboxes=frozenset(document["mailboxes"])
        )


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known of one entry.

    Attributes:
        instance: the life of the node that accepted it.
        mailboxes: those that its recipients lead to.
        here: those of them that have it on this node.
        missed: how often in a row it was in neither mailbox before.
    """

    instance: str
    mailboxes: frozenset[str]
    here: frozenset[str]
    missed: int = 0


def judge(case: Case, *, instance: str, there: There | None) -> Why:
    """Say whether an entry may go.

    Args:
        case: the entry.
        instance: the life of the node that answered; empty if none did.
        there: what it said of this message.
    """
    if instance and instance != case.instance:
        return Why.ANOTHER_LIFE
    if not instance or there is None:
        return Why.UNKNOWN
    if there.queued:
        return Why.QUEUED
    missing = case.mailboxes - case.here
    if missing & there.mailboxes:
        return Why.AHEAD
    return Why.NOWHERE if missing and case.missed + 1 < ROUNDS else Why.DONE

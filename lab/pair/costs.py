"""What trials of the pair may cost its users: a budget for each service, said in one line. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from operator import or_
from typing import Final

from lab.verdict import Budget
from lab.watch_failover import FailoverBudget
from lab.watch_mail import RACED, MailBudget

_MANY: Final = 100_000
"""Failures that are counted and do not matter: it is the gap that does."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What may at most be lost.

    Accepted messages, log-ins and refused relays are not in here: none is ever lost, refused or
    granted.

    Attributes:
        lookups: look-ups that may fail.
        nameless: longest span in seconds without an answer to a look-up.
        pages: pages that may fail for whoever tries all addresses.
        first: longest span in seconds without a page for whoever knows one address only.
        unread: longest span in seconds without a mailbox for whoever reads.
        unsent: the same for whoever sends with a password.
        late: seconds from acceptance until a message is shown.
        refused: changes of flags and folders that may be refused.
        unsynced: seconds before a fault in which a change of flags and folders may be lost.
        uncopied: seconds before a fault in which an entry of a guest book may be lost: only with
            the disk that it was on.
        doubled: messages that people elsewhere may get twice: whoever had sent them is gone, and
            the other one, which sends what is not known to be sent, cannot know.
        revived: what was thrown away, or filed elsewhere, that may be there again.
        overtaken: messages whose flags, set while both sides merge what they have, may be lost.
        alike: seconds from the healing until both sides hold the same.
    """

    lookups: int = 0
    nameless: float = 2.0
    pages: int = 0
    first: float = 2.0
    unread: float = 5.0
    unsent: float = 15.0
    late: float = 30.0
    refused: int = 0
    unsynced: float = 0.0
    uncopied: float = 0.0
    doubled: int = 0
    revived: int = RACED
    overtaken: int = 0
    alike: float = 60.0

    def __str__(self) -> str:
        """Return it as one line."""
        pages = f"{self.pages:,} pages" if self.pages else "no page"
        lookups = f"{self.lookups:,} look-ups" if self.lookups else "no look-up"
        entries = f", nor entries but of the last {self.uncopied:g} s" if self.uncopied else ""
        lost = f"no message lost{entries}" if entries else "0 lost"
        twice = f", {self.doubled} for people elsewhere twice" if self.doubled else ""
        flags = f" but {self.overtaken} messages' flags in the merge" if self.overtaken else ""
        return (
            f"{lookups} and {pages} fail; one address only ≤ {self.first:g} s; "
            f"mail read ≤ {self.unread:g} s, sent ≤ {self.unsent:g} s, shown ≤ {self.late:g} s; "
            f"{lost}{flags}{twice}; alike ≤ {self.alike:g} s"
        )

    def __or__(self, other: Cost) -> Cost:
        """Return what both together may cost: of each figure the larger."""
        return Cost(
            **{
                each.name: max(getattr(self, each.name), getattr(other, each.name))
                for each in fields(self)
            }
        )

    @property
    def of_lookups(self) -> Budget:
        """For whoever looks names up."""
        return Budget(failed=self.lookups, gap=self.nameless, at_least=AT_LEAST.lookups)

    @property
    def of_visits(self) -> FailoverBudget:
        """For visitors: those who try all addresses, those who know one, and who writes."""
        return FailoverBudget(
            any=Budget(failed=self.pages, at_least=AT_LEAST.pages),
            first=Budget(failed=_MANY, gap=self.first, at_least=AT_LEAST.pages),
            entries=Budget(failed=_MANY, gap=self.first, at_least=AT_LEAST.entries),
            uncopied=self.uncopied,
            alike=self.alike,
        )

    @property
    def of_mail(self) -> MailBudget:
        """For whoever has to do with mail."""
        return MailBudget(
            at_least=AT_LEAST.mail,
            late=self.late,
            imap=Budget(failed=_MANY, gap=self.unread, at_least=AT_LEAST.signs),
            submission=Budget(failed=_MANY, gap=self.unsent),
            refused=self.refused,
            unsynced=self.unsynced,
            doubled=self.doubled,
            revived=self.revived,
            overtaken=self.overtaken,
            alike=self.alike,
        )


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What users must have done, or nothing is known."""

    lookups: int = 3_000
    pages: int = 200
    entries: int = 30
    mail: int = 40
    signs: int = 200


AT_LEAST: Final = Seen()


def together(costs: Iterable[Cost]) -> Cost:
    """Return what several together may cost; none of them, what nothing at all may."""
    known = [*costs]
    return reduce(or_, known) if known else Cost()

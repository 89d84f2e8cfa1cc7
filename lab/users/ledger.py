"""The ledger of what was written: every entry that was accepted is there, once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lab.users.visiting import MARK
from lab.users.visits import ENTRY
from lab.verdict import Figures, Outcome, Verdict

if TYPE_CHECKING:
    from lab.history import History

_SHOWN = 3


def entries(book: str) -> Counter[str]:
    """Return the writers' entries in a guest book, and how often each is there."""
    return Counter(re.findall(rf"{re.escape(MARK)}[0-9a-f]{{16}}", book))


def balance(
    history: History, book: Counter[str], *, subject: str, uncopied: float = 0.0
) -> Verdict:
    """Compare what writers were told with what is in the book in the end.

    An entry that was refused, or of whose fate nobody was told, may be there once or not at all.

    Args:
        history: what the writers tried.
        book: entries in the end, and how often each is there.
        subject: what to call it.
        uncopied: seconds before a fault in which an entry may be lost with the only disk that it
            was on, and as long behind it: a disk takes a moment to be destroyed. How many were
            is told.
    """
    spans = history.unsettled(seconds=uncopied, behind=uncopied)
    tried = [item for item in history.operations if item.kind == ENTRY]
    accepted = [item.what for item in tried if item.ok]
    missing = [item for item in tried if item.ok and not book[item.what]]
    gone = [item.what for item in missing if any(item.end_ns in span for span in spans)]
    lost = [item.what for item in missing if item.what not in gone]
    doubled = [item.what for item in tried if book[item.what] > 1]
    reasons = [
        f"{len(found):,} {what}: {_some(found)}"
        for found, what in ((lost, "lost"), (doubled, "there more than once"))
        if found
    ]
    outcome = Outcome.FAIL if reasons else Outcome.OK
    if not accepted:
        outcome, reasons = max(outcome, Outcome.UNKNOWN), [*reasons, "nothing was accepted"]
    return Verdict(
        subject=subject,
        outcome=outcome,
        reasons=tuple(reasons),
        figures=Figures(total=len(accepted), failed=len(lost) + len(doubled)),
        notes=(f"{len(gone):,} gone with the disk",) if gone else (),
    )


def _some(found: Iterable[str]) -> str:
    listed = list(found)
    return ", ".join(listed[:_SHOWN]) + (" ..." if len(listed) > _SHOWN else "")

"""Visitors of sites that two servers serve together: what they may notice when one of them dies."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lab import operate, watch_web
from lab.history import History
from lab.lab import Lab
from lab.operator import Operator
from lab.operator.zones import Zone
from lab.steps.web_ha_move import Pair
from lab.users.ledger import balance, entries
from lab.users.visitors import failover_visitors, failover_writers
from lab.users.visits import ENTRY, VISIT_ANY, VISIT_FIRST, Visitor, Writer
from lab.verdict import Budget, Verdict, guarded, judge, stalls
from lab.world.machines import OUTSIDE

STALL_SECONDS: Final = 1.0
"""Whoever waited longer noticed something: as long as a connection is waited for."""

_POLL_SECONDS: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class FailoverBudget:
    """What it may cost those who visit two servers.

    Attributes:
        any: those who try every address; how long they waited is told, not judged.
        first: those who know only one of them.
        entries: those who write, whichever they know.
        uncopied: seconds before a fault in which an entry may be lost, with the disk it was on.
        alike: seconds after which the guest book is the same on both, when nobody writes any more.
    """

    any: Budget = field(default_factory=Budget)
    first: Budget = field(default_factory=Budget)
    entries: Budget = field(default_factory=Budget)
    uncopied: float = 0.0
    alike: float = 15.0


def visitors(
    lab: Lab, operator: Operator, zones: Sequence[Zone]
) -> tuple[tuple[Visitor, ...], tuple[Writer, ...]]:
    """Return the visitors and writers of a lab in which two servers serve."""
    standard, writers = watch_web.visitors(lab, operator, zones)
    return failover_visitors(standard), failover_writers(writers)


def verdicts(
    lab: Lab, history: Callable[[], History], *, budget: FailoverBudget, title: str
) -> Iterator[Verdict]:
    """Judge what visitors saw, and what became of what they wrote, on either server."""
    seen = history()
    for kind, what, allowed in (
        (VISIT_ANY, "visits at any address", budget.any),
        (VISIT_FIRST, "visits at one address", budget.first),
        (ENTRY, "entries", budget.entries),
    ):
        subject = f"{title}: {what}"
        judged = judge(seen, subject=subject, kind=kind, budget=allowed)
        yield replace(judged, notes=stalls(seen, kind=kind, seconds=STALL_SECONDS))
    operator = operate.in_lab(lab)
    taken = alike(lab, operator, seconds=budget.alike)
    note = (
        f"alike on both after {taken:.1f} s"
        if taken is not None
        else f"not alike on both after {budget.alike:g} s"
    )
    for host in Pair.of(operator).names:
        subject = f"{title}: what was accepted, on {host}"

        def ledger(host: str = host, subject: str = subject) -> Verdict:
            book = books(lab, operator)[host]
            return balance(seen, book, subject=subject, uncopied=budget.uncopied)

        judged = guarded(subject, ledger)
        yield replace(judged, notes=(*judged.notes, note))


def books(lab: Lab, operator: Operator) -> dict[str, Counter[str]]:
    """Return what is in the guest book of each server, as its visitors are shown it."""
    pair = Pair.of(operator)
    name = next(site.asked[0] for site in pair.sites if site.data)
    found = {}
    for host in pair.hosts:
        there = ["--resolve", f"{name}:80:{pair.addresses(host)[0]}", f"http://{name}/"]
        command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "30", *there]
        found[host.name] = entries(lab.ssh.run(OUTSIDE, command).stdout)
    return found


def alike(lab: Lab, operator: Operator, *, seconds: float) -> float | None:
    """Wait until both guest books have the same entries.

    Args:
        lab: the lab.
        operator: its operator.
        seconds: how long to wait at most.

    Returns:
        How long it took; None when they did not become so.
    """
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        one, other = books(lab, operator).values()
        if one == other:
            return time.monotonic() - begun
        time.sleep(_POLL_SECONDS)
    return None

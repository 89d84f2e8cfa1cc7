"""What users saw in a span of a run that goes on."""

from __future__ import annotations

from lab.history import History, Mark, Operation
from lab.promote.soak import since_then
from lab.users.probes import LOOKUP
from lab.verdict import Budget, Outcome, judge

STARTED = Mark(kind="probe", name="udp4", phase="start", at_ns=0, detail=LOOKUP)


def look(start: int, *, ok: bool = True) -> Operation:
    return Operation(kind=LOOKUP, target="udp4", start_ns=start, end_ns=start + 1, ok=ok)


def outcome(history: History) -> Outcome:
    return judge(history, subject="x", kind=LOOKUP, budget=Budget()).outcome


def test_what_failed_before_does_not_count() -> None:
    history = History.of([STARTED, look(1, ok=False), look(10), look(11)])
    assert outcome(since_then(history, 5, 20)) is Outcome.OK
    assert outcome(since_then(history, 0, 20)) is Outcome.FAIL


def test_that_users_go_on_does_not_make_it_unknown() -> None:
    history = History.of([STARTED, look(10)])
    assert outcome(history) is Outcome.UNKNOWN
    assert outcome(since_then(history, 0, 20)) is Outcome.OK


def test_a_span_in_which_nobody_asked_is_unknown() -> None:
    assert outcome(since_then(History.of([STARTED, look(1)]), 5, 20)) is Outcome.UNKNOWN

"""The ledger: what was accepted is there, once."""

from __future__ import annotations

from collections import Counter

from lab.history import History, Mark, Operation
from lab.users.ledger import balance, entries
from lab.users.visits import ENTRY
from lab.verdict import Outcome


def wrote(*entries_: tuple[str, bool | None]) -> History:
    return History.of(
        Operation(kind=ENTRY, target="w", start_ns=n, end_ns=n + 1, ok=ok, what=what)
        for n, (what, ok) in enumerate(entries_)
    )


def outcome(history: History, **book: int) -> Outcome:
    return balance(history, Counter(book), subject="ledger").outcome


def test_what_was_accepted_is_there_once() -> None:
    assert outcome(wrote(("a", True), ("b", True)), a=1, b=1) is Outcome.OK


def test_what_was_accepted_and_is_not_there_is_lost() -> None:
    verdict = balance(wrote(("a", True), ("b", True)), Counter(a=1), subject="ledger")
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == ("1 lost: b",)
    assert (verdict.figures.total, verdict.figures.failed) == (2, 1)


def test_what_is_there_twice_is_told_whatever_the_writer_was() -> None:
    assert outcome(wrote(("a", True)), a=2) is Outcome.FAIL
    assert outcome(wrote(("a", True), ("b", False)), a=1, b=2) is Outcome.FAIL


def test_what_was_refused_may_be_there_or_not() -> None:
    assert outcome(wrote(("a", True), ("b", False), ("c", None)), a=1, c=1) is Outcome.OK


def test_what_came_just_before_a_disk_was_destroyed_may_be_gone_with_it() -> None:
    second = 1_000_000_000
    history = History.of(
        [
            *(
                Operation(kind=ENTRY, target="w", start_ns=at, end_ns=at, ok=True, what=what)
                for what, at in (("a", 2 * second), ("b", 9 * second), ("c", 12 * second))
            ),
            Mark(kind="fault", name="wiped oslo", phase="start", at_ns=10 * second),
        ]
    )
    judged = [
        balance(history, Counter(book), subject="ledger", uncopied=1.5)
        for book in ({"a": 1, "c": 1}, {"b": 1, "c": 1}, {"a": 1, "b": 1})
    ]
    assert [each.reasons for each in judged] == [(), ("1 lost: a",), ("1 lost: c",)]
    assert judged[0].notes == ("1 gone with the disk",)


def test_a_ledger_without_an_entry_knows_nothing() -> None:
    assert outcome(wrote(("a", False))) is Outcome.UNKNOWN


def test_entries_are_found_in_the_page() -> None:
    page = "<li>gp-0123456789abcdef</li><li>gp-0123456789abcdef gp-short</li>"
    assert entries(page) == Counter({"gp-0123456789abcdef": 2})

"""Verdicts: the figures, the three outcomes, and what must never change them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.history import History, HistoryWriter, Mark, Operation
from lab.verdict import (
    Budget,
    Outcome,
    Verdict,
    broken_off,
    figures,
    guarded,
    judge,
    stalls,
    worst,
)

SECOND = 1_000_000_000


def lookup(start: float, *, ok: bool | None = True, took: float = 0.01, target: str = "udp"):
    return Operation(
        kind="lookup",
        target=target,
        start_ns=int(start * SECOND),
        end_ns=int((start + took) * SECOND),
        ok=ok,
    )


def judged(*records: Operation | Mark, budget: Budget | None = None) -> Verdict:
    return judge(History.of(records), subject="x", kind="lookup", budget=budget or Budget())


def steady(start: float, end: float, **more: object) -> list[Operation]:
    """Look-ups ten times a second."""
    count = round((end - start) * 10)
    return [lookup(start + number / 10, **more) for number in range(count)]  # type: ignore[arg-type]


probes = st.lists(
    st.builds(
        Mark,
        kind=st.just("probe"),
        name=st.sampled_from(["udp", "tcp"]),
        phase=st.sampled_from(["start", "end"]),
        at_ns=st.just(0),
        detail=st.just("lookup"),
    ),
    max_size=4,
)
operations = st.lists(
    st.builds(
        lookup,
        st.floats(0, 20),
        ok=st.sampled_from([True, True, True, False, None]),
        took=st.floats(0, 4),
        target=st.sampled_from(["udp", "tcp"]),
    ),
    max_size=30,
)
budgets = st.builds(
    Budget,
    failed=st.integers(0, 4),
    gap=st.none() | st.floats(0.05, 10),
    at_least=st.integers(0, 20),
)


def test_a_steady_service() -> None:
    verdict = judged(*steady(0, 10), budget=Budget(gap=0.2, at_least=100))
    assert verdict.outcome is Outcome.OK
    assert verdict.reasons == ()
    assert verdict.figures.total == 100
    assert verdict.figures.gap == pytest.approx(0.1)
    assert verdict.figures.cadence == pytest.approx(0.1)
    assert verdict.figures.resolution == pytest.approx(0.1)
    assert verdict.figures.slowest == pytest.approx(0.01)


def test_an_outage_is_as_long_as_users_saw_it() -> None:
    # Away from 3 to 5; each look-up waits 3 s in vain.
    history = [*steady(0, 3), *steady(3, 5, ok=False, took=3), *steady(5, 10)]
    verdict = judged(*history, budget=Budget(failed=20, gap=1))
    assert verdict.figures.failed == 20
    assert verdict.figures.gap == pytest.approx(2.1)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == ("nothing succeeded for 2.10 s at udp, 1 s allowed",)
    assert judged(*history, budget=Budget(failed=20, gap=2.5)).outcome is Outcome.OK


def test_slow_answers_are_a_gap_too() -> None:
    # A resolver that tries again answers late and fails nobody.
    slow = [lookup(3 + n / 10, took=2.01 - n / 10) for n in range(20)]
    verdict = judged(*steady(0, 3), *slow, *steady(5, 8), budget=Budget(gap=1))
    assert verdict.figures.failed == 0
    assert verdict.figures.gap == pytest.approx(2.1)
    assert verdict.outcome is Outcome.FAIL


def test_a_probe_that_slept_is_no_outage_but_no_pass() -> None:
    verdict = judged(*steady(0, 3), *steady(5, 8), budget=Budget(gap=1))
    assert verdict.figures.gap == pytest.approx(2.1)
    assert verdict.figures.resolution == pytest.approx(2.1)
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reasons == ("hardly anybody asked for 2.10 s at udp, 1 s allowed",)


def test_answers_in_another_order_than_the_questions() -> None:
    # Frozen for 2 s; whoever asked last is answered first.
    frozen = [lookup(3 + n / 10, took=2 - n / 10 + (20 - n) / 1000) for n in range(20)]
    verdict = judged(*steady(0, 3), *frozen, *steady(5.1, 8), budget=Budget(gap=1))
    assert verdict.outcome is Outcome.FAIL


def test_one_target_cannot_hide_another() -> None:
    verdict = judged(
        *steady(0, 10, target="tcp"),
        *steady(0, 3),
        *steady(3, 5, ok=False),
        *steady(5, 10),
        budget=Budget(failed=20, gap=1),
    )
    assert verdict.outcome is Outcome.FAIL
    assert {item.target: round(item.gap, 1) for item in verdict.targets} == {"tcp": 0.1, "udp": 2.1}


def test_never_a_success() -> None:
    assert figures("udp", steady(0, 5, ok=False)).gap == pytest.approx(4.91)
    assert judged(*steady(0, 5, ok=False), budget=Budget(failed=99)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([], "nothing was seen"),
        (steady(0, 1), "only 10 succeeded, 50 needed to know"),
        (steady(0, 9, ok=None), "90 undecided"),
        (
            [*steady(0, 9), Mark(kind="probe", name="v6", phase="start", at_ns=0, detail="lookup")],
            "nothing ever succeeded at v6",
        ),
        (
            [
                *steady(0, 9),
                Mark(kind="probe", name="udp", phase="start", at_ns=0, detail="lookup"),
            ],
            "the history was cut short at udp",
        ),
    ],
)
def test_unknown(records: list[Operation | Mark], reason: str) -> None:
    verdict = judged(*records, budget=Budget(at_least=50))
    assert verdict.outcome is Outcome.UNKNOWN
    assert reason in verdict.reasons


def test_a_checker_that_crashes_knows_nothing() -> None:
    def crash() -> Verdict:
        raise ZeroDivisionError("oops")

    verdict = guarded("x", crash)
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reasons == ("the checker crashed: ZeroDivisionError: oops",)


def test_rank() -> None:
    ok, unknown, fail = (Verdict(subject="x", outcome=outcome) for outcome in Outcome)
    assert worst([ok, fail, unknown]) is Outcome.FAIL
    assert worst([ok, unknown]) is Outcome.UNKNOWN
    assert worst([ok]) is Outcome.OK
    assert worst([]) is Outcome.UNKNOWN


def test_one_line() -> None:
    verdict = judged(*steady(0, 2000), *steady(2000, 2001, ok=False))
    assert str(verdict) == (
        "x: fail, 10 failed of 20,010, longest gap 1.00 s (resolution 0.10 s): 10 failed, 0 allowed"
    )
    phrase = "at most 0 failed of at least 10,000, no gap over 0.5 s"
    assert str(Budget(gap=0.5, at_least=10_000)) == phrase


@given(operations, budgets, st.lists(st.integers(0, 3), min_size=30, max_size=30))
def test_splitting_a_history_over_files_changes_nothing(
    seen: list[Operation], budget: Budget, files: list[int]
) -> None:
    with TemporaryDirectory() as name:
        writers = [HistoryWriter(directory=Path(name), name="w") for _ in range(4)]
        for operation, number in zip(seen, files, strict=False):
            writers[number].add(operation)
        for writer in writers:
            writer.close()
        merged = History.read(Path(name))
    assert judge(merged, subject="x", kind="lookup", budget=budget) == judged(*seen, budget=budget)


failures = st.builds(
    lookup,
    st.floats(0, 20),
    ok=st.sampled_from([False]),
    took=st.floats(0, 4),
    target=st.sampled_from(["udp", "tcp"]),
)


@given(operations, probes, budgets, failures)
def test_one_more_failure_never_improves_a_verdict(
    seen: list[Operation], marks: list[Mark], budget: Budget, failure: Operation
) -> None:
    before = judged(*seen, *marks, budget=budget)
    after = judged(*seen, *marks, failure, budget=budget)
    assert after.outcome >= before.outcome
    assert after.figures.failed == before.figures.failed + 1
    assert after.figures.gap >= before.figures.gap


@given(operations, budgets, st.integers(0, 10**12))
def test_when_it_happened_does_not_matter(
    seen: list[Operation], budget: Budget, shift: int
) -> None:
    moved = [replace(o, start_ns=o.start_ns + shift, end_ns=o.end_ns + shift) for o in seen]
    assert judged(*moved, budget=budget).outcome == judged(*seen, budget=budget).outcome


@given(operations, budgets)
def test_ok_means_within_the_budget(seen: list[Operation], budget: Budget) -> None:
    verdict = judged(*seen, budget=budget)
    if verdict.outcome is Outcome.OK:
        assert verdict.figures.failed + verdict.figures.undecided <= budget.failed
        assert budget.gap is None or verdict.figures.gap <= budget.gap
        assert verdict.figures.total > 0
        assert verdict.figures.succeeded >= budget.at_least
    else:
        assert verdict.reasons


def test_what_ended_early_failed_whatever_users_saw() -> None:
    early = broken_off("Step mail: what was done", KeyboardInterrupt())
    assert worst([judged(*steady(0, 10)), early]) is Outcome.FAIL
    assert early.reasons == ("it ended early: KeyboardInterrupt",)


def test_whoever_was_late_is_counted() -> None:
    late = [lookup(0, took=1.5), lookup(1, took=2.0), lookup(2), lookup(3, took=4.0, ok=False)]
    history = History.of(late)
    assert stalls(history, kind="lookup", seconds=1.0) == ("2 stalled, 2.0 s at most",)
    assert stalls(history, kind="lookup", seconds=3.0) == ()

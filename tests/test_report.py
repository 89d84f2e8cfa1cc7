"""The record: right shapes, honest words, nothing fetched, nothing unescaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.history import History, Mark, Operation
from lab.report.record import Run, failures, render, span
from lab.report.timeline import FLOOR, WIDTH, clock, timeline
from lab.verdict import Budget, judge

SECOND = 1_000_000_000
RUN = Run(
    title="DNS <moves> & stays",
    fleet="nordlys.example",
    started=datetime(2026, 11, 22, 17, 0, tzinfo=UTC),
    commit="d102940",
    engine="Docker",
    facts={"Milestone": "control"},
)


def lookup(start: float, *, ok: bool | None = True, took: float = 0.01, **more: str) -> Operation:
    return Operation(
        kind="lookup",
        start_ns=int(start * SECOND),
        end_ns=int((start + took) * SECOND),
        ok=ok,
        **{"target": "udp4", **more},
    )


def mark(kind: str, name: str, phase: str, at: float) -> Mark:
    return Mark(kind=kind, name=name, phase=phase, at_ns=int(at * SECOND))  # type: ignore[arg-type]


OUTAGE = History.of(
    [
        *(lookup(10 + n / 10) for n in range(100)),
        *(lookup(20 + n / 10, ok=False, took=3, what="a A", detail="gone") for n in range(50)),
        *(lookup(25 + n / 10) for n in range(100)),
        mark("probe", "udp4", "start", 10),
        mark("step", "dns", "start", 12),
        mark("step", "parent", "at", 15),
        mark("fault", "kill", "start", 20),
        mark("fault", "kill", "end", 25),
        mark("fault", "frost", "start", 30),
        mark("step", "dns", "end", 34),
        mark("probe", "udp4", "end", 35),
    ]
)


class Checked(HTMLParser):
    """Sees that every element is closed in its turn, and that nothing is fetched."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        """Open an element."""
        assert tag not in {"script", "link", "img", "iframe"}, tag
        assert not {"src", "href", "onclick"} & dict(attrs).keys()
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """See an element without content."""

    def handle_endtag(self, tag):
        """Close an element."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Collect what a person reads."""
        if self.open and self.open[-1] != "style":
            self.text += f"{data} "


def read(page: str) -> str:
    """Check a page and return its words."""
    checked = Checked()
    checked.feed(page)
    checked.close()
    assert checked.open == []
    assert "@import" not in page
    assert not re.search(r"url\(|https?://", page)
    return " ".join(checked.text.split())


def test_bands() -> None:
    bands = timeline(OUTAGE).bands
    told = [(b.number, b.kind, b.name, b.at, b.seconds, b.open) for b in bands]
    assert told == [
        (1, "step", "dns", 2, 22, False),
        (2, "step", "parent", 5, None, False),
        (3, "fault", "kill", 10, 5, False),
        (4, "fault", "frost", 20, 5, True),
    ]
    assert [(b.left, b.width) for b in bands] == [(8, 88), (20, 0), (40, 20), (80, 20)]


def test_lanes_show_the_failures_where_they_were() -> None:
    picture = timeline(OUTAGE)
    (chart,) = picture.charts
    (lane,) = chart.lanes
    assert (picture.seconds, chart.kind, chart.bin) == (25, "lookup", 0.5)
    assert lane.rate == pytest.approx(10)
    assert lane.gap == (pytest.approx(396.4), pytest.approx(204.0))
    starts = [float(x) for x in re.findall(r"M([\d.]+) ", lane.failed)]
    assert min(starts) == 400
    assert max(starts) == 580
    assert lane.undecided == ""


def test_ticks() -> None:
    assert timeline(OUTAGE).ticks == tuple((n * 20, f"{n * 5} s") for n in range(6))
    assert [clock(s) for s in (0.5, 45, 125, 3605)] == ["0.5 s", "45 s", "2:05", "1:00:05"]
    assert [span(s) for s in (0.004, 0.1, 5.2, 125)] == ["4 ms", "0.10 s", "5.20 s", "2:05"]


def test_the_page() -> None:
    verdicts = [
        judge(OUTAGE, subject="Look-ups", kind="lookup", budget=Budget(gap=1, at_least=100)),
        judge(OUTAGE, subject="Requests", kind="request", budget=Budget()),
    ]
    words = read(render(RUN, history=OUTAGE, verdicts=verdicts))
    for said in (
        "DNS <moves> & stays",
        "✗ Failed",
        "22 November 2026, 17:00 UTC",
        "Commit d102940",
        "Milestone control",
        "50 failed, 0 allowed",
        "nothing succeeded for 5.10 s at udp4, 1 s allowed",
        "at most 0 failed of at least 100, no gap over 1 s",
        "nothing was seen",
        "fault kill for 5.00 s",
        "never ended",
        "gone a A 10.0 s 14.9 s",
    ):
        assert said in words, said


def test_nothing_seen_is_unknown() -> None:
    words = read(render(RUN, history=History(), verdicts=[]))
    assert "? Unknown" in words
    assert "Nothing was judged, so nothing is known." in words


def test_a_passed_run_has_no_list_of_failures() -> None:
    history = History.of(lookup(n / 10) for n in range(100))
    verdict = judge(history, subject="Look-ups", kind="lookup", budget=Budget())
    words = read(render(RUN, history=history, verdicts=[verdict]))
    assert "✓ Passed" in words
    assert "What users were told" not in words


def test_failures_are_grouped() -> None:
    history = History.of(
        [
            *(lookup(n, ok=False, detail="refused", what=f"{n % 2} A") for n in range(5)),
            lookup(9, ok=None),
        ]
    )
    told = [(r.count, r.text, r.asked, r.first, r.last) for r in failures(history)]
    assert told == [
        (5, "refused", ("0 A", "1 A"), 0, 4),
        (1, "no reason given", (), 9, 9),
    ]


@given(
    st.lists(
        st.builds(
            lookup,
            st.floats(0, 100),
            ok=st.sampled_from([True, False, None]),
            took=st.floats(0, 5),
            target=st.text("<&\"'ab", max_size=3),
            detail=st.text("<&\"'ab", max_size=3),
        ),
        max_size=20,
    ),
    st.lists(
        st.builds(
            mark,
            st.sampled_from(["fault", "step"]),
            st.text("<&ab", max_size=3),
            st.sampled_from(["start", "end", "at"]),
            st.floats(0, 100),
        ),
        max_size=6,
    ),
)
def test_any_history_makes_a_sound_page(seen: list[Operation], marks: list[Mark]) -> None:
    history = History.of([*seen, *marks])
    read(render(RUN, history=history, verdicts=[]))
    for chart in timeline(history).charts:
        for lane in chart.lanes:
            for path in (lane.done, lane.failed, lane.undecided):
                for x, y, w, h in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h", path):
                    assert 0 <= float(x) + float(w) <= WIDTH + 0.2
                    assert 0 <= float(y) + float(h) <= FLOOR + 0.2

"""The page on availability is written from data, and says so where there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab.milestones import PROJECT
from lab.pair import power, published
from lab.pair.matrix import matrix
from lab.pair.measured import FILE, Measured, MeasuredError, Saw, kept, latest
from lab.pair.page import PATH, page
from lab.verdict import Figures, Outcome, Verdict

CELLS = matrix()
POWER = next(cell for cell in CELLS if cell.name == "power-loss-oslo")
MEASURED = Measured(
    name=POWER.name,
    strikes=POWER.strikes,
    budget=str(POWER.cost),
    commit="2529412",
    at=datetime(2026, 11, 29, 17, 40, tzinfo=UTC),
    seconds=93.4,
    saws=(
        Saw(what="look-ups", outcome="ok", total=4_210, gap=1.21, resolution=0.4, slowest=2.1),
        Saw(what="visits at one address", outcome="ok", total=900, failed=31, gap=21.4),
        Saw(what="mail", outcome="fail", total=80, failed=1, reasons=("1 lost: gp-1",)),
        Saw(what="alike again", outcome="ok", total=1, slowest=7.31),
    ),
)


def test_without_data_the_page_says_so() -> None:
    assert "Nothing has been measured yet" in page(CELLS, [])


def test_the_page_in_the_tree_is_what_the_data_in_the_tree_say() -> None:
    text = (PROJECT / PATH).read_text(encoding="utf-8")
    losses = power.latest([PROJECT / power.PATH])
    assert text == page(CELLS, published.read(PROJECT / published.PATH), losses)


def test_a_cell_is_a_line_of_figures() -> None:
    assert (
        "| oslo loses power for 20 s | fail | 0 of 4,210, gap 1.2 s | - "
        "| 31 of 900, gap 21.4 s | 1 of 80 | - | 7.3 s | - |" in page(CELLS, [MEASURED])
    )


def test_what_was_not_measured_is_named() -> None:
    text = page(CELLS, [MEASURED])
    assert "Not measured yet: power-loss-bergen, frozen-oslo" in text
    assert "Measured with the tree 2529412." in text


def test_details_have_the_budget_and_the_reasons() -> None:
    text = page(CELLS, [MEASURED])
    assert f"Budget: {POWER.cost}." in text
    assert "**fail**, 2026-11-29 17:40 UTC, tree 2529412." in text
    assert "| mail | fail | 1 of 80 | - | - | - | 1 lost: gp-1 |" in text


def test_game_days_are_summed_up_and_are_no_cells() -> None:
    rounds = [replace(MEASURED, name=f"game-day-7-round-{n}", day="7") for n in (1, 2)]
    text = page(CELLS, rounds)
    assert "| 7 | 2 | 3 | fail | 2529412 |" in text
    assert "### game-day" not in text


def test_of_each_name_the_latest_counts() -> None:
    later = replace(MEASURED, at=datetime(2026, 11, 30, tzinfo=UTC))
    assert latest([later, MEASURED]) == {POWER.name: later}


def test_the_latest_of_each_cell_is_published_and_nothing_that_is_no_cell() -> None:
    later = replace(MEASURED, at=datetime(2026, 11, 30, tzinfo=UTC))
    other = replace(MEASURED, name="a cell that was")
    assert published.chosen([POWER.name], [later, MEASURED, other]) == [later]


def test_of_game_days_the_one_that_began_last_is_published() -> None:
    def days(day: str, *hours: int) -> list[Measured]:
        return [
            replace(
                MEASURED,
                name=f"game-day-{day}-round-{number}",
                day=day,
                at=datetime(2026, 11, 30, hour, tzinfo=UTC),
            )
            for number, hour in enumerate(hours, start=1)
        ]

    first, other, again = days("7", 1, 2, 3), days("8", 4, 5), days("7", 6, 7)
    assert published.last_day([*again, *first, *other]) == again
    assert published.last_day([*first, *other]) == other
    assert published.last_day([]) == []


def test_what_was_published_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "availability.jsonl"
    assert published.read(path) == []
    published.write(path, [MEASURED, MEASURED])
    assert published.read(path) == [MEASURED, MEASURED]
    path.write_text('{"name": "half a')
    with pytest.raises(MeasuredError, match=r"availability\.jsonl: cannot be read"):
        published.read(path)


def test_the_worst_that_anybody_saw_is_the_outcome_and_nothing_seen_is_unknown() -> None:
    assert MEASURED.outcome is Outcome.FAIL
    assert MEASURED.reasons == ("mail: 1 lost: gp-1",)
    assert replace(MEASURED, saws=()).outcome is Outcome.UNKNOWN
    assert not replace(MEASURED, saws=()).passed


def test_it_is_kept_beside_the_record_and_read_again(tmp_path: Path) -> None:
    directory = tmp_path / "20261129-174000-oslo-loses-power"
    directory.mkdir()
    MEASURED.keep(directory)
    assert kept(tmp_path) == [MEASURED]


def test_what_is_no_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE).write_text("{}")
    with pytest.raises(MeasuredError, match=r"run/trial\.json: cannot be read"):
        kept(tmp_path)


def test_a_verdict_is_kept_under_what_it_is_about() -> None:
    verdict = Verdict(
        subject="oslo loses power for 20 s: imap",
        outcome=Outcome.OK,
        figures=Figures(total=7, gap=1.23456),
    )
    assert Saw.of(verdict) == Saw(what="imap", outcome="ok", total=7, gap=1.235)
    assert Saw.of(replace(verdict, subject="oslo loses power for 20 s")).what == "look-ups"


LOSSES = power.PowerLosses(
    measured=MEASURED,
    machine="oslo is virtual: 2 cores, 1024 MB",
    cuts=(
        power.Cut(accepted=1_021, booted=41.2, served=7.9),
        power.Cut(accepted=7, booted=40.0, served=8.0, damaged="EXT4-fs error"),
    ),
)


def test_what_a_disk_had_kept_is_a_table() -> None:
    text = page(CELLS, [MEASURED], LOSSES)
    assert "| 1 | 1,021 | 41 s | 8 s | nothing |\n| 2 | 7 | 40 s | 8 s | EXT4-fs error |" in text
    assert "oslo is virtual: 2 cores, 1024 MB. **fail**" in text
    assert "1 of 80 mail" in text


def test_of_several_runs_of_power_losses_the_latest_counts(tmp_path: Path) -> None:
    later = replace(LOSSES, measured=replace(MEASURED, at=datetime(2026, 11, 30, tzinfo=UTC)))
    paths = [tmp_path / "a.json", tmp_path / "b.json", tmp_path / "missing.json"]
    later.write(paths[0])
    LOSSES.write(paths[1])
    assert power.latest(paths) == later
    assert power.latest(paths[2:]) is None


def test_a_file_that_is_no_run_of_power_losses_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(MeasuredError, match="cannot be read"):
        power.latest([tmp_path / "a.json"])


def test_a_round_that_was_published_and_lies_here_as_well_counts_once() -> None:
    rounds = [replace(MEASURED, name=f"game-day-7-round-{n}", day="7") for n in (1, 2)]
    assert published.chosen([], [*rounds, *rounds]) == rounds

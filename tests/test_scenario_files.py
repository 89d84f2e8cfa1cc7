"""Which scenarios must have passed, by their source alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.promote import scenario_files
from lab.promote.scenario_files import (
    ScenarioFile,
    ScenarioFilesError,
    needed,
    scenarios_in,
)

PROJECT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def test_a(): ...\ndef helper(): ...\n", {"test_a": 1}),
        ("@pytest.mark.slow\ndef test_a(): ...\n", {}),
        ("@pytest.mark.slow('why')\ndef test_a(): ...\n", {}),
        ("pytestmark = [pytest.mark.x, pytest.mark.slow]\ndef test_a(): ...\n", {}),
        ("@pytest.mark.usefixtures('slow')\ndef test_a(): ...\n", {"test_a": 1}),
        ("@mark.parametrize('a', [1, 2])\ndef test_a(a): ...\n", {"test_a": 1}),
        ("@pytest.mark.parametrize('a', [1, 2])\ndef test_a(a): ...\n", {"test_a": 2}),
        (
            (
                "@pytest.mark.parametrize('a', [1])\n@pytest.mark.parametrize('b', (1, 2))\n"
                "@pytest.mark.parametrize(argnames='c', argvalues=[1, 2, 3])\ndef test_a(): ...\n"
            ),
            {"test_a": 6},
        ),
        ("@pytest.mark.parametrize('a', range(3))\ndef test_a(a): ...\n", {"test_a": 1}),
        (
            (
                "@pytest.mark.parametrize('a', [1, pytest.param(2, marks=pytest.mark.slow)])\n"
                "def test_a(a): ...\n"
            ),
            {"test_a": 1},
        ),
        (
            (
                "@pytest.mark.parametrize('a', [pytest.param(2, marks=[pytest.mark.slow])])\n"
                "def test_a(a): ...\n"
            ),
            {},
        ),
        ("class TestIt:\n    def test_a(self): ...\n", {"TestIt::test_a": 1}),
    ],
)
def test_it_finds_what_is_not_slow(source: str, expected: dict[str, int]) -> None:
    assert scenarios_in(source) == expected


def test_the_projects_own_are_found() -> None:
    found = {file.path: dict(file.tests) for file in scenario_files.read(PROJECT)}
    assert found["scenarios/test_step_control.py"]["test_a_second_run_changes_nothing"] == 2
    assert (
        "test_interrupted_anywhere_it_goes_back_from_there"
        not in (found["scenarios/test_step_dns.py"])
    )
    assert "scenarios/test_lab.py" not in found


def test_every_step_needs_a_file_and_a_failure_only_where_there_is_one() -> None:
    there = [
        ScenarioFile(path=f"scenarios/test_{name}.py", sha256="", tests=())
        for name in ("step_control", "failover_dns", "failover_web")
    ]
    assert needed(["control", "dns"], there) == [
        "scenarios/test_step_control.py",
        "scenarios/test_step_dns.py",
        "scenarios/test_failover_dns.py",
    ]


def test_a_file_that_is_not_python_is_said(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/test_step_x.py").write_text("def (")
    with pytest.raises(ScenarioFilesError, match=r"test_step_x\.py"):
        scenario_files.read(tmp_path)

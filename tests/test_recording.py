"""Every run of scenarios leaves a signed statement, and no run is hidden by it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from promotion import STEP, Checkout

from lab.promote.recording import after_phase
from lab.promote.signing import KEY_VARIABLE
from lab.promote.statement import Statement, Verdict

PROJECT = Path(__file__).resolve().parent.parent

CONFTEST = """
from pathlib import Path
import pytest
from lab.promote.recording import Recorder
from lab.promote.statement import Surroundings
from lab.verdict import Figures, Outcome, Verdict

HERE = Path(__file__).parent.parent
RECORDER = Recorder(repository=HERE, surroundings=lambda: Surroundings(fleet="small"))
LOOK_UPS = Verdict(subject="DNS moves", outcome=Outcome.OK, figures=Figures(total=7, gap=0.12345))

def pytest_configure(config):
    config.pluginmanager.register(RECORDER)

@pytest.fixture(scope="session")
def lab():
    RECORDER.begin()
    yield
    print("the lab is down")

@pytest.fixture
def users():
    RECORDER.hear(LOOK_UPS)
"""

SCENARIOS = """
import pytest
pytestmark = pytest.mark.usefixtures("lab")

def test_passes(users, record_property):
    record_property("memory_mb", 905)

def test_fails():
    assert False, "the reason"

@pytest.mark.skip
def test_skipped():
    pass

@pytest.fixture
def broken():
    yield
    raise RuntimeError("not taken down")

def test_not_taken_down(broken):
    pass

@pytest.fixture
def never_ready():
    raise RuntimeError("not ready")

def test_not_ready(never_ready):
    pass

def test_interrupted():
    raise KeyboardInterrupt

def test_never_reached():
    pass

def test_changes_the_tree():
    from conftest import HERE
    (HERE / "fleet.yaml").write_text("name: other")
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(checkout: Checkout, tmp_path: Path) -> Run:
    """Return a function that runs scenarios as a person would."""
    (checkout.path / "scenarios/conftest.py").write_text(CONFTEST)
    checkout.change(STEP, SCENARIOS)
    (checkout.path / "pytest.ini").touch()

    def pytest_there(*options: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, STEP],
            cwd=checkout.path,
            env=os.environ
            | {
                "PYTHONPATH": str(PROJECT),
                "PYTHONDONTWRITEBYTECODE": "1",
                "XDG_STATE_HOME": str(tmp_path / "state"),
                KEY_VARIABLE: str(key or checkout.signer.key),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return pytest_there


@pytest.fixture
def statements(tmp_path: Path) -> Callable[[], list[Statement]]:
    """Return a function that reads what was recorded."""

    def read() -> list[Statement]:
        paths = (tmp_path / "state/generalprove/evidence").glob("*.json")
        return [Statement.decode(path.read_bytes()) for path in sorted(paths)]

    return read


Statements = Callable[[], list[Statement]]


def test_a_run_that_was_interrupted_says_what_ran(run: Run, statements: Statements) -> None:
    done = run()
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("evidence: ")]
    (statement,) = statements()
    assert Path(said.removeprefix("evidence: ")).is_file()
    assert {one.test: str(one.verdict) for one in statement.results} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_skipped": "skipped",
        "test_not_taken_down": "failed",
        "test_not_ready": "failed",
        "test_interrupted": "unfinished",
    }
    passed = statement.results[0]
    assert passed.scenario == f"{STEP}::test_passes"
    assert passed.figures["memory_mb"] == 905
    assert passed.figures["DNS moves"] == {
        "outcome": "ok",
        "reasons": [],
        "budget": "",
        "total": 7,
        "failed": 0,
        "undecided": 0,
        "gap": 0.123,
        "cadence": 0.0,
        "resolution": 0.0,
        "slowest": 0.0,
    }
    assert "DNS moves" not in statement.results[1].figures
    assert statement.surroundings.fleet == "small"
    (step,) = [file for file in statement.files if file.path == STEP]
    assert "test_never_reached" in dict(step.tests)


def test_the_statement_is_made_when_all_is_taken_down(run: Run) -> None:
    said = run("-s", "-k", "passes").stdout
    assert said.index("the lab is down") < said.index("evidence: ")


def test_without_a_scenario_nothing_is_recorded(run: Run, statements: Statements) -> None:
    for options in (["-k", "nothing"], ["--collect-only"]):
        assert "evidence" not in run(*options).stdout
    assert statements() == []


def test_without_a_key_the_results_are_shown_all_the_same(
    run: Run, statements: Statements, tmp_path: Path
) -> None:
    done = run("-k", "passes or fails", key=tmp_path / "no-key")
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "no evidence of this run: ssh-keygen: " in done.stdout
    assert statements() == []


def test_a_key_that_may_not_sign_yet_is_told_at_once(run: Run, checkout: Checkout) -> None:
    said = run("-k", "passes", key=checkout.stranger.key).stdout
    assert "signed by nobody who may: `./invoke evidence` has the line to add" in said


def test_a_tree_that_changes_meanwhile_is_not_vouched_for(run: Run, statements: Statements) -> None:
    done = run("-k", "changes_the_tree")
    assert done.returncode == 0
    assert "no evidence of this run: the tree was changed" in done.stdout
    assert statements() == []


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        (["passed", "passed", "passed"], Verdict.PASSED),
        (["passed", "failed", "passed"], Verdict.FAILED),
        (["passed", "passed", "failed"], Verdict.FAILED),
        (["failed", "", "passed"], Verdict.FAILED),
        (["skipped", "", "passed"], Verdict.SKIPPED),
        (["passed", "", "passed"], Verdict.UNFINISHED),
    ],
)
def test_only_what_was_taken_down_well_has_passed(outcomes: list[str], verdict: Verdict) -> None:
    state = Verdict.UNFINISHED
    for phase, outcome in zip(("setup", "call", "teardown"), outcomes, strict=True):
        if outcome:
            state = after_phase(state, phase, outcome)
    assert state is verdict

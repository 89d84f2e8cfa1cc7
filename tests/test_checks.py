"""Which scenarios are run where."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import checks
from lab.checks import Check


@pytest.fixture
def argv(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the command that would have been run."""
    found: list[str] = []

    def note(run: Sequence[Check]) -> None:
        for check in run:
            found.extend(check.argv)

    monkeypatch.setattr(checks, "run", note)
    return found


@pytest.mark.parametrize("there", [["vagrant"], ["virsh"], []])
def test_without_vagrant_and_libvirt_no_virtual_machine_is_tried_and_it_is_said(
    argv: list[str],
    there: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(tmp_path, monkeypatch, *there)
    checks.scenarios(slow=True)
    assert argv[argv.index("-m", 2) + 1] == "not virtual"
    assert "no virtual machine is tried" in "".join(capsys.readouterr())


def test_with_both_all_are_run(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "vagrant", "virsh")
    checks.scenarios(slow=True)
    assert "-m" not in argv[2:]


def test_continuous_integration_runs_what_is_not_slow(argv: list[str]) -> None:
    checks.scenarios(slow=False)
    assert argv[argv.index("-m", 2) + 1] == "not slow"


def install(directory: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let only these programs be found."""
    monkeypatch.setenv("PATH", str(directory))
    for name in names:
        (directory / name).touch(mode=0o755)

"""Commands end with one clear line and an exit code that means something."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.context import Context

from lab.cli import command
from lab.errors import Exit

PROJECT = Path(__file__).resolve().parent.parent


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("invoke"))
    return subprocess.run(
        [program, *argv], cwd=PROJECT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["fleet-check"], 0, "oslo, bergen, tromso"),
        (["step", "dns", "--on", "mars"], 2, "Say --on lab or --on production"),
        (["lab-up", "--lab", "Not A Name"], 3, "cannot be a lab's name"),
    ],
)
def test_a_command_says_what_is_wrong_in_one_line(argv: list[str], code: int, says: str) -> None:
    done = run(*argv)
    assert done.returncode == code
    said = done.stdout + done.stderr
    assert says in said
    assert "Traceback" not in said


def test_a_traceback_is_shown_on_demand() -> None:
    done = run("lab-up", "--lab", "Not A Name", "--debug")
    assert done.returncode == 3
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("name", ["lab-up", "lab-status", "rehearse", "step", "test", "bench"])
def test_help_has_an_example(name: str) -> None:
    assert f"./invoke {name}" in run("--help", name).stdout


def test_whoever_is_told_to_end_heals_what_they_broke() -> None:
    healed: list[bool] = []

    @command()
    def breaks(_: Context) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            healed.append(True)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        breaks(Context())
    assert ended.value.code == Exit.INTERRUPTED
    assert healed == [True]
    assert signal.getsignal(signal.SIGTERM) == before

"""Virtual machines where libvirt does not answer, and what is left of them on the disk."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from lab.console import SilentReporter
from lab.engine import choice
from lab.engine.base import EngineError, State
from lab.engine.disks import Disks
from lab.engine.vagrant import VagrantEngine

SILENT = """#!/bin/sh
echo 'error: failed to connect to the hypervisor' >&2
exit 1
"""
LISTING = """#!/bin/sh
echo "$*" >>"$0.asked"
case $* in
    *' list --all') printf ' 1    gp-second-oslo   %s\\n' "${STATE:-running}" ;;
    *' pool-info '*) exit 1 ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory whose programs are found first."""
    found = tmp_path / "bin"
    found.mkdir()
    monkeypatch.setenv("PATH", f"{found}:/usr/bin:/bin")
    return found


def program(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)


def engine(directory: Path) -> VagrantEngine:
    disks = Disks(client=cast(Any, None), report=SilentReporter(), directory=directory / "disks")
    return VagrantEngine(lab="second", disks=disks, hosts=["oslo"])


def made(directory: Path, name: str = "oslo") -> Path:
    """Lay out what there is of a machine that was made."""
    found = directory / "disks" / "labs" / "second" / name
    found.mkdir(parents=True)
    plan = {"machines": {name: {"driver": "qemu", "cpus": 2, "memory": 1024}}}
    (found / "plan.json").write_text(json.dumps(plan))
    return found


def test_what_libvirt_would_have_to_remove_is_named(tmp_path: Path, programs: Path) -> None:
    program(programs, "virsh", SILENT)
    directory = made(tmp_path)
    with pytest.raises(EngineError) as told:
        engine(tmp_path).sweep()
    assert str(told.value).startswith("lab second: oslo cannot be removed: libvirt does not answer")
    assert "start-libvirt" in str(told.value)
    assert "lab-down --lab second" in str(told.value)
    assert "\n" not in str(told.value)
    assert directory.exists()


def test_where_nothing_was_made_nobody_needs_libvirt(tmp_path: Path, programs: Path) -> None:
    program(programs, "virsh", SILENT)
    engine(tmp_path).sweep()
    assert engine(tmp_path).states() == {}


def test_a_machine_that_lost_its_directory_is_removed_as_well(
    tmp_path: Path, programs: Path
) -> None:
    program(programs, "virsh", LISTING)
    engine(tmp_path).sweep()
    asked = (programs / "virsh.asked").read_text()
    assert "destroy gp-second-oslo" in asked
    assert "undefine gp-second-oslo" in asked


def test_one_whose_making_was_cut_short_does_not_count(tmp_path: Path, programs: Path) -> None:
    program(programs, "virsh", LISTING)
    made(tmp_path)
    (made(tmp_path, "bergen") / "plan.json").unlink()
    assert engine(tmp_path).states() == {"oslo": State.RUNNING}
    with pytest.raises(EngineError, match="there is no such machine"):
        engine(tmp_path).run("bergen", ["true"])


def test_one_that_may_be_frozen_counts_as_frozen(tmp_path: Path, programs: Path) -> None:
    program(programs, "virsh", LISTING)
    (made(tmp_path) / "frozen").touch()
    assert engine(tmp_path).states() == {"oslo": State.FROZEN}
    with pytest.raises(EngineError, match="the machine is frozen"):
        engine(tmp_path).run("oslo", ["true"])


def test_its_limits_are_told(tmp_path: Path) -> None:
    made(tmp_path)
    assert engine(tmp_path).limits() == "oslo is virtual: 2 cores, 1024 MB, emulated"


def test_a_lab_whose_notes_are_lost_is_known_by_its_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENERALPROVE_DISKS", str(tmp_path / "disks"))
    assert choice.found("second") == {}
    made(tmp_path)
    assert choice.found("second") == {"oslo": "vagrant"}

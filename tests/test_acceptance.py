"""Evidence reaches the control host as it is, and its answer is understood."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from promotion import Checkout, tamper

from lab.operator.control_host import _REMOVE
from lab.operator.puppet import Puppet
from lab.operator.ssh import Result
from lab.promote.acceptance import (
    PROGRAM,
    Acceptance,
    AcceptanceCheckError,
    AcceptanceError,
)
from lab.promote.journal import DIRECTORY

PROFILE = Path(__file__).parents[1] / "puppet/site/profile/manifests/promotion.pp"


class Here:
    """Runs scripts on this machine; programs answer as they are told."""

    def __init__(self, *, code: int = 0, stdout: str = "", stderr: str = "") -> None:
        self.answer = Result(host="tromso", command="", code=code, stdout=stdout, stderr=stderr)
        self.asked: list[object] = []

    def run(self, host: str, command: object, *, stdin: bytes = b"", check: bool = True) -> Result:
        """Run a script here, or note the command."""
        assert host == "tromso"
        if isinstance(command, str):
            subprocess.run(["sh", "-ec", command], input=stdin, check=check)
        else:
            self.asked.append(command)
        return self.answer


def acceptance(here: Here, state: Path) -> Acceptance:
    puppet = cast("Puppet", SimpleNamespace(ssh=here, control="tromso"))
    return Acceptance(puppet=puppet, state=str(state))


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_good_evidence_is_brought_and_nothing_else(checkout: Checkout, tmp_path: Path) -> None:
    good = checkout.show()
    tamper(checkout.show(), "8.10.0", "8.99.0")
    checkout.show(signer=checkout.stranger)
    acceptance(Here(), tmp_path / "state").offer("abc", checkout.stored())
    there = tmp_path / "state/evidence/abc"
    assert names(there) == {good.name, f"{good.name}.sig"}
    assert (there / good.name).read_bytes() == good.read_bytes()
    assert there.stat().st_mode & 0o007 == 0


def test_offered_again_it_is_replaced(checkout: Checkout, tmp_path: Path) -> None:
    it = acceptance(Here(), tmp_path / "state")
    checkout.show()
    stored = checkout.stored()
    it.offer("abc", stored)
    it.offer("abc", [])
    assert names(tmp_path / "state/evidence") == {"abc"}
    assert names(tmp_path / "state/evidence/abc") == set()


def test_an_accepted_release_is_accepted(tmp_path: Path) -> None:
    here = Here()
    acceptance(here, tmp_path).judge("abc")
    assert here.asked == [[PROGRAM, "abc"]]


def test_a_refusal_says_why(tmp_path: Path) -> None:
    here = Here(code=1, stdout="test_a: not shown\ntest_b: not shown\n")
    with pytest.raises(
        AcceptanceCheckError, match=r"tromso: .*test_a: not shown \(and 1 more\)"
    ) as e:
        acceptance(here, tmp_path).judge("abc")
    assert e.value.reasons == ("test_a: not shown", "test_b: not shown")


@pytest.mark.parametrize(
    ("code", "stderr", "says"),
    [
        (3, "cannot judge: no stage\n", "cannot judge: no stage"),
        (127, "sh: not found\n", "there is no /usr/local/sbin/generalprove-accept"),
        (1, "Traceback\nNameError: x\n", "NameError"),
        (-9, "", "exited with -9"),
    ],
)
def test_whoever_cannot_tell_has_not_refused(
    tmp_path: Path, code: int, stderr: str, says: str
) -> None:
    with pytest.raises(AcceptanceError, match=says):
        acceptance(Here(code=code, stderr=stderr), tmp_path).judge("abc")


def test_what_the_profile_puts_there_is_taken_away_with_the_step() -> None:
    text = PROFILE.read_text()
    removed = _REMOVE.split()
    assert f"'{DIRECTORY}'" in text
    assert f"'{PROGRAM}'" in text
    assert {PROGRAM, "/etc/generalprove", "/var/lib/generalprove"} <= set(removed)

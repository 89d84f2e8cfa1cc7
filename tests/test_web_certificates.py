"""The script that asks for certificates, with an authority that may have lost the account."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "puppet/site/profile/files/web/web-certificates"
DEHYDRATED = """\
#!/bin/sh
echo "$1" >>asked
case $1 in
--register) echo '{}' >account.json; echo '{}' >account_id.json ;;
--cron)
    [ "$(grep -c -- --cron asked)" -gt "${FAILING:-0}" ] && exit
    echo "urn:ietf:params:acme:error:$ERROR" >&2
    exit 1
    ;;
esac
"""


@pytest.fixture
def asked(tmp_path: Path):
    program = tmp_path / "dehydrated"
    program.write_text(DEHYDRATED)
    program.chmod(0o755)

    def ask(*, known: bool, failing: int = 0, error: str = "") -> tuple[list[str], int, str]:
        if known:
            (tmp_path / "account.json").write_text("{}")
            (tmp_path / "account_id.json").write_text("{}")
        path = f"{tmp_path}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", SCRIPT, "account"],
            cwd=tmp_path,
            env={"PATH": path, "FAILING": str(failing), "ERROR": error},
            check=False,
            capture_output=True,
            text=True,
        )
        return (tmp_path / "asked").read_text().split(), done.returncode, done.stdout

    return ask


def test_a_key_is_registered_once(asked) -> None:
    assert asked(known=False) == (["--register", "--cron"], 0, "")
    assert asked(known=True) == (["--register", "--cron", "--cron"], 0, "")


def test_a_lost_account_is_registered_again(asked) -> None:
    asks, code, said = asked(known=True, failing=1, error="accountDoesNotExist")
    assert (asks, code) == (["--cron", "--register", "--cron"], 0)
    assert "accountDoesNotExist" in said


def test_whatever_else_fails_fails(asked) -> None:
    asks, code, said = asked(known=True, failing=1, error="unauthorized")
    assert (asks, code) == (["--cron"], 1)
    assert "unauthorized" in said


def test_an_account_that_stays_lost_is_not_asked_for_for_ever(asked) -> None:
    asks, code, _ = asked(known=True, failing=9, error="accountDoesNotExist")
    assert (asks, code) == (["--cron", "--register", "--cron"], 1)

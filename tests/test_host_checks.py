"""Which checks a host gets."""

from __future__ import annotations

from pathlib import Path

from lab.promote.host_checks import CHECKS, PROJECT, files


def test_a_host_gets_what_fits_its_role_and_stage(tmp_path: Path) -> None:
    directory = tmp_path / CHECKS
    directory.mkdir(parents=True)
    for name in ("base", "production", "production_dns", "production_web", "control"):
        (directory / f"{name}.py").touch()
    found = files("production", reached=["control", "dns"], project=tmp_path)
    assert found == [f"{CHECKS}/{name}.py" for name in ("base", "production", "production_dns")]


def test_every_host_has_checks() -> None:
    assert files("production", reached=["control", "dns"]) == [
        f"{CHECKS}/base.py",
        f"{CHECKS}/production_dns.py",
    ]
    assert (PROJECT / CHECKS / "control.py").is_file()

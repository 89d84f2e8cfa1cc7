"""Whether the first step may start, from what the hosts say of themselves."""

from __future__ import annotations

import re

import pytest

from lab.steps.control import problems

NAME = "tromso.lab.nordlys.example"
FIT = {"system": "debian-13", "memory_mb": "1990", "disk_mb": "90000", "authority": ""}


def found(role: str = "control", **facts: str) -> list[str]:
    return problems(FIT | facts, certname=NAME, role=role)


def test_a_bare_host_will_do() -> None:
    assert found() == []


def test_so_will_one_that_was_begun() -> None:
    assert found(authority=f"puppetboard.lab.nordlys.example.pem {NAME}.pem ") == []


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"system": "debian-12"}, "Debian 13 is needed, not debian-12"),
        ({"memory_mb": "990"}, "1800 memory in MB are needed, there are 990"),
        ({"disk_mb": "1200"}, "4000 disk in MB are needed, there are 1200"),
        ({"authority": "puppet.elsewhere.example.pem"}, "authority of others .* puppet.elsewhere"),
    ],
)
def test_what_does_not_fit_is_said(facts: dict[str, str], said: str) -> None:
    (problem,) = found(**facts)
    assert re.search(said, problem)


def test_another_host_needs_no_room() -> None:
    assert found(role="production", memory_mb="512", disk_mb="900") == []


def test_a_host_that_says_nothing_is_not_fit() -> None:
    assert len(problems({}, certname=NAME, role="control")) == 3

"""Every reason not to start names its remedy."""

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from lab.engine.base import EngineCheckError
from lab.preflight import Facts, check, look, problems

FIT = Facts(inotify=1024, disk_mb=50_000, memory_mb=8_000, routes=(), tun=True)


def test_a_fit_machine_has_no_problems() -> None:
    assert problems(FIT, machines=8) == []


@pytest.mark.parametrize(
    ("facts", "remedy"),
    [
        (replace(FIT, inotify=32), "sysctl -w fs.inotify.max_user_instances"),
        (replace(FIT, disk_mb=100), "docker image prune"),
        (replace(FIT, memory_mb=100), "lab-down --lab"),
        (replace(FIT, tun=False), "modprobe tun"),
        (replace(FIT, routes=[IPv4Network("198.18.8.0/24")]), "fleet.yaml"),
    ],
)
def test_a_problem_names_its_remedy(facts: Facts, remedy: str) -> None:
    (problem,) = problems(facts, machines=8)
    assert remedy in problem


def test_more_machines_need_more_inotify_instances() -> None:
    facts = replace(FIT, inotify=128)
    assert problems(facts, machines=8) == []
    assert problems(facts, machines=30)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(EngineCheckError, match=r"disk.*tun") as told:
        check(replace(FIT, disk_mb=1, tun=False), machines=8)
    assert "\n" not in str(told.value)


def test_this_machine_can_be_looked_at() -> None:
    found = look(places=(Path("/nonexistent"), Path("/")))
    assert found.disk_mb > 0
    assert found.memory_mb > 0

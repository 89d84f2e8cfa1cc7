"""What every scenario holds in its hand: a lab at a milestone, users, faults, a record.

The scenarios have a lab of their own (``--lab``, default ``scenarios``), so that they never
touch the one a person works in. It is taken down at the end; its milestones stay, so the next
run starts where this one was.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from forgetting import forgotten
from standin import StandIn

from lab.console import TerminalReporter
from lab.engine import choice
from lab.fleet import Fleet
from lab.lab import Lab
from lab.milestones import PROJECT, Milestones
from lab.operate import in_lab
from lab.operator import Operator
from lab.operator.puppet import TREE
from lab.promote.recording import Recorder
from lab.puppet_modules import PuppetModules, fetch_by_apt
from lab.rehearsal import Rehearsed, chain, reach, under_load
from lab.steps import STEPS, step_class
from lab.surroundings import Surveyor
from lab.verdict import Budget
from lab.watch import listening

SURVEYOR = pytest.StashKey[Surveyor]()
RECORDER = pytest.StashKey[Recorder]()
LAB = pytest.StashKey[Lab]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the scenarios' own options."""
    group = parser.getgroup("lab")
    group.addoption("--lab", default="scenarios", help="name of the lab (default: %(default)s)")
    group.addoption("--keep", action="store_true", help="leave the lab up at the end")


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach the commands that scenarios start, and keep what they show as evidence.

    A runner started in the background by a shell ignores Ctrl-C, and would hand that down.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    surveyor = Surveyor()
    recorder = Recorder(repository=PROJECT, surroundings=surveyor.surroundings)
    config.stash[SURVEYOR], config.stash[RECORDER] = surveyor, recorder
    config.pluginmanager.register(recorder)
    listening_all_along = ExitStack()
    listening_all_along.enter_context(listening(recorder.hear))
    config.add_cleanup(listening_all_along.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the lab's own scenarios first, then the steps in their order, then the rest.

    Each step's scenario leaves the milestone that the next one starts from.
    """
    order = [
        "test_lab",
        "test_world",
        "test_legacy",
        "test_mail_users",
        *(f"test_step_{step.name}" for step in STEPS),
    ]

    def place(item: pytest.Item) -> int:
        return order.index(item.path.stem) if item.path.stem in order else len(order)

    items.sort(key=place)


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """Return the scenarios' lab, locked for as long as they run."""
    report = TerminalReporter()
    it = Lab(name=pytestconfig.getoption("lab"), fleet=Fleet.load(), report=report)
    with it.store.locked("pytest scenarios"):
        PuppetModules(repository=TREE, fetch=fetch_by_apt(report=report), report=report).ensure()
        pytestconfig.stash[RECORDER].begin()
        pytestconfig.stash[LAB] = it
        yield it
        if not pytestconfig.getoption("keep"):
            it.down()


@pytest.fixture(scope="module", autouse=True)
def surveyed(pytestconfig: pytest.Config) -> Iterator[None]:
    """Note what the hosts run, after each file: a later one may take Puppet from them."""
    yield
    if LAB in pytestconfig.stash:
        pytestconfig.stash[SURVEYOR].note(pytestconfig.stash[LAB])


@pytest.fixture
def operator(lab: Lab) -> Operator:
    """Return the lab's operator."""
    return in_lab(lab)


@pytest.fixture(scope="module")
def lab_at(lab: Lab) -> Callable[[str], Lab]:
    """Return a function that brings the lab to a milestone, as if nothing else had happened."""

    def go(step: str) -> Lab:
        reach(lab, step)
        return lab

    return go


@pytest.fixture(scope="module")
def virtual_at(lab: Lab, lab_at: Callable[[str], Lab]) -> Iterator[Callable[[str], Lab]]:
    """Return a function that brings the lab to a milestone, with Oslo as a virtual machine.

    It starts from the containers' milestone, which is made first where it is missing.
    """

    def go(step: str) -> Lab:
        if Milestones(lab=lab).find(step) is None:
            lab_at(step)
        lab.down()
        lab.choose(f"oslo={choice.VIRTUAL}")
        return lab_at(step)

    yield go
    lab.down()
    lab.choose(choice.CONTAINERS)


@pytest.fixture(scope="module")
def make_step(lab: Lab) -> Callable[[str, Budget], Rehearsed]:
    """Return a function that makes a step from the milestone before it, under load.

    The state reached becomes the step's milestone, for whatever scenario needs it next.
    """

    def make(name: str, budget: Budget) -> Rehearsed:
        reach(lab, chain(name)[-2])
        done = under_load(lab, step_class(name)(operator=in_lab(lab)), budget=budget)
        Milestones(lab=lab).take(name)
        return done

    return make


@pytest.fixture(scope="session")
def production(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """Return what plays production, with DNS on Oslo, as after the second step."""
    reach(lab, "dns")
    directory = tmp_path_factory.mktemp("standin")
    found = StandIn(lab=lab, checkout=directory / "checkout")
    yield found
    found.forget()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def standin(production: StandIn) -> Iterator[StandIn]:
    """Return the stand-in; afterwards every host must be on the release in force, and free."""
    yield production
    forgotten(production.lab)
    assert production.at_rest() == []
    assert set(production.releases().values()) == {production.release}

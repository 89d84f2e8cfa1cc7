"""How a step goes through its phases: what it waits for, when, and after an interruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from lab.console import SilentReporter
from lab.steps.phases import Passage, Phase

KEY = "step::wait"
REMEMBERED = 100
"""Seconds for which caches remember; nobody waits so long here."""


class Interrupted(Exception):  # noqa: N818 - it is no error
    """Somebody pressed Ctrl-C."""


@dataclass
class World:
    """What phases change, and what is written down of it."""

    done: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    stage: dict[str, object] = field(default_factory=dict)
    dies_in: str = ""

    def read(self) -> dict[str, object]:
        """Return the stage."""
        return dict(self.stage)

    def update(self, changes: Mapping[str, object]) -> None:
        """Change the stage."""
        after = self.stage | dict(changes)
        self.stage = {key: value for key, value in after.items() if value is not None}


class Waiting(SilentReporter):
    """Writes down for how long is waited."""

    def __init__(self, world: World) -> None:
        self.world = world

    def countdown(self, text: str, seconds: float) -> None:
        """Write it down."""
        assert text
        if self.world.dies_in == "wait":
            raise Interrupted
        self.world.log.append(f"wait {seconds:.0f}")


def phase(
    world: World, called: str, *, settles: int = 0, fades: int = 0, meanwhile: bool = False
) -> Phase[World]:
    class Some(Phase[World]):
        name = called
        title = undoing = called

        def lacks(self, facts: World) -> Sequence[str]:
            return [] if called in facts.done else [f"{called} is missing"]

        def left(self, facts: World) -> Sequence[str]:
            return [f"{called} is there"] if called in facts.done else []

        def do(self, facts: World) -> None:
            if world.dies_in == called:
                raise Interrupted
            facts.done.append(called)
            world.log.append(called)

        def undo(self, facts: World) -> None:
            if world.dies_in == called:
                raise Interrupted
            facts.done.remove(called)
            world.log.append(f"un{called}")

        def settles(self, facts: World) -> int:
            assert facts is world
            return settles

        def fades(self, facts: World) -> int:
            assert facts is world
            return fades

    Some.meanwhile = meanwhile
    return Some()


def passage(world: World, *phases: Phase[World]) -> Passage[World]:
    return Passage(
        phases=phases,
        observe=lambda: world,
        stage=world,  # type: ignore[arg-type]
        key=KEY,
        report=Waiting(world),
    )


def move(world: World) -> Passage[World]:
    """Return a move: lower, set up meanwhile, point."""
    return passage(
        world,
        phase(world, "lower", settles=REMEMBERED),
        phase(world, "serve", meanwhile=True),
        phase(world, "point", settles=5, fades=5),
    )


def test_what_leads_nobody_anywhere_is_done_while_caches_remember() -> None:
    world = World()
    move(world).forth()
    assert world.log == ["lower", "serve", f"wait {REMEMBERED}", "point", "wait 5"]
    assert world.stage == {}


def test_of_two_waits_at_once_the_longer_one_counts() -> None:
    world = World()
    passage(
        world,
        phase(world, "lower", settles=REMEMBERED),
        phase(world, "announce", settles=5, meanwhile=True),
        phase(world, "take"),
    ).forth()
    assert world.log == ["lower", "announce", f"wait {REMEMBERED}", "take"]


def test_the_last_wait_is_waited_for_though_nothing_comes_after_it() -> None:
    world = World()
    passage(world, phase(world, "lower", settles=REMEMBERED)).forth()
    assert world.log == ["lower", f"wait {REMEMBERED}"]


@pytest.mark.parametrize("where", ["lower", "serve", "point", "wait"])
def test_interrupted_anywhere_nobody_is_led_before_the_wait_is_over(where: str) -> None:
    world = World(dies_in=where)
    with suppress(Interrupted):
        move(world).forth()
    world.dies_in = ""
    move(world).forth()
    assert world.done == ["lower", "serve", "point"]
    assert world.log.count(f"wait {REMEMBERED}") == 1
    assert world.log.index(f"wait {REMEMBERED}") < world.log.index("point")
    assert world.log[-1] == "wait 5"
    assert world.stage == {}


def test_interrupted_in_the_last_wait_it_is_waited_for_again() -> None:
    world = World(done=["lower", "serve"])
    world.dies_in = "wait"
    with suppress(Interrupted):
        move(world).forth()
    world.dies_in = ""
    move(world).forth()
    assert world.log == ["point", "wait 5"]


def test_done_over_again_nothing_is_done_or_waited_for() -> None:
    world = World()
    move(world).forth()
    world.log.clear()
    move(world).forth()
    assert world.log == []


@pytest.mark.parametrize("where", ["point", "serve", "lower", "wait", ""])
def test_back_every_wait_comes_before_the_next_phase_is_undone(where: str) -> None:
    world = World(done=["lower", "serve", "point"], dies_in=where)
    with suppress(Interrupted):
        move(world).back()
    world.dies_in = ""
    move(world).back()
    assert world.log == ["unpoint", "wait 5", "unserve", "unlower"]
    assert world.stage == {}


def test_who_turns_round_does_not_wait_for_what_was_on_the_way_forth() -> None:
    world = World(dies_in="serve")
    with suppress(Interrupted):
        move(world).forth()
    world.dies_in = ""
    move(world).back()
    assert world.log == ["lower", "unlower"]
    assert world.stage == {}


def test_what_runs_again_may_show_what_was_hidden() -> None:
    world = World(done=["serve", "point"])
    steps = [phase(world, "serve"), phase(world, "point", fades=5)]
    shown = Waiting(world)

    def countdown(text: str, seconds: float) -> None:
        Waiting.countdown(shown, text, seconds)
        world.done.append("hidden")

    shown.countdown = countdown  # type: ignore[method-assign]
    Passage(
        phases=[phase(world, "hidden"), *steps],
        observe=lambda: world,
        stage=world,  # type: ignore[arg-type]
        key=KEY,
        report=shown,
    ).back()
    assert world.log == ["unpoint", "wait 5", "unserve", "unhidden"]

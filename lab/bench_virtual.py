"""How fast a virtual machine is there, saved and back: beside plain Vagrant, with the same disk."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.bench_mail import Told
from lab.console import Reporter
from lab.engine import box, choice
from lab.engine.base import MachineSpec
from lab.engine.client import connect
from lab.engine.images import BASE, REPOSITORY
from lab.engine.vagrant_command import PROJECT, by_hand
from lab.lab import BOOTED
from lab.machines import WORLD

HOST: Final = "oslo"
RATIO: Final = 1.1
_SAVED: Final = f"{REPOSITORY}/bench:{HOST}"
_SNAPSHOT: Final = "bench"
_SECONDS: Final = 600.0


def measure(*, report: Reporter, told: Told) -> None:
    """Measure a virtual machine of the engine's, and one by hand.

    Args:
        report: where progress goes.
        told: takes each figure.

    Raises:
        EngineError: there is no Vagrant with libvirt, or it could not.
    """
    box.build(report=report)
    plain, ours = dict(_by_hand(report)), dict(_by_engine(report))
    for what, seconds in plain.items():
        told(f"virtual machine: {what}, by plain Vagrant", seconds, unit="s")
        told(f"virtual machine: {what}", ours[what], unit="s")
        told("  beside plain Vagrant", ours[what] / seconds, goal=RATIO, unit="times")


def _by_hand(report: Reporter) -> Iterator[tuple[str, float]]:
    """Yield what was done as one does by hand, and its seconds; nothing is left of it."""
    with tempfile.TemporaryDirectory() as notes:

        def vagrant(*argv: str) -> float:
            title = f"vagrant {' '.join(argv)}"
            return _seconds(report, title, lambda: by_hand(*argv, where=PROJECT, notes=Path(notes)))

        try:
            yield "up", vagrant("up", HOST, "--provider", "libvirt")
            yield "saved", vagrant("snapshot", "save", HOST, _SNAPSHOT)
            yield "back", vagrant("snapshot", "restore", HOST, _SNAPSHOT)
            vagrant("snapshot", "delete", HOST, _SNAPSHOT)
        finally:
            vagrant("destroy", "--force", HOST)


def _by_engine(report: Reporter) -> Iterator[tuple[str, float]]:
    """Yield the same of a machine of the engine's; nothing is left of it."""
    engine = choice.engine(
        lab="bench-vm",
        chosen={HOST: choice.VIRTUAL},
        tools=WORLD.tag,
        client=connect(timeout=_SECONDS),
        report=report,
    )
    spec = MachineSpec(name=HOST, image=BASE.tag, cores=2, memory_mb=2048)

    def up(spec: MachineSpec) -> None:
        engine.create([spec])
        engine.start([HOST])
        engine.run(HOST, ["sh", "-c", BOOTED], timeout=_SECONDS)

    def save() -> None:
        engine.stop([HOST])
        engine.snapshot(HOST, _SAVED)

    def back() -> None:
        engine.remove([HOST])
        up(replace(spec, image=_SAVED))

    try:
        yield "up", _seconds(report, "The engine's machine", lambda: up(spec))
        yield "saved", _seconds(report, "Save it", save)
        yield "back", _seconds(report, "Bring it back", back)
    finally:
        engine.sweep()
        engine.discard([_SAVED])


def _seconds(report: Reporter, title: str, do: Callable[[], object]) -> float:
    """Do something, and return how long it took."""
    began = time.monotonic()
    with report.task(title):
        do()
    return time.monotonic() - began

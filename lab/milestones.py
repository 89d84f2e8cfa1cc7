"""Milestones: the whole lab as it stood after a step, saved and brought back in seconds.

A milestone's key is a hash over all that made it, so that a changed Puppet tree, fleet or step
never silently gets an old one. It holds the disks of the machines that remember something, and
the lab's keys, without which nobody gets into those disks. It does not hold cables, faults or
anything in memory.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from lab.engine.base import State
from lab.engine.images import BASE, LEGACY_BASE, REPOSITORY
from lab.errors import CheckFailedError
from lab.fleet_types import StepName
from lab.lab import Lab
from lab.machines import WORLD
from lab.parallel import side_by_side
from lab.store import root
from lab.world.machines import RESOLVER

PROJECT = Path(__file__).resolve().parent.parent
# What a lab's state depends on. Probes, reports and tests do not matter. The old server's own
# image follows from its ground, the fleet and lab/world.
IMAGES = (BASE, LEGACY_BASE, WORLD)
MADE_OF = ("fleet.yaml", "lab/world", "lab/machines.py")
MADE_BY_STEPS = (
    "puppet",
    "lab/operator",
    "lab/zone_key.py",
    "lab/steps/base.py",
    "lab/steps/phases.py",
)
# The pinned modules are covered by their lock file, and may not be there yet.
IGNORED = {"__pycache__", "spec", "tests", "modules", ".gitignore"}
KEEPSAKES = ("secrets", "ssh")
# What the machines of the world are made with.
WORLD_KEYS = ("secrets/world.json", "ssh/id_ed25519.pub")
BARE = "bare"
STEPS: tuple[str, ...] = get_args(StepName)


class MilestoneCheckError(CheckFailedError):
    """There is no such milestone for what is here now."""


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """One saved state of a lab.

    Attributes:
        step: the last step made, or ``bare``.
        key: hash of what made it.
        taken: seconds since the epoch.
        machines: names of the machines whose disks it holds.
        block: the address block that it was taken in.
        form: the form of its disks (:attr:`lab.engine.base.Engine.forms`).
    """

    step: str
    key: str
    taken: float
    machines: tuple[str, ...]
    block: int
    form: str = ""

    def image(self, machine: str) -> str:
        """Return the name of one machine's saved disk."""
        return f"{REPOSITORY}/milestone-{self.key}:{machine}"


def fingerprint(*, step: str, block: int, form: str = "", project: Path = PROJECT) -> str:
    """Return the key of a milestone made from what is here now: 16 hexadecimal digits.

    Args:
        step: the step after which it is taken.
        block: the lab's address block, which is in every configuration file of the disks.
        form: the form of its disks; containers' is empty.
        project: the checkout.
    """
    # Two people on one engine have keys of their own, and so must their disks.
    digest = hashlib.sha256(f"{root()}\0{step}\0{block}\0".encode())
    digest.update(form.encode())
    for recipe in IMAGES:
        digest.update(recipe.tag.encode() + b"\0")
    parts = [project / part for part in MADE_OF]
    if step != BARE:
        parts += [project / part for part in MADE_BY_STEPS]
        for name in STEPS[: STEPS.index(step) + 1]:
            parts += [path for path in _modules(project, name) if _step_of(path) == name]
    for top in parts:
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and not IGNORED.intersection(path.relative_to(project).parts):
                digest.update(str(path.relative_to(project)).encode() + b"\0")
                digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _modules(project: Path, step: str) -> list[Path]:
    """Return the modules whose names begin with that of *step*."""
    return sorted((project / "lab" / "steps").glob(f"{step}*.py"))


def _step_of(path: Path) -> str:
    """Return the step that a module belongs to: web_ha_move.py is no part of the step web."""
    return max((step for step in STEPS if path.stem.startswith(step)), key=len)


class Milestones:
    """Takes and restores milestones of one lab.

    Args:
        lab: the lab.
    """

    def __init__(self, *, lab: Lab) -> None:
        self._lab = lab
        self._directory = root() / "milestones"

    def find(self, step: str) -> Milestone | None:
        """Return the milestone of *step* that fits what is here now, if there is one.

        Where an engine starts machines from several forms of disks, its own come first.
        """
        for form in self._lab.engine.forms:
            key = fingerprint(step=step, block=self._lab.store.block(), form=form)
            if found := self._read(self._directory / key / "manifest.json"):
                saved = set(self._lab.engine.images(f"{REPOSITORY}/milestone-{key}"))
                if saved.issuperset(found.image(name) for name in found.machines):
                    return found
        return None

    def all(self) -> list[Milestone]:
        """Return every milestone on this machine, newest first."""
        found = [self._read(path) for path in self._directory.glob("*/manifest.json")]
        return sorted((one for one in found if one), key=lambda one: -one.taken)

    def fitting(self) -> list[str]:
        """Return the steps that have a milestone which fits what is here now, in order."""
        return [step for step in (BARE, *STEPS) if self.find(step)]

    def take(self, step: str) -> Milestone:
        """Save the lab as it stands after *step*; it is back in service when this returns.

        The machines are shut down properly, saved, and made anew from what was saved, so that
        the next milestone holds only what changed since.
        """
        lab = self._lab
        form = lab.engine.forms[0]
        milestone = Milestone(
            step=step,
            key=fingerprint(step=step, block=lab.store.block(), form=form),
            taken=time.time(),
            machines=lab.blueprint().remembering,
            block=lab.store.block(),
            form=form,
        )
        with lab.report.task(f"Take the milestone {step}"):
            lab.engine.stop(milestone.machines)
            side_by_side(
                lambda name: lab.engine.snapshot(name, milestone.image(name)), milestone.machines
            )
            self._keep(milestone)
            self._put_back(milestone)
            self.discard_stale()
        return milestone

    def restore(self, step: str) -> Milestone:
        """Bring the lab to the milestone of *step*.

        Raises:
            MilestoneCheckError: there is none for what is here now, or no such step.
        """
        if step not in (BARE, *STEPS):
            known = ", ".join((BARE, *STEPS))
            raise MilestoneCheckError(
                f"there is no milestone {step!r}", remedy=f"There are {known}"
            )
        milestone = self.find(step)
        if milestone is None:
            raise MilestoneCheckError(
                f"no milestone {step!r} fits what is here now",
                where=f"lab {self._lab.name}",
                remedy=f"`./invoke lab-up --until {step}` makes one",
            )
        with self._lab.report.task(f"Restore the milestone {step}"):
            if not self._same_world(milestone):
                self._lab.engine.sweep()  # they would let nobody in, or trust another root
            for name in KEEPSAKES:
                target = self._lab.store.directory / name
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(self._directory / milestone.key / name, target)
            self._put_back(milestone)
        return milestone

    def _same_world(self, milestone: Milestone) -> bool:
        """Whether what runs was made with the milestone's keys, not with those of a later lab."""
        now, then = self._lab.store.directory, self._directory / milestone.key
        return all(_content(now / name) == _content(then / name) for name in WORLD_KEYS)

    def discard(self, milestones: Sequence[Milestone]) -> None:
        """Forget milestones and free their space."""
        for one in milestones:
            self._lab.engine.discard([one.image(name) for name in one.machines])
            shutil.rmtree(self._directory / one.key, ignore_errors=True)

    def discard_stale(self) -> None:
        """Forget milestones of this lab's block that fit nothing any more.

        Those in a form that this lab's engine does not save in are another lab's business.
        """
        block, form = self._lab.store.block(), self._lab.engine.forms[0]
        self.discard(
            [
                one
                for one in self.all()
                if (one.block, one.form) == (block, form)
                and one.key != fingerprint(step=one.step, block=block, form=form)
            ]
        )

    def _put_back(self, milestone: Milestone) -> None:
        lab = self._lab
        if lab.store.sockets.exists() and lab.access.config.exists():
            lab.ssh.close()
        present = lab.engine.states()
        # The resolver is made anew as well: its cache is of a time that never was.
        outdated = [name for name in (*milestone.machines, RESOLVER) if name in present]
        lab.engine.remove(outdated)
        for name, machine in lab.blueprint().world.items():
            if machine.forget and present.get(name) is State.RUNNING:
                lab.engine.run(name, machine.forget)
        lab.up(images={name: milestone.image(name) for name in milestone.machines})
        lab.store.update(milestone=milestone.step)

    def _keep(self, milestone: Milestone) -> None:
        directory = self._directory / milestone.key
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700, parents=True)
        for name in KEEPSAKES:
            source = self._lab.store.directory / name
            if source.exists():
                shutil.copytree(source, directory / name)
            else:
                (directory / name).mkdir()
        # Written last: a milestone without it was cut short and does not count.
        (directory / "manifest.json").write_text(
            json.dumps(
                {
                    "step": milestone.step,
                    "key": milestone.key,
                    "taken": milestone.taken,
                    "machines": list(milestone.machines),
                    "block": milestone.block,
                    # Only where it is not a container's, so that older checkouts read theirs.
                    **({"form": milestone.form} if milestone.form else {}),
                },
                indent=2,
            )
        )

    @staticmethod
    def _read(path: Path) -> Milestone | None:
        try:
            notes = json.loads(path.read_text())
            return Milestone(**{**notes, "machines": tuple(notes["machines"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None

"""The box for Vagrant: a bare host of the fleet, for ``vagrant up`` by hand.

A lab needs no box: its machines lie on the same disk (:mod:`lab.engine.disks`).
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.console import Reporter
from lab.engine import accelerator, vagrant_command
from lab.engine.client import connect
from lab.engine.disks import BOX, Disks
from lab.engine.images import BASE, Images
from lab.engine.vm_plan import KVM, Ground

NAME = "generalprove/trixie64"
BUILD_SECONDS = 900.0
SIZE_GB = 20


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box that Vagrant knows.

    Attributes:
        path: the disk that it is.
        how: how this computer runs its kernel.
    """

    path: Path
    how: str


def build(*, report: Reporter) -> Box:
    """Make the box, or do nothing when it is made of what there is now.

    Raises:
        EngineError: Vagrant is missing, or the box cannot be made.
    """
    vagrant_command.demand()
    client = connect(timeout=BUILD_SECONDS)
    Images(client=client, report=report).ensure([BASE])
    disks = Disks(client=client, report=report)
    ground = disks.ground(BASE.tag)
    driver = accelerator.driver(ground, directory=disks.directory)
    current = disks.directory / BOX
    if not (current.is_symlink() and current.resolve() == ground.disk.parent and _known()):
        with report.task("Give Vagrant the box"):
            _add(ground, disks.directory)
            current.unlink(missing_ok=True)
            current.symlink_to(ground.disk.parent)
    return Box(path=ground.disk, how="KVM" if driver == KVM else "emulated")


def _known() -> bool:
    listed = vagrant_command.by_hand("box", "list").splitlines()
    return any(line.startswith(f"{NAME} ") for line in listed)


def _add(ground: Ground, directory: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".box-", dir=directory) as work:
        metadata = Path(work) / "metadata.json"
        metadata.write_text(
            json.dumps({"provider": "libvirt", "format": "qcow2", "virtual_size": SIZE_GB})
        )
        packed = Path(work) / "trixie64.box"
        with tarfile.open(packed, "w") as box:
            box.add(metadata, "metadata.json")
            box.add(ground.disk, "box.img")
        argv = ("box", "add", "--force", "--name", NAME, "--provider", "libvirt", str(packed))
        vagrant_command.by_hand(*argv)

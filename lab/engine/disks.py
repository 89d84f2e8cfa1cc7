"""Disks of virtual machines: made of container images, laid over each other, saved.

Whatever a container starts from (a bare host, a milestone) a virtual machine can start from as
well: the image gets a kernel and becomes a file system. A disk is named by what made it, and no
disk that others lie on is ever written to.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import docker
from docker.errors import ContainerError, ImageNotFound
from docker.models.images import Image

from lab.console import Reporter
from lab.engine.base import EngineError
from lab.engine.client import build, decoded, told_as
from lab.engine.images import BASE, HERE, LEGACY_BASE, REPOSITORY
from lab.engine.virsh import REMEDY
from lab.engine.vm_plan import COMMAND_LINE, EMULATED, Ground
from lab.store import exclusive
from lab.text import last_line

RECIPE = HERE / "vm"
SIZE = "20G"
DISK, KERNEL, INITRD = "disk.qcow2", "kernel", "initrd"
# The disk that is the box for `vagrant up` by hand; the Vagrantfile has the kernel from there.
BOX = "box"
LABS = "labs"


def place() -> Path:
    """Return where this user's disks are: QEMU runs as a user who sees into nobody's home."""
    return Path(os.environ.get("GENERALPROVE_DISKS") or f"/var/lib/generalprove-{os.getuid()}")


def qemu_img(*argv: str | Path) -> str:
    """Run qemu-img(1) and return what it said.

    Raises:
        EngineError: it is missing, or failed.
    """
    if shutil.which("qemu-img") is None:
        raise EngineError("qemu-img is not installed", remedy=REMEDY)
    done = subprocess.run(
        ["qemu-img", *map(str, argv)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EngineError(f"qemu-img {argv[0]}: {last_line(done.stderr)}", where=str(argv[-1]))
    return done.stdout


class Disks:
    """The disks of this user.

    Args:
        client: the Docker client: images come from there.
        report: where progress goes.
        directory: where the disks are; :func:`place` when None.
    """

    def __init__(
        self, *, client: docker.DockerClient, report: Reporter, directory: Path | None = None
    ) -> None:
        self._client = client
        self._report = report
        self.directory = directory or place()
        self._made = self.directory / "made"
        self._saved = self.directory / "saved"

    def machines(self, lab: str) -> Path:
        """Return where the machines of a lab are, each in a directory called like it."""
        return self.directory / LABS / lab

    def ground(self, image: str) -> Ground:
        """Return what a machine starts from: a disk that was saved as *image*, or a container's.

        Raises:
            EngineError: there is neither, or no disk can be made of it.
        """
        saved = self._saved / quote(image, safe="")
        if (saved / DISK).exists():
            return _ground(saved)
        try:
            with told_as(f"look for the image {image}"):
                found = self._client.images.get(image)
        except EngineError as error:
            if isinstance(error.__cause__, ImageNotFound):
                raise EngineError(
                    f"neither a disk nor an image is called {image}",
                    remedy="`./invoke lab-up` makes images, `./invoke box-build` the box",
                ) from None
            raise
        target = self._target(found)
        self._ready()
        with exclusive(self.directory / "lock", wait=True):
            if not (target / DISK).exists():
                self._forget_made()
                with self._report.task(f"Make a disk of {image.removeprefix(f'{REPOSITORY}/')}"):
                    self._make(image, target)
        return _ground(target)

    def _target(self, image: Image) -> Path:
        return self._made / hashlib.sha256(f"{image.id}\0{_recipe()}".encode()).hexdigest()[:16]

    def _ready(self) -> None:
        """Refuse a place that is not there or not this user's."""
        if not os.access(self.directory, os.W_OK):
            raise EngineError(
                "there is no place for disks",
                where=str(self.directory),
                remedy="`lab/engine/start-libvirt` makes it",
            )

    def _make(self, image: str, target: Path) -> None:
        tag = f"{REPOSITORY}/vm:{target.name}"
        with self._aside(target) as work, told_as(f"make a disk of {image}"):
            arguments = {"FROM": image, "GROUND": self._release(image)}
            try:
                build(self._client, RECIPE, tag=tag, arguments=arguments)
                self._run(
                    tag,
                    ["/usr/local/sbin/lab-make-disk", SIZE, f"{os.getuid()}:{os.getgid()}"],
                    cap_add=["SYS_ADMIN"],
                    security_opt=["apparmor=unconfined", "label=disable"],
                    volumes={str(work): {"bind": "/out", "mode": "rw"}},
                )
            finally:
                with suppress(ImageNotFound):
                    self._client.images.remove(tag, noprune=True)
            qemu_img("convert", "-O", "qcow2", work / "disk.raw", work / DISK)
            (work / "disk.raw").unlink()

    def _release(self, image: str) -> str:
        """Return the bare image of the Debian release that *image* is made of."""
        release = self._run(image, ["sed", "-n", "s/^VERSION_CODENAME=//p", "/etc/os-release"])
        for recipe in (BASE, LEGACY_BASE):
            if recipe.release == release.strip():
                return recipe.tag
        raise EngineError(f"there is no kernel for Debian {release.strip()!r}", where=image)

    def _run(self, image: str, argv: Sequence[str], **options: Any) -> str:  # noqa: ANN401 - docker's
        try:
            said: bytes = self._client.containers.run(
                image,
                list(argv),
                entrypoint=[],
                network_mode="none",
                remove=True,
                stderr=True,
                **options,
            )
        except ContainerError as error:
            last = last_line(decoded(error.stderr or b""))
            raise EngineError(f"{argv[0]} failed: {last}", where=image) from error
        return decoded(said)

    @contextmanager
    def _aside(self, target: Path) -> Iterator[Path]:
        """Give a directory that becomes *target* in one step, or nothing at all."""
        target.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=self.directory))
        try:
            work.chmod(0o755)
            yield work
            shutil.rmtree(target, ignore_errors=True)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def over(self, ground: Ground, disk: Path) -> None:
        """Make *disk*, which holds only what will differ from *ground*."""
        disk.unlink(missing_ok=True)
        qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", ground.disk, disk)

    def save(self, disk: Path, tag: str) -> None:
        """Keep what *disk* holds now as the image *tag*.

        It lies on the disk that was made of an image, however often its machine was saved before:
        a saved disk never needs another saved one.
        """
        self._ready()
        bottom = _bottom(disk)
        with self._aside(self._saved / quote(tag, safe="")) as work:
            qemu_img(
                *("convert", "-O", "qcow2", "-F", "qcow2", "-B", bottom),
                *(disk, work / DISK),
            )
            for part in (KERNEL, INITRD):
                os.link(bottom.parent / part, work / part)

    def saved(self, prefix: str) -> list[str]:
        """Return the names of the saved disks that begin with *prefix*."""
        names = [unquote(path.name) for path in self._saved.glob("*")]
        return sorted(name for name in names if name.startswith(prefix))

    def discard(self, tags: Sequence[str]) -> None:
        """Forget saved disks, and what was made of images that are no more.

        What others lie on stays.
        """
        used = self._used(f"{LABS}/*/*")
        for tag in tags:
            saved = self._saved / quote(tag, safe="")
            if saved / DISK not in used:
                shutil.rmtree(saved, ignore_errors=True)
        self._forget_made()

    def _forget_made(self) -> None:
        """Forget what was made of images that are no more, or by another recipe."""
        made = set(self._made.glob("*"))
        if not made:
            return
        with told_as("list the images"):
            made -= {self._target(image) for image in self._client.images.list()}
        used = {disk.parent for disk in self._used(f"{LABS}/*/*", "saved/*")}
        for one in made - used - {(self.directory / BOX).resolve()}:
            shutil.rmtree(one, ignore_errors=True)

    def _used(self, *places: str) -> set[Path]:
        """Return the disks on which those in *places* lie."""
        found = [disk for place in places for disk in self.directory.glob(f"{place}/{DISK}")]
        return {below for disk in found if (below := _backing(disk))}


def _ground(directory: Path) -> Ground:
    return Ground(disk=directory / DISK, kernel=directory / KERNEL, initrd=directory / INITRD)


def _recipe() -> str:
    digest = hashlib.sha256(f"{SIZE}\0".encode())
    for path in sorted(RECIPE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def form() -> str:
    """Return what distinguishes disks made by today's recipe."""
    return f"{_recipe()} {COMMAND_LINE} {EMULATED}"


def _backing(disk: Path) -> Path | None:
    found = json.loads(qemu_img("info", "--force-share", "--output=json", disk))
    below = found.get("full-backing-filename")
    return Path(below) if below else None


def _bottom(disk: Path) -> Path:
    """Return the lowest disk that *disk* lies on."""
    while below := _backing(disk):
        disk = below
    return disk

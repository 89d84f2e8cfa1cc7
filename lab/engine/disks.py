"""Disks of virtual machines: made of container images, laid over each other, saved.

Whatever a container starts from (a bare host, a milestone) a virtual machine can start from as
well: the image gets a kernel and becomes a file system. A disk is named by what made it, and no
disk that others lie on is ever written to.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import docker
from docker.errors import BuildError, ContainerError, ImageNotFound

from lab.console import Reporter
from lab.engine.base import EngineError
from lab.engine.docker import told_as
from lab.engine.images import BASE, HERE, LEGACY_BASE, REPOSITORY
from lab.engine.vm_plan import COMMAND_LINE, EMULATED, Ground
from lab.store import exclusive
from lab.text import last_line

RECIPE = HERE / "vm"
SIZE = "20G"
_PARTS = ("disk.qcow2", "kernel", "initrd")
_PROBE_SECONDS = 12.0


def place() -> Path:
    """Return where this user's disks are: QEMU runs as a user who sees into nobody's home."""
    return Path(os.environ.get("GENERALPROVE_DISKS") or f"/var/lib/generalprove-{os.getuid()}")


def qemu_img(*argv: str | Path) -> None:
    """Run qemu-img(1).

    Raises:
        EngineError: it is missing, or failed.
    """
    if shutil.which("qemu-img") is None:
        raise EngineError(
            "qemu-img is not installed",
            remedy="`lab/engine/start-libvirt` installs and starts what is missing",
        )
    done = subprocess.run(
        ["qemu-img", *map(str, argv)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EngineError(f"qemu-img {argv[0]}: {last_line(done.stderr)}", where=str(argv[-1]))


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

    def ground(self, image: str) -> Ground:
        """Return what a machine starts from: a disk that was saved as *image*, or a container's.

        Raises:
            EngineError: there is neither, or no disk can be made of it.
        """
        saved = self._saved / quote(image, safe="")
        if (saved / "disk.qcow2").exists():
            return _ground(saved)
        try:
            with told_as(f"look for the image {image}"):
                identity = str(self._client.images.get(image).id)
        except EngineError as error:
            if isinstance(error.__cause__, ImageNotFound):
                raise EngineError(
                    f"neither a disk nor an image is called {image}",
                    remedy="`./invoke lab-up` makes images, `./invoke box-build` the box",
                ) from None
            raise
        target = self._made / hashlib.sha256(f"{identity}\0{_recipe()}".encode()).hexdigest()[:16]
        self._ready()
        with exclusive(self.directory / "lock", wait=True):
            if not (target / "disk.qcow2").exists():
                with self._report.task(f"Make a disk of {image.removeprefix(f'{REPOSITORY}/')}"):
                    self._make(image, target)
                (target / "image").write_text(image)
        return _ground(target)

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
            try:
                self._client.images.build(
                    path=str(RECIPE),
                    tag=tag,
                    buildargs={"FROM": image, "GROUND": self._release(image)},
                    rm=True,
                    forcerm=True,
                )
                self._client.containers.run(
                    tag,
                    ["/usr/local/sbin/lab-make-disk", SIZE, f"{os.getuid()}:{os.getgid()}"],
                    entrypoint=[],
                    remove=True,
                    network_mode="none",
                    cap_add=["SYS_ADMIN"],
                    security_opt=["apparmor=unconfined", "label=disable"],
                    volumes={str(work): {"bind": "/out", "mode": "rw"}},
                    stderr=True,
                )
            except BuildError as error:
                said = [str(line.get("stream", "")).strip() for line in error.build_log]
                tail = " | ".join([line for line in said if line][-3:])
                raise EngineError(f"no disk can be made of {image}: {tail}") from error
            except ContainerError as error:
                said_last = last_line(said_by(error))
                raise EngineError(f"no disk can be made of {image}: {said_last}") from error
            finally:
                self._forget(tag)
            qemu_img("convert", "-O", "qcow2", work / "disk.raw", work / "disk.qcow2")
            (work / "disk.raw").unlink()

    def _forget(self, tag: str) -> None:
        try:
            self._client.images.remove(tag, noprune=True)
        except ImageNotFound:
            return

    def _release(self, image: str) -> str:
        """Return the bare image of the Debian release that *image* is made of."""
        said: bytes = self._client.containers.run(
            image,
            ["sed", "-n", "s/^VERSION_CODENAME=//p", "/etc/os-release"],
            entrypoint=[],
            network_mode="none",
            remove=True,
        )
        release = said.decode().strip()
        for recipe in (BASE, LEGACY_BASE):
            if recipe.release == release:
                return recipe.tag
        raise EngineError(f"there is no kernel for Debian {release!r}", where=image)

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
                *(disk, work / "disk.qcow2"),
            )
            for part in ("kernel", "initrd"):
                os.link(bottom.parent / part, work / part)

    def saved(self, prefix: str) -> list[str]:
        """Return the names of the saved disks that begin with *prefix*."""
        names = [unquote(path.name) for path in self._saved.glob("*")]
        return sorted(name for name in names if name.startswith(prefix))

    def discard(self, tags: Sequence[str]) -> None:
        """Forget saved disks, and what was made of images called so; what is in use stays."""
        used = {str(_backing(disk)) for disk in self.directory.glob("labs/*/*/disk.qcow2")}
        for tag in tags:
            saved = self._saved / quote(tag, safe="")
            if str(saved / "disk.qcow2") not in used:
                shutil.rmtree(saved, ignore_errors=True)
        used |= {str(_backing(disk)) for disk in self._saved.glob("*/disk.qcow2")}
        for note in self._made.glob("*/image"):
            if note.read_text() in tags and str(note.parent / "disk.qcow2") not in used:
                shutil.rmtree(note.parent, ignore_errors=True)

    def driver(self, ground: Ground) -> str:
        """Return ``kvm`` where this computer's KVM starts the box's kernel, ``qemu`` elsewhere.

        A KVM that exists need not work: one that is itself virtual may know no stock kernel. It
        is tried once for each kernel, here and there.
        """
        note = self.directory / "accelerator.json"
        key = f"{platform.release()} {ground.kernel.stat().st_size} {_qemu_version()}"
        try:
            known = json.loads(note.read_text())
        except (OSError, ValueError):
            known = {}
        if known.get("key") != key:
            works = Path("/dev/kvm").exists() and boots(ground)
            known = {"key": key, "driver": "kvm" if works else "qemu"}
            note.write_text(json.dumps(known))
        return str(known["driver"])


def said_by(error: ContainerError) -> str:
    """Return what a container wrote before it failed."""
    said = error.stderr or b""
    return said if isinstance(said, str) else said.decode(errors="replace")


def boots(ground: Ground) -> bool:
    """Whether a kernel says its first word under KVM within seconds."""
    try:
        process = subprocess.run(
            [
                *("timeout", f"{_PROBE_SECONDS:.0f}", "qemu-system-x86_64", "-accel", "kvm"),
                *("-cpu", "host", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot"),
                *("-serial", "stdio", "-kernel", str(ground.kernel), "-initrd", str(ground.initrd)),
                *("-append", "console=ttyS0 panic=-1 root=/dev/null rootwait=1"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    return b"Linux version" in process.stdout


def _qemu_version() -> str:
    try:
        said = subprocess.run(
            ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return said.stdout.partition("\n")[0]


def _ground(directory: Path) -> Ground:
    disk, kernel, initrd = (directory / part for part in _PARTS)
    return Ground(disk=disk, kernel=kernel, initrd=initrd)


def _recipe() -> str:
    digest = hashlib.sha256(f"{SIZE}\0".encode())
    for path in sorted(RECIPE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def form() -> str:
    """Return what distinguishes disks made by today's recipe."""
    return f"{_recipe()} {COMMAND_LINE} {EMULATED}"


def _backing(disk: Path) -> Path | None:
    said = subprocess.run(
        ["qemu-img", "info", "--force-share", "--output=json", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(said.stdout or "{}").get("full-backing-filename")
    return Path(found) if found else None


def _bottom(disk: Path) -> Path:
    """Return the lowest disk that *disk* lies on."""
    while below := _backing(disk):
        disk = below
    return disk

"""The images that machines start from: built when missing, named by what made them.

A tag is a hash over the recipe's files and the tag of the image below it, so an image is
rebuilt when, and only when, something that made it has changed. The lowest layer is Debian:
from a registry where one answers, otherwise made on the spot by ``mmdebstrap(1)``; what is
built on top is the same either way.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import docker
from docker.errors import DockerException, ImageNotFound

from lab.console import Reporter
from lab.engine.base import EngineError
from lab.engine.client import build, told_as
from lab.text import last_line

HERE = Path(__file__).parent / "images"
REPOSITORY = "generalprove"
# Below /usr/share, and of no use to a machine that lives for an afternoon. The directories of
# manual pages stay: some packages link into them when they are installed.
UNREAD = ("doc/*", "man/*/*", "locale/*", "info/*")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one image is made.

    Attributes:
        name: its name, without repository and tag.
        directory: the build's context, with a ``Dockerfile``.
        parent: the recipe below; None where *release* is the ground.
        release: Debian's code name (``trixie``), for the lowest recipe only.
        arguments: name -> value of what the ``Dockerfile`` is told besides (``ARG``).
    """

    name: str
    directory: Path
    parent: Recipe | None = None
    release: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The image's full name, with a hash over all that makes it."""
        digest = hashlib.sha256((self.parent.tag if self.parent else self.release).encode())
        for path in sorted(self.directory.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(self.directory)).encode() + b"\0")
                digest.update(path.read_bytes() + b"\0")
        for name, value in sorted(self.arguments.items()):
            digest.update(f"{name}={value}\0".encode())
        return f"{REPOSITORY}/{self.name}:{digest.hexdigest()[:12]}"


BASE = Recipe(name="base", directory=HERE / "base", release="trixie")
LEGACY_BASE = Recipe(name="legacy-base", directory=HERE / "base", release="bookworm")
TOOLS = Recipe(name="tools", directory=HERE / "tools", parent=BASE)


class Images:
    """Makes images exist.

    Args:
        client: the Docker client.
        report: where progress goes.
    """

    def __init__(self, *, client: docker.DockerClient, report: Reporter) -> None:
        self._client = client
        self._report = report
        self._building: defaultdict[str, Lock] = defaultdict(Lock)

    def ensure(self, recipes: Sequence[Recipe]) -> Mapping[str, str]:
        """Build what is missing, lowest first, recipes with different grounds side by side.

        Returns:
            Name of each recipe -> tag of its image.

        Raises:
            EngineError: a build failed; the message has its last line.
        """
        with ThreadPoolExecutor(max_workers=4) as pool:
            for done in [pool.submit(self._one, recipe) for recipe in recipes]:
                done.result()
        return {recipe.name: recipe.tag for recipe in recipes}

    def _one(self, recipe: Recipe) -> None:
        with self._building[recipe.tag]:
            self._build_with_ground(recipe)

    def _build_with_ground(self, recipe: Recipe) -> None:
        if self._exists(recipe.tag):
            return
        if recipe.parent is not None:
            self._one(recipe.parent)
            ground = recipe.parent.tag
        else:
            ground = self._debian(recipe.release)
        with self._report.task(f"Build the image {recipe.name}"):
            arguments = {"FROM": ground, **recipe.arguments}
            build(self._client, recipe.directory, tag=recipe.tag, arguments=arguments)

    def _debian(self, release: str) -> str:
        """Return the name of a plain Debian image, fetched or made."""
        made = f"{REPOSITORY}/debian:{release}-{_digest(*_packages(), *UNREAD)}"
        if self._exists(made):
            return made
        official = f"debian:{release}"
        if self._exists(official):
            return official
        ask = self._report.task(f"Ask the image registry for Debian {release}")
        with ask, suppress(DockerException):
            self._client.images.pull("debian", tag=release)
            return official
        with self._report.task(f"No image registry: make Debian {release} from its packages"):
            self._bootstrap(release, made)
        return made

    def _bootstrap(self, release: str, tag: str) -> None:
        if shutil.which("mmdebstrap") is None:
            raise EngineError(
                "there is no image registry and no mmdebstrap to make an image with",
                where=f"Debian {release}",
                remedy="Install the package mmdebstrap, or let the engine reach a registry",
            )
        with tempfile.TemporaryDirectory(prefix="generalprove-") as directory:
            tar = Path(directory) / "debian.tar"
            made = subprocess.run(
                [
                    *("mmdebstrap", "--quiet", "--variant=minbase", "--components=main"),
                    f"--include={','.join(_packages())}",
                    *(f"--dpkgopt=path-exclude=/usr/share/{what}" for what in UNREAD),
                    *("--dpkgopt=force-unsafe-io", release, str(tar)),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                raise EngineError(
                    f"mmdebstrap failed: {last_line(made.stderr) or made.returncode}",
                    where=f"Debian {release}",
                )
            repository, _, version = tag.partition(":")
            with told_as(f"import Debian {release}"):
                self._client.api.import_image_from_file(
                    str(tar), repository=repository, tag=version
                )

    def _exists(self, tag: str) -> bool:
        with told_as(f"look for the image {tag}"):
            try:
                self._client.images.get(tag)
            except ImageNotFound:
                return False
        return True


def _packages() -> list[str]:
    lines = (BASE.directory / "packages.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

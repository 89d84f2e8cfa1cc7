"""Debian's tools for a laptop that lacks them: a container that lives for one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient

from lab.console import Reporter
from lab.engine.docker import connect, told_as
from lab.engine.images import TOOLS, Images

TIMEOUT_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a command said.

    Attributes:
        code: its exit code.
        stdout: its standard output.
        stderr: its standard error.
    """

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")


class Toolbox:
    """Runs commands in throw-away containers of one image.

    Args:
        client: the Docker client.
        image: the image, with the tools in it.
    """

    def __init__(self, *, client: DockerClient, image: str) -> None:
        self._client = client
        self._image = image

    @classmethod
    def ready(cls, *, report: Reporter) -> Toolbox:
        """Return a toolbox, its image built if it is missing.

        Args:
            report: where progress goes.

        Raises:
            EngineError: no Docker engine answers, or the image cannot be built.
        """
        client = connect(timeout=TIMEOUT_SECONDS)
        images = Images(client=client, report=report).ensure([TOOLS])
        return cls(client=client, image=images[TOOLS.name])

    def run(
        self,
        argv: Sequence[str],
        *,
        mounts: Mapping[Path, str] | None = None,
        network: bool = False,
        directory: str = "/",
    ) -> Output:
        """Run a command and wait for it.

        Args:
            argv: the command.
            mounts: directory of this machine -> where the command sees it, read-only.
            network: whether it reaches what this machine reaches; nothing otherwise.
            directory: where it runs.

        Raises:
            EngineError: the container could not be run.
        """
        binds = {str(path): {"bind": at, "mode": "ro"} for path, at in (mounts or {}).items()}
        with told_as(f"run {argv[0]} in the toolbox"):
            container = self._client.containers.create(
                self._image,
                list(argv),
                entrypoint=[],
                network_mode="bridge" if network else "none",
                security_opt=["label=disable"],
                volumes=binds,
                working_dir=directory,
            )
            try:
                # Not the container's log: that is text, and a command may print an archive.
                said = container.attach(stdout=True, stderr=True, stream=True, demux=True)
                container.start()
                chunks = list(said)
                return Output(
                    code=int(container.wait(timeout=TIMEOUT_SECONDS)["StatusCode"]),
                    stdout=b"".join(out for out, _ in chunks if out),
                    stderr=b"".join(err for _, err in chunks if err).decode(errors="replace"),
                )
            finally:
                container.remove(force=True, v=True)

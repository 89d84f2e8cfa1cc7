"""Debian's tools for a laptop that lacks them, in a container that is thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from lab.console import Reporter
from lab.engine.client import STDERR, STDOUT, connect, decoded, execute, told_as
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
    """Debian's tools, in one container for as long as they are needed.

    Use it as a context manager through :meth:`opened`.

    Args:
        client: the Docker client.
        container: the running container.
    """

    def __init__(self, *, client: docker.DockerClient, container: Container) -> None:
        self._client = client
        self._container = container

    @classmethod
    @contextmanager
    def opened(
        cls,
        *,
        report: Reporter,
        mounts: Mapping[Path, str] | None = None,
        network: bool = False,
    ) -> Iterator[Toolbox]:
        """Give a toolbox, its image built if it is missing, and throw it away in the end.

        Args:
            report: where progress goes.
            mounts: directory of this machine -> where the tools see it, read-only.
            network: whether the tools reach what this machine reaches; nothing otherwise.

        Raises:
            EngineError: no Docker engine answers, or the image cannot be built.
        """
        client = connect(timeout=TIMEOUT_SECONDS)
        images = Images(client=client, report=report).ensure([TOOLS])
        with told_as("open the toolbox"):
            container = client.containers.run(
                images[TOOLS.name],
                ["sleep", "infinity"],
                entrypoint=[],
                detach=True,
                init=True,
                network_mode="bridge" if network else "none",
                security_opt=["label=disable"],
                volumes={
                    str(path): {"bind": at, "mode": "ro"} for path, at in (mounts or {}).items()
                },
            )
        try:
            yield cls(client=client, container=container)
        finally:
            with told_as("close the toolbox"):
                container.remove(force=True, v=True)

    def run(self, argv: Sequence[str], *, directory: str = "/") -> Output:
        """Run a command and wait for it; several may run at once.

        Args:
            argv: the command.
            directory: where it runs.

        Raises:
            EngineError: the command could not be started.
        """
        with told_as(f"run {argv[0]} in the toolbox"):
            bounded = ["timeout", str(TIMEOUT_SECONDS), *argv]
            done = execute(self._client, self._container, bounded, directory=directory)
        return Output(code=done.code, stdout=done.wrote(STDOUT), stderr=decoded(done.wrote(STDERR)))

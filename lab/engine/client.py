"""The Docker client, and what its users would otherwise write again: errors, builds, commands."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException
from docker.models.containers import Container

from lab.engine.base import EngineError

_HEAD = struct.Struct(">BxxxL")
_END_SECONDS = 10.0
# The streams of a command, as the engine numbers them.
STDOUT, STDERR = 1, 2


def connect(*, timeout: float = 60.0) -> docker.DockerClient:
    """Return a client of the Docker engine that the environment names.

    Raises:
        EngineError: no engine answers.
    """
    try:
        client = docker.from_env(timeout=int(timeout))
        client.ping()
    except (DockerException, OSError) as error:
        raise EngineError(
            "no Docker engine answers",
            remedy="Start it, or let `./invoke lab-up` install and start one",
        ) from error
    return client


@contextmanager
def told_as(what: str) -> Iterator[None]:
    """Turn an answer of the Docker engine into one line about *what* was to be done."""
    try:
        yield
    except APIError as error:
        raise EngineError(f"{what}: {error.explanation or error}", where="docker") from error
    except (DockerException, OSError) as error:
        raise EngineError(f"{what}: {error}", where="docker") from error


def build(
    client: docker.DockerClient, directory: Path, *, tag: str, arguments: Mapping[str, str]
) -> None:
    """Build the image *tag* from the ``Dockerfile`` in *directory*.

    Args:
        client: the Docker client.
        directory: the build's context.
        tag: the image's full name.
        arguments: name -> value of what the ``Dockerfile`` is told (``ARG``).

    Raises:
        EngineError: it failed; the message has its last lines.
    """
    with told_as(f"build the image {tag}"):
        try:
            client.images.build(
                path=str(directory), tag=tag, buildargs=dict(arguments), rm=True, forcerm=True
            )
        except BuildError as error:
            said = [str(line.get("stream", "")).strip() for line in error.build_log]
            tail = " | ".join([line for line in said if line][-3:])
            raise EngineError(
                f"the build failed: {error.msg}. It said: {tail}", where=str(directory)
            ) from error


@dataclass(frozen=True, kw_only=True)
class Executed:
    """What a command in a container did.

    Attributes:
        code: its exit code.
        frames: what it wrote, in order: stream (:data:`STDOUT`, :data:`STDERR`) and data.
    """

    code: int
    frames: Sequence[tuple[int, bytes]]

    def wrote(self, *streams: int) -> bytes:
        """Return what it wrote to *streams*; to all when there are none."""
        return b"".join(data for stream, data in self.frames if not streams or stream in streams)


def execute(
    client: docker.DockerClient, container: Container, argv: Sequence[str], *, directory: str = ""
) -> Executed:
    """Run a command in a container and wait for it.

    The SDK's own ``exec_run`` upgrades the connection, and loses what arrives together with the
    head of the answer (docker-py, issue 3332): on a busy computer 67 of 400 answers were empty.
    Without an upgrade the answer is an ordinary body.

    Args:
        client: the Docker client.
        container: the container.
        argv: the command.
        directory: where it runs; the container's own place when empty.

    Raises:
        APIError: the engine refuses.
        EngineError: the engine does not say how the command ended.
    """
    api = client.api
    made = api.exec_create(container.id, list(argv), workdir=directory or None)["Id"]
    response = api.post(
        f"{api.base_url}/v{api.api_version}/exec/{made}/start",
        json={"Detach": False, "Tty": False},
        timeout=api.timeout,
    )
    if not response.ok:
        said = str(response.json()["message"])
        raise APIError(f"exec: {said}", response=response, explanation=said)
    return Executed(code=_exit_code(api, made), frames=tuple(frames(response.content)))


def _exit_code(api: docker.APIClient, made: str) -> int:
    """Return how a command ended; the engine may know it a moment after the last of its output."""
    deadline = time.monotonic() + _END_SECONDS
    while (found := api.exec_inspect(made))["ExitCode"] is None or found["Running"]:
        if time.monotonic() > deadline:
            raise EngineError(
                f"a command closed its output and has not ended for {_END_SECONDS:.0f} s",
                where="docker",
            )
        time.sleep(0.01)
    return int(found["ExitCode"])


def frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield stream and data of each frame (Docker Engine API, "Attach to a container")."""
    at = 0
    while at + _HEAD.size <= len(body):
        stream, length = _HEAD.unpack_from(body, at)
        at += _HEAD.size
        yield stream, body[at : at + length]
        at += length


def decoded(said: bytes | Iterator[bytes] | str) -> str:
    """Return what a container wrote, in whatever form the client gives it."""
    if isinstance(said, str):
        return said
    return (said if isinstance(said, bytes) else b"".join(said)).decode(errors="replace")

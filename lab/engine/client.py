"""The Docker client, and what each of its users would otherwise write again: errors, builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException

from lab.engine.base import EngineError


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


def decoded(said: bytes | Iterator[bytes] | str) -> str:
    """Return what a container wrote, in whatever form the client gives it."""
    if isinstance(said, str):
        return said
    return (said if isinstance(said, bytes) else b"".join(said)).decode(errors="replace")

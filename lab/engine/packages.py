"""What an image is made of: a checksum over its packages and their versions.

A tag says which recipe made an image, not what the archive had on that day.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import docker

from lab.engine.client import told_as

_LIST = ("dpkg-query", "--show", "--showformat", "${Package} ${Architecture} ${Version}\\n")


def checksum(client: docker.DockerClient, tag: str, *, cache: Path) -> str:
    """Return SHA-256 over the sorted list of an image's packages.

    Args:
        client: the Docker client.
        tag: the image's name.
        cache: directory in which it is remembered by the image's identity.

    Raises:
        EngineError: there is no such image, or it has no dpkg.
    """
    with told_as(f"list the packages of {tag}"):
        identity = str(client.images.get(tag).id).removeprefix("sha256:")
        known = cache / identity
        if not known.is_file():
            said: bytes = client.containers.run(
                tag, list(_LIST), entrypoint=[], network_mode="none", remove=True
            )
            listed = b"".join(sorted(said.splitlines(keepends=True)))
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            known.write_text(hashlib.sha256(listed).hexdigest())
    return known.read_text()

"""Which engine makes which machine: chosen per lab, or host by host.

``docker``, ``vagrant`` (every host of the fleet), or a list such as ``oslo=vagrant``. The world
outside always consists of containers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import docker

from lab.console import Reporter
from lab.engine.base import Engine, EngineError
from lab.engine.disks import LABS, Disks, place
from lab.engine.docker import DockerEngine
from lab.engine.images import Images
from lab.engine.mixed import MixedEngine
from lab.engine.vagrant import VagrantEngine

CONTAINERS = "docker"
VIRTUAL = "vagrant"
ENGINES = (CONTAINERS, VIRTUAL)


def parse(text: str, *, hosts: Sequence[str]) -> dict[str, str]:
    """Return host -> engine, for hosts that are not containers.

    Args:
        text: what a person wrote after ``--engine``.
        hosts: the fleet's hosts.

    Raises:
        EngineError: there is no such engine or host.
    """
    chosen: dict[str, str] = {}
    for part in text.split(","):
        host, equals, engine = part.strip().rpartition("=")
        if engine not in ENGINES:
            raise EngineError(
                f"there is no engine {engine!r}",
                where="--engine",
                remedy=f"Say {' or '.join(ENGINES)}, or HOST={VIRTUAL}",
            )
        if equals and host not in hosts:
            raise EngineError(
                f"there is no host {host!r}", where="--engine", remedy=f"One of {', '.join(hosts)}"
            )
        chosen |= dict.fromkeys([host] if equals else hosts, engine)
    return {host: engine for host, engine in chosen.items() if engine != CONTAINERS}


def found(lab: str) -> dict[str, str]:
    """Return host -> engine by what there is of a lab, for when its notes cannot be read."""
    return {path.name: VIRTUAL for path in (place() / LABS / lab).glob("*")}


def engine(
    *,
    lab: str,
    chosen: Mapping[str, str],
    tools: str,
    client: docker.DockerClient,
    report: Reporter,
) -> Engine:
    """Return the engine of a lab.

    Args:
        lab: its name.
        chosen: host -> engine, as :func:`parse` returns it.
        tools: image of the helper that lays cables.
        client: the Docker client.
        report: where progress goes.
    """
    containers = DockerEngine(
        lab=lab, tools=tools, client=client, images=Images(client=client, report=report)
    )
    named = [host for host, which in chosen.items() if which == VIRTUAL]
    if not named:
        return containers
    disks = Disks(client=client, report=report)
    return MixedEngine(
        containers=containers,
        virtual=VagrantEngine(lab=lab, disks=disks, hosts=named),
        named=named,
    )

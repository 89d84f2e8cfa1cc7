"""Containers with systemd as PID 1, through the Docker SDK.

A container gets no network from Docker (``network=none``): the lab lays its own cables
(:mod:`lab.engine.wiring`), because Docker's bridges drop what a router would forward between
them. It gets two capabilities and the default seccomp profile, never ``--privileged``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import ContainerError, ImageNotFound, NotFound
from docker.models.containers import Container

from lab.engine.archive import archive
from lab.engine.base import Answer, EngineError, MachineSpec, Room, State, known_as, unknown
from lab.engine.client import decoded, execute, told_as
from lab.engine.images import Images, Recipe
from lab.engine.wiring import End, Namespace
from lab.parallel import side_by_side

LAB_LABEL = "generalprove.lab"
MACHINE_LABEL = "generalprove.machine"
# Enough for systemd to mount and for a host to own its network (findings: engine).
CAPABILITIES = ["SYS_ADMIN", "NET_ADMIN"]
# Docker turns IPv6 off where it lays no IPv6 network of its own.
SYSCTLS = {f"net.ipv6.conf.{scope}.disable_ipv6": "0" for scope in ("all", "default", "lo")}
TUN = "/dev/net/tun:/dev/net/tun:rwm"
# One that was created but never started may lack its files: it does not count as made.
STATES = {
    "exited": State.STOPPED,
    "dead": State.STOPPED,
    "running": State.RUNNING,
    "paused": State.FROZEN,
}
STOP_SECONDS = 20


class DockerEngine:
    """The machines of one lab as containers called ``gp-LAB-MACHINE``.

    Args:
        lab: name of the lab.
        tools: image of the helper that lays cables; it has ``ip`` and ``nsenter``.
        client: the Docker client to use.
        images: what makes images.
    """

    def __init__(
        self, *, lab: str, tools: str, client: docker.DockerClient, images: Images
    ) -> None:
        self._lab = lab
        self._tools = tools
        self._client = client
        self._images = images

    @property
    def name(self) -> str:
        """Docker."""
        return "Docker"

    @property
    def forms(self) -> tuple[str, ...]:
        """A container starts from what a container was saved as."""
        return ("",)

    def ensure(self, recipes: Sequence[Recipe]) -> None:
        """Build the images that are missing."""
        self._images.ensure(recipes)

    def room(self) -> Room:
        """Say where Docker keeps its images, and how many containers run."""
        with told_as("ask the engine about itself"):
            info = self._client.info()
        return Room(places=(Path(info["DockerRootDir"]),), running=info["ContainersRunning"])

    def states(self) -> Mapping[str, State]:
        """Return every machine of this lab that exists, with its state.

        A container that somebody started by hand from a milestone's image has the labels of the
        machine that it was; only the name says that it is one.
        """
        with told_as("list the machines"):
            found = self._client.api.containers(
                all=True, filters={"label": [f"{LAB_LABEL}={self._lab}", MACHINE_LABEL]}
            )
        return {
            name: STATES[one["State"]]
            for one in found
            if one["State"] in STATES
            and f"/{self._name(name := one['Labels'][MACHINE_LABEL])}" in one["Names"]
        }

    def create(self, specs: Sequence[MachineSpec]) -> None:
        """Make containers, stopped, with their files in place."""
        limited = self._limits_possible()
        side_by_side(lambda spec: self._create(spec, limited=limited), specs)

    def _create(self, spec: MachineSpec, *, limited: bool) -> None:
        options: dict[str, Any] = {}
        if limited and spec.cores:
            options["nano_cpus"] = spec.cores * 10**9
        if limited and spec.memory_mb:
            options["mem_limit"] = f"{spec.memory_mb}m"
        if spec.cache:
            volume = f"generalprove-cache-{spec.name}"
            options["volumes"] = {volume: {"bind": spec.cache, "mode": "rw"}}
        self._remove(spec.name)
        with told_as(f"make the machine {spec.name}"):
            container = self._client.containers.create(
                spec.image,
                name=self._name(spec.name),
                hostname=spec.name,
                labels={LAB_LABEL: self._lab, MACHINE_LABEL: spec.name},
                cap_add=CAPABILITIES,
                security_opt=["apparmor=unconfined", "label=disable"],
                devices=[TUN],
                cgroupns="private",
                network_mode="bridge" if spec.uplink else "none",
                sysctls=SYSCTLS,
                **options,
            )
            if spec.files:
                container.put_archive("/", archive(spec.files))

    def start(self, names: Sequence[str]) -> None:
        """Start containers; those that run already are left alone."""
        side_by_side(lambda name: self._do("start", name, lambda box: box.start()), names)

    def stop(self, names: Sequence[str]) -> None:
        """Shut containers down through systemd."""
        side_by_side(
            lambda name: self._do("stop", name, lambda box: box.stop(timeout=STOP_SECONDS)), names
        )

    def kill(self, names: Sequence[str]) -> None:
        """Kill containers; a stopped one stays stopped. The page cache survives (findings)."""
        running = [name for name in names if self.states().get(name) is not State.STOPPED]
        side_by_side(lambda name: self._do("kill", name, lambda box: box.kill()), running)

    def freeze(self, names: Sequence[str]) -> None:
        """Pause containers."""
        side_by_side(lambda name: self._do("freeze", name, lambda box: box.pause()), names)

    def thaw(self, names: Sequence[str]) -> None:
        """Unpause containers."""
        side_by_side(lambda name: self._do("thaw", name, lambda box: box.unpause()), names)

    def remove(self, names: Sequence[str]) -> None:
        """Remove containers in whatever state they are; one that is gone already is fine."""
        side_by_side(self._remove, names)

    def _remove(self, name: str) -> None:
        with told_as(f"remove the machine {name}"):
            try:
                self._client.containers.get(self._name(name)).remove(force=True, v=True)
            except NotFound:
                return

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        timeout: float = 30.0,
        check: bool = True,
    ) -> Answer:
        """Run a command in a container; ``timeout(1)`` bounds it, as Docker's exec has no limit."""
        with told_as(f"run {argv[0]} on {name}"):
            bounded = ["timeout", f"{timeout:.0f}", *argv]
            done = execute(self._client, self._container(name), bounded)
        answer = Answer(code=done.code, output=decoded(done.wrote()))
        if check:
            answer.demand(argv, where=name)
        return answer

    def ends(self, names: Sequence[str]) -> Mapping[str, End]:
        """Return the network of each container's PID 1, read anew (0 means that it exited)."""
        found: dict[str, End] = {}

        def look(name: str) -> None:
            with told_as(f"inspect {name}"):
                inspected = self._client.api.inspect_container(self._name(name))
            pid = inspected["State"]["Pid"]
            if not pid:
                raise EngineError("the machine is not running, so it has no network", where=name)
            found[name] = Namespace(pid=str(pid))

        side_by_side(look, names)
        return found

    def script(self, text: str) -> None:
        """Run a shell script in a short-lived helper that may enter every network."""
        with told_as("lay the cables"):
            try:
                self._client.containers.run(
                    self._tools,
                    ["-ec", text],
                    entrypoint=["/bin/sh"],
                    remove=True,
                    pid_mode="host",
                    network_mode="none",
                    cap_drop=["ALL"],
                    cap_add=["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"],
                    security_opt=["apparmor=unconfined", "label=disable"],
                    labels={LAB_LABEL: self._lab},
                    stderr=True,
                )
            except ContainerError as error:
                said = decoded(error.stderr or b"").strip()
                raise EngineError(f"the cables could not be laid: {said[-300:]}") from None

    def snapshot(self, name: str, tag: str) -> None:
        """Commit a stopped container."""
        repository, _, version = tag.partition(":")
        with told_as(f"save {name}"):
            self._container(name).commit(repository=repository, tag=version)

    def images(self, prefix: str) -> Sequence[str]:
        """Return the tags that begin with *prefix*."""
        with told_as("list the images"):
            found = self._client.images.list()
        return sorted(tag for image in found for tag in image.tags if tag.startswith(prefix))

    def discard(self, tags: Sequence[str]) -> None:
        """Remove images; one that is gone already is fine."""
        for tag in tags:
            with told_as(f"discard {tag}"):
                try:
                    self._client.images.remove(tag, force=True)
                except ImageNotFound:
                    continue

    def sweep(self) -> None:
        """Remove every container of this lab, helpers included."""
        with told_as("list what belongs to the lab"):
            found = self._client.containers.list(
                all=True, filters={"label": f"{LAB_LABEL}={self._lab}"}, ignore_removed=True
            )
        with told_as("remove what belongs to the lab"):
            side_by_side(_remove_container, found)

    def limits(self) -> str:
        """Say whether this Docker can impose the limits of the real hardware."""
        if self._limits_possible():
            return ""
        return "this Docker engine cannot limit cores and memory: memory is measured instead"

    def console(self, name: str, *, lines: int) -> str:
        """Return what PID 1 printed."""
        with told_as(f"read the console of {name}"):
            return decoded(self._container(name).logs(tail=lines))

    def jump(self, name: str) -> str:
        """Return a ProxyCommand through ``docker exec``, which needs no port of the laptop."""
        return f"docker exec -i {self._name(name)} nc 127.0.0.1 22"

    def _name(self, machine: str) -> str:
        return known_as(self._lab, machine)

    def _container(self, machine: str) -> Container:
        try:
            return self._client.containers.get(self._name(machine))
        except NotFound:
            raise unknown(machine) from None

    def _do(self, verb: str, name: str, action: Callable[[Container], object]) -> None:
        with told_as(f"{verb} {name}"):
            action(self._container(name))

    def _limits_possible(self) -> bool:
        info = self._client.info()
        return bool(info.get("MemoryLimit")) and bool(info.get("CpuCfsQuota"))


def _remove_container(container: Container) -> None:
    try:
        container.remove(force=True, v=True)
    except NotFound:
        return

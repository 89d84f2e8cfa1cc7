"""Is this machine fit for a lab? Asked before anything is made; each no names its remedy.

The plan is pure: facts in, problems out. Only :func:`look` touches the machine.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from pathlib import Path

from lab.addresses import BLOCK_V4
from lab.engine.base import EngineCheckError

# Measured: 128 inotify instances are used up by about 25 machines, and what fails then fails
# without a word (findings on the engine).
INOTIFY_PER_MACHINE = 5
DISK_MB = 6_000
MEMORY_MB_PER_LAB = 2_500
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found on this machine.

    Attributes:
        inotify: ``fs.inotify.max_user_instances``; 0 where there is no such thing.
        disk_mb: free MiB where the engine keeps its images.
        memory_mb: MiB of memory that can still be used.
        routes: networks that this machine itself has routes to (without the default).
        tun: whether /dev/net/tun exists, which WireGuard in user space needs.
    """

    inotify: int
    disk_mb: int
    memory_mb: int
    routes: Sequence[IPv4Network]
    tun: bool


def problems(facts: Facts, *, machines: int, net: IPv4Network = BLOCK_V4) -> list[str]:
    """Return a line for everything that would make a lab of *machines* machines fail."""
    found = []
    needed = max(64, INOTIFY_PER_MACHINE * machines)
    if facts.inotify and facts.inotify < needed:
        found.append(
            f"{facts.inotify} inotify instances are too few for {machines} machines: "
            f"`sysctl -w fs.inotify.max_user_instances=1024`"
        )
    if facts.disk_mb < DISK_MB:
        found.append(
            f"{facts.disk_mb} MB of disk are free, a lab needs {DISK_MB}: "
            "`docker image prune`, or `./invoke lab-down --images` for the lab's own"
        )
    if facts.memory_mb < MEMORY_MB_PER_LAB:
        found.append(
            f"{facts.memory_mb} MB of memory are available, a lab needs {MEMORY_MB_PER_LAB}: "
            "end something, or take another lab down (`./invoke lab-down --lab NAME`)"
        )
    if not facts.tun:
        found.append("/dev/net/tun is missing: `modprobe tun`")
    found += [
        f"this machine has a route to {route}, which overlaps the lab's {net}: "
        "remove the route, or choose other lab addresses in fleet.yaml"
        for route in facts.routes
        if route.overlaps(net)
    ]
    return found


def check(facts: Facts, *, machines: int, net: IPv4Network = BLOCK_V4) -> None:
    """Refuse a machine that is not fit.

    Raises:
        EngineCheckError: with every problem and its remedy.
    """
    if found := problems(facts, machines=machines, net=net):
        raise EngineCheckError("not fit for a lab: " + "; ".join(found), where="this machine")


def look(*, places: Sequence[Path]) -> Facts:
    """Find the facts.

    Args:
        places: where the engine keeps images and disks; the free space of ``/`` counts where a
            directory cannot be seen (an engine inside a virtual machine).
    """
    return Facts(
        inotify=int(INOTIFY.read_text()) if INOTIFY.exists() else 0,
        disk_mb=min(shutil.disk_usage(place if place.exists() else "/").free for place in places)
        // 2**20,
        memory_mb=_available_mb(),
        routes=_routes(),
        tun=Path("/dev/net/tun").exists() or not Path("/proc").exists(),
    )


def _available_mb() -> int:
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return MEMORY_MB_PER_LAB
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return MEMORY_MB_PER_LAB


def _routes() -> list[IPv4Network]:
    """Return this machine's own IPv4 routes; none where iproute2 is missing."""
    if shutil.which("ip") is None:
        return []
    said = subprocess.run(
        ["ip", "-json", "-4", "route"], capture_output=True, text=True, check=False
    )
    entries = json.loads(said.stdout or "[]")
    found = [ip_network(entry["dst"]) for entry in entries if entry.get("dst") != "default"]
    return [route for route in found if isinstance(route, IPv4Network)]

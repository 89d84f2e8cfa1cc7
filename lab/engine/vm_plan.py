"""A virtual machine on paper: specification in, files and XML out. Nothing here touches anything.

What Vagrant makes of it says the ``Vagrantfile``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.engine.base import EngineError, File, MachineSpec, known_as
from lab.engine.wiring import network_file

KVM, EMULATION = "kvm", "qemu"
NETWORK = "/etc/systemd/network/10-lab.network"
# Container images keep what Docker hides below /etc/lab (lab/engine/images/base/init).
KEPT = ("hostname", "hosts", "resolv.conf")
# The disk has no boot loader: the engine hands over the kernel that is on it. Interfaces keep
# the kernel's names, as many providers have it. An emulated processor has nothing to leak, and
# the kernel's guards against that cost it a fifth of its time.
COMMAND_LINE = "root=/dev/vda ro console=ttyS0 net.ifnames=0 panic=10"
EMULATED = "mitigations=off loglevel=4 systemd.show_status=no"
# A machine may have this share of the computer's memory at most: hosts of the fleet are larger
# than the laptop they are rehearsed on.
MEMORY_SHARE = 4
LEAST_MB = 1024


@dataclass(frozen=True, kw_only=True)
class Computer:
    """What virtual machines run on.

    Attributes:
        cores: its processor cores.
        memory_mb: its memory in MiB.
        driver: ``kvm``, or ``qemu`` where it has to be emulated.
    """

    cores: int
    memory_mb: int
    driver: str

    @property
    def pace(self) -> float:
        """How many times longer a machine's work takes than a container's."""
        return 1.0 if self.driver == KVM else 8.0


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A disk that machines start from, with the kernel that is on it.

    Attributes:
        disk: the image, never written to.
        kernel: its kernel.
        initrd: its initial RAM disk.
    """

    disk: Path
    kernel: Path
    initrd: Path


def size(spec: MachineSpec, computer: Computer) -> tuple[int, int]:
    """Return cores and memory in MiB of a machine: the hardware's, as far as they are here."""
    memory = max(LEAST_MB, computer.memory_mb // MEMORY_SHARE)
    cores = min(spec.cores or 1, computer.cores)
    return cores, min(spec.memory_mb or LEAST_MB, memory)


def device(lab: str, machine: str) -> str:
    """Return the name of the device behind which a machine's cable is; 15 characters at most."""
    return f"gp{hashlib.sha256(known_as(lab, machine).encode()).hexdigest()[:10]}"


def nic(lab: str, machine: str) -> str:
    """Return libvirt's XML of a machine's network card, the same one each time."""
    digest = hashlib.sha256(f"{lab}\0{machine}".encode()).hexdigest()
    mac = ":".join(("52", "54", "00", digest[0:2], digest[2:4], digest[4:6]))
    return (
        f"<interface type='ethernet'><mac address='{mac}'/>"
        f"<target dev='{device(lab, machine)}'/><model type='virtio'/></interface>\n"
    )


def files(spec: MachineSpec) -> dict[str, File]:
    """Return the files that a machine is made with: the specification's, its names, its network.

    Raises:
        EngineError: the specification asks for what a virtual machine does not have.
    """
    if spec.uplink or spec.cache:
        raise EngineError("a virtual machine has no uplink and no cache", where=spec.name)
    found = dict(spec.files)
    if spec.cable and spec.gateway:
        found[NETWORK] = File(content=network_file(spec.cable, gateway=spec.gateway))
    if spec.files:
        found["/etc/lab/hostname"] = File(content=f"{spec.name}\n")
    for name in KEPT:
        if kept := found.get(f"/etc/lab/{name}"):
            found[f"/etc/{name}"] = kept
    return found


def vagrant_plan(
    *, lab: str, spec: MachineSpec, ground: Ground, directory: Path, seed: str, computer: Computer
) -> dict[str, Any]:
    """Return what the Vagrantfile reads of one machine.

    Args:
        lab: the lab.
        spec: the machine.
        ground: what it starts from.
        directory: where its own disks are.
        seed: which files it is made with: the second disk's serial number, 20 characters at most.
        computer: what it runs on.
    """
    cores, memory = size(spec, computer)
    emulated = computer.driver == EMULATION
    return {
        "prefix": known_as(lab, ""),
        "pool": known_as(lab, spec.name),
        "machines": {
            spec.name: {
                "driver": computer.driver,
                "cpus": cores,
                "memory": memory,
                "kernel": str(ground.kernel),
                "initrd": str(ground.initrd),
                "command_line": f"{COMMAND_LINE} {EMULATED}" if emulated else COMMAND_LINE,
                "disks": [
                    {"file": "disk.qcow2", "device": "vda", "type": "qcow2", "serial": "disk"},
                    {"file": "seed.tar", "device": "vdb", "type": "raw", "serial": seed},
                ],
                "console": str(directory / "console"),
            }
        },
    }

"""Whether this computer runs a virtual machine itself (KVM), or has to emulate its processor."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

from lab.engine.vm_plan import EMULATION, KVM, Computer, Ground

NOTE = "accelerator.json"
_PROBE_SECONDS = 12.0


def driver(ground: Ground, *, directory: Path) -> str:
    """Return ``kvm`` where this computer's KVM starts the kernel of *ground*, ``qemu`` elsewhere.

    A KVM that exists need not work: one that is itself virtual may know no stock kernel. It is
    tried once for each kernel, here and there.

    Args:
        ground: what machines start from.
        directory: where the answer is kept; the ``Vagrantfile`` reads it there.
    """
    note = directory / NOTE
    key = f"{platform.release()} {ground.kernel.stat().st_size} {_qemu_version()}"
    try:
        known = json.loads(note.read_text())
    except (OSError, ValueError):
        known = {}
    if known.get("key") != key:
        works = Path("/dev/kvm").exists() and _boots(ground)
        known = {"key": key, "driver": KVM if works else EMULATION}
        note.write_text(json.dumps(known))
    return str(known["driver"])


def computer(driver: str) -> Computer:
    """Return what this computer has for machines that are run by *driver*."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return Computer(cores=os.cpu_count() or 1, memory_mb=memory, driver=driver)


def _boots(ground: Ground) -> bool:
    """Whether a kernel says its first word under KVM within seconds."""
    try:
        process = subprocess.run(
            [
                *("timeout", f"{_PROBE_SECONDS:.0f}", "qemu-system-x86_64", "-accel", "kvm"),
                *("-cpu", "host", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot"),
                *("-serial", "stdio", "-kernel", str(ground.kernel), "-initrd", str(ground.initrd)),
                *("-append", "console=ttyS0 panic=-1 root=/dev/null rootwait=1"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    return b"Linux version" in process.stdout


def _qemu_version() -> str:
    try:
        said = subprocess.run(
            ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return said.stdout.partition("\n")[0]

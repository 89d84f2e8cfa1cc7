"""Python packages for a host that reaches no package index: fetched here, by checksum."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from lab.errors import CouldNotError
from lab.text import last_line

# What Debian 13 runs on the hosts.
_PYTHON: Final = "3.13"
_PLATFORMS: Final = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")


class WheelsError(CouldNotError):
    """Wheels could not be fetched."""


def fetch(requirements: Path) -> Path:
    """Return a directory with the wheels that a requirements file names by checksum.

    They are fetched once, from whatever index pip is configured for, into the user's cache.

    Args:
        requirements: a file for ``pip install --require-hashes``.

    Raises:
        WheelsError: pip could not fetch them.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    target = base / "generalprove" / "wheels" / digest
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=target.parent))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(aside)),
            *("--require-hashes", "--requirement", str(requirements), "--no-deps"),
            *("--implementation", "cp", "--python-version", _PYTHON),
            *(part for platform in _PLATFORMS for part in ("--platform", platform)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(aside)
        raise WheelsError(f"pip: {last_line(done.stderr)}", where=str(requirements))
    # Another one may have been faster; either has the same in it.
    shutil.rmtree(aside) if target.is_dir() else aside.rename(target)
    return target

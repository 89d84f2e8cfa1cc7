"""What the lab's ACME authority issues, and how long it is believed.

The authority makes itself a new root at each start. What it has issued would then be nobody's,
so every root that it was ever seen with is kept among the lab's secrets, and goes with them into
the milestones.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from lab.operator.acme import Acme
from lab.operator.ssh import Ssh
from lab.world.machines import AUTHORITY, OUTSIDE

_MANAGEMENT: Final = 15000


def authority(*, ssh: Ssh, name: str, root: str, kept: Path) -> Acme:
    """Return the lab's authority, as the operator knows it.

    Args:
        ssh: the way to the machine of the users.
        name: of the authority, absolute.
        root: what certifies its address, and the old server's; PEM.
        kept: directory of the lab's secrets.
    """
    host = name.rstrip(".")
    directory = kept / "acme" / "roots"

    def roots() -> str:
        # The authority is started by its first visitor, and not by one of its management's.
        command = ["curl", "--silent", "--show-error", "--fail", "--cacert", AUTHORITY]
        again = ["--retry", "20", "--retry-delay", "1", "--retry-connrefused"]
        ssh.run(OUTSIDE, [*command, *again, "--output", "/dev/null", f"https://{host}/dir"])
        now = ssh.run(OUTSIDE, [*command, *again, f"https://{host}:{_MANAGEMENT}/roots/0"]).stdout
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep(now, directory / f"{hashlib.sha256(now.encode()).hexdigest()[:12]}.pem")
        return root + "".join(path.read_text() for path in sorted(directory.glob("*.pem")))

    return Acme(directory=f"https://{host}/dir", authority=root, roots=roots)


def keep(text: str, path: Path) -> None:
    """Let *path* hold *text* all at once: threads that ask four servers read it meanwhile."""
    if path.exists():
        return
    with NamedTemporaryFile("w", dir=path.parent, suffix=".new", delete=False) as aside:
        aside.write(text)
    Path(aside.name).replace(path)

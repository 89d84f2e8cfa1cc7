"""The control host's own say: evidence is brought there, and judged there once more.

What decides is ``puppet/site/profile/files/promotion/accept.py`` as the release in force has
installed it, with the signers that the release in force names.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from typing import Final

from lab.errors import CheckFailedError, CouldNotError, Exit
from lab.operator.puppet import Puppet
from lab.promote.evidence import Stored
from lab.promote.journal import DIRECTORY
from lab.text import last_line

PROGRAM: Final = "/usr/local/sbin/generalprove-accept"

_REFUSED: Final = 1
_NOT_THERE: Final = 127


class AcceptanceError(CouldNotError):
    """The control host could not be asked, or cannot tell."""


class AcceptanceCheckError(CheckFailedError):
    """The control host does not accept a release.

    Args:
        reasons: why, as it says.
        where: the control host.
    """

    exit_code = Exit.REFUSED

    def __init__(self, reasons: Sequence[str], *, where: str) -> None:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        super().__init__(
            f"it does not accept the release: {reasons[0]}{more}",
            where=where,
            remedy="`./invoke evidence` shows what has been proven of this tree",
        )
        self.reasons = tuple(reasons)


class Acceptance:
    """Asks the control host.

    Args:
        puppet: Puppet there.
        state: where it keeps what belongs to promotions.
    """

    def __init__(self, *, puppet: Puppet, state: str = DIRECTORY) -> None:
        self._ssh = puppet.ssh
        self._host = puppet.control
        self._state = state

    def offer(self, release: str, statements: Sequence[Stored]) -> None:
        """Bring the evidence of a release; what was offered for it before is replaced.

        Args:
            release: its name.
            statements: those with a good signature; others are not sent.
        """
        target = f"{self._state}/evidence/{release}"
        script = f"""
            umask 027; mkdir -p {self._state}/evidence
            rm -rf {target}.new; mkdir {target}.new
            tar -xf - --no-same-owner -C {target}.new
            rm -rf {target}; mv -T {target}.new {target}
        """
        self._ssh.run(self._host, script, stdin=_archive(statements))

    def judge(self, release: str) -> None:
        """Let the control host judge a release that has been pushed.

        Raises:
            AcceptanceCheckError: it says no, and why.
            AcceptanceError: it cannot tell.
        """
        said = self._ssh.run(self._host, [PROGRAM, release], check=False)
        reasons = said.stdout.splitlines()
        if said.ok:
            return
        if said.code == _REFUSED and reasons:
            raise AcceptanceCheckError(reasons, where=self._host)
        if said.code == _NOT_THERE:
            raise AcceptanceError(
                f"there is no {PROGRAM}",
                where=self._host,
                remedy="`./invoke step control --on production` sets it up",
            )
        why = last_line(said.stderr) or f"{PROGRAM} exited with {said.code}"
        raise AcceptanceError(why, where=self._host)


def _archive(statements: Sequence[Stored]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for stored in statements:
            if stored.good:
                for name, content in stored.files().items():
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mode = len(content), 0o640
                    tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()

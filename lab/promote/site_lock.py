"""One promotion at a time: a lock on the control host, held by a living connection.

``flock(1)`` there holds it for as long as the session lasts. Whoever dies lets go: at once when
the process is killed, within a minute when the laptop is (``ClientAliveInterval`` of the hosts'
sshd). What remains is a note of who it was.
"""

from __future__ import annotations

import getpass
import json
import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from lab.errors import CheckFailedError, CouldNotError, Exit
from lab.operator.ssh import Ssh
from lab.promote.journal import DIRECTORY
from lab.text import last_line

_TAKEN: Final = 9
# Our own session of before may still be ending there.
_RETAKE_SECONDS: Final = 20.0
_SCRIPT: Final = f"""
cd {DIRECTORY} 2>/dev/null || {{ mkdir -p -m 0750 {DIRECTORY}; cd {DIRECTORY}; }}
exec 9>>lock
flock --wait "$WAIT" 9 || exit {_TAKEN}
IFS= read -r note
printf '%s\\n' "$note" >holder.json
echo held
cat >/dev/null
"""


class SiteLockError(CouldNotError):
    """The lock could not be asked for, or was lost."""


class SiteLockCheckError(CheckFailedError):
    """Somebody else is promoting."""

    exit_code = Exit.REFUSED


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds the lock.

    Attributes:
        who: user and machine.
        why: what for.
        since: when, in UTC (ISO 8601).
    """

    who: str
    why: str
    since: str


def me() -> str:
    """Return who works here: user and machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


class SiteLock:
    """The lock of one site.

    Args:
        ssh: the way to the control host.
        host: its name.
    """

    def __init__(self, *, ssh: Ssh, host: str) -> None:
        self._ssh = ssh
        self._host = host
        self._session: subprocess.Popen[str] | None = None

    @contextmanager
    def held(self, why: str) -> Iterator[None]:
        """Hold the lock while the block runs.

        Args:
            why: what for, for whoever finds it taken.

        Raises:
            SiteLockCheckError: somebody else has it: who, why, since when.
            SiteLockError: the control host could not be asked.
        """
        self._take(why)
        try:
            yield
        finally:
            self._let_go()

    def retake(self, why: str) -> None:
        """Take the lock again, because the control host was away and may have forgotten it."""
        self._let_go()
        self._take(why, wait=_RETAKE_SECONDS)

    def _take(self, why: str, *, wait: float = 0) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        note = json.dumps(asdict(Holder(who=me(), why=why, since=now)))
        session = subprocess.Popen(
            [*self._ssh.argv(self._host), f"WAIT={wait:.0f} sh -c {shlex.quote(_SCRIPT)}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C is for us; the lock stays until everything is written down.
            start_new_session=True,
        )
        self._session = session
        if session.stdin is None or session.stdout is None:
            raise SiteLockError("the session has no pipes", where=self._host)
        try:
            session.stdin.write(f"{note}\n")
            session.stdin.flush()
        except BrokenPipeError:
            pass  # it said why it ended
        if session.stdout.readline().strip() == "held":
            return
        self._refuse(session)

    def _refuse(self, session: subprocess.Popen[str]) -> None:
        """Say why the session ended before it had the lock."""
        _, errors = session.communicate()
        self._session = None
        if session.returncode != _TAKEN:
            raise SiteLockError(
                f"the lock could not be taken: {last_line(errors) or session.returncode}",
                where=self._host,
            )
        text = self._ssh.run(self._host, ["cat", f"{DIRECTORY}/holder.json"], check=False).stdout
        holder = Holder(**json.loads(text))
        raise SiteLockCheckError(
            f"{holder.who} is promoting since {holder.since}: {holder.why}",
            where=self._host,
            remedy="Wait until that has ended",
        )

    def _let_go(self) -> None:
        if self._session is None:
            return
        if self._session.stdin is not None:
            self._session.stdin.close()
        self._session.terminate()
        self._session.wait()
        self._session = None

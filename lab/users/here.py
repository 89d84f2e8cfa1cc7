"""Users on this machine, for an operator who watches the fleet from where they sit."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from lab.history import History, HistoryWriter
from lab.users.session import Progress, UsersError

if TYPE_CHECKING:
    from types import TracebackType

    from lab.users.probes import Plan

_PROJECT: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 20.0


@dataclass(kw_only=True)
class _Process:
    running: subprocess.Popen[bytes]
    said: Path

    def last_words(self) -> str:
        lines = self.said.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else "without a word"


class UsersHere:
    """The users of one run, as :class:`lab.users.session.Users`, but on this machine.

    Args:
        plan: what they ask.
        directory: where the history is kept.
    """

    def __init__(self, *, plan: Plan, directory: Path) -> None:
        self._plan = plan
        self._directory = directory
        self._process: _Process

    def __enter__(self) -> Self:
        """Start the users, and return once every one of them asks.

        Raises:
            UsersError: they cannot be started.
        """
        self.marks = HistoryWriter(directory=self._directory, name="laptop")
        plan, said = self._directory / "plan.json", self._directory / "users.log"
        plan.write_text(self._plan.to_json(), encoding="utf-8")
        with (
            tempfile.TemporaryDirectory() as scratch,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
            said.open("wb") as log,
        ):
            ready.bind(f"{scratch}/notify")
            ready.settimeout(_START_SECONDS)
            running = subprocess.Popen(
                [sys.executable, "-m", "lab.users.client", str(plan), str(self._directory)],
                cwd=_PROJECT,
                env={**os.environ, "NOTIFY_SOCKET": f"{scratch}/notify"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            self._process = _Process(running=running, said=said)
            try:
                ready.recv(64)
            except TimeoutError:
                self._stop()
                raise UsersError(f"the users did not start: {self._process.last_words()}") from None
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the users finish their last question."""
        self._stop()
        self.marks.close()

    def progress(self) -> Progress:
        """Return the counts so far.

        Raises:
            UsersError: the users died.
        """
        if self._process.running.poll() is not None:
            raise UsersError(f"the users died: {self._process.last_words()}")
        counted = Progress()
        for operation in self.history().operations:
            counted = counted.plus(operation)
        return counted

    def history(self) -> History:
        """Return everything written so far."""
        return History.read(self._directory)

    def _stop(self) -> None:
        self._process.running.terminate()
        try:
            self._process.running.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.running.kill()
            self._process.running.wait()

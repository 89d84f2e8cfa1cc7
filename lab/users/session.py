"""Users at work while something happens to the fleet: started, watched, fetched, judged."""

from __future__ import annotations

import io
import secrets
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from lab.errors import CouldNotError
from lab.history import History, HistoryWriter, Operation, Phase, parse
from lab.operator.ssh import Ssh, SshError
from lab.text import last_line
from lab.users.probes import LOOKUP
from lab.verdict import Budget, Verdict, guarded, judge

if TYPE_CHECKING:
    from types import TracebackType

    from lab.users.probes import Plan

_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED: Final = (
    "__init__.py",
    "errors.py",
    "history.py",
    "users/__init__.py",
    "users/client.py",
    "users/mail_census.py",
    "users/mail_changes.py",
    "users/mail_folders.py",
    "users/mail_messages.py",
    "users/mail_movers.py",
    "users/mail_pace.py",
    "users/mail_plan.py",
    "users/mail_playing.py",
    "users/mail_readers.py",
    "users/mail_senders.py",
    "users/mail_strangers.py",
    "users/mail_twins.py",
    "users/mail_wire.py",
    "users/probes.py",
    "users/resolving.py",
    "users/visiting.py",
    "users/visits.py",
    "users/walking.py",
)

LONGEST: Final = 4 * 3600
"""Seconds after which users go home by themselves, should nobody be left to stop them."""


class UsersError(CouldNotError):
    """The users could not be started, or they died."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How it goes so far.

    Attributes:
        total: operations that ended.
        failed: those that failed.
        undecided: those of which nobody can tell.
    """

    total: int = 0
    failed: int = 0
    undecided: int = 0

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.total:,} tried, {self.failed:,} failed"

    def plus(self, operation: Operation) -> Progress:
        """Count one more."""
        return Progress(
            total=self.total + 1,
            failed=self.failed + (operation.ok is False),
            undecided=self.undecided + (operation.ok is None),
        )


class Users:
    """The users of one run, from the start of the block to its end.

    ::

        with Users(ssh=ssh, plan=plan, directory=runs / "dns") as users:
            with users.marks.span("step", "dns"):
                step.apply()
        verdict = users.verdict("dns", budget=Budget(gap=1, at_least=10_000))

    Args:
        ssh: the way to the outside machine.
        plan: what they ask.
        directory: where the history is kept; it has to be empty or missing.
        host: the outside machine.
    """

    def __init__(self, *, ssh: Ssh, plan: Plan, directory: Path, host: str = "outside") -> None:
        self._ssh = ssh
        self._plan = plan
        self._host = host
        self._directory = directory
        self._unit = f"generalprove-users-{secrets.token_hex(4)}"
        self._remote = f"/run/{self._unit}"
        self._seen = directory / "outside.jsonl"
        self._progress: dict[str, Progress] = {}
        self._running = False

    def __enter__(self) -> Self:
        """Start the users, and return once every one of them asks.

        Raises:
            UsersError: they cannot be started.
        """
        if self._directory.exists() and any(self._directory.iterdir()):
            raise UsersError("there is a history already", where=str(self._directory))
        self.marks = HistoryWriter(directory=self._directory, name="laptop")
        self._ssh.write(self._host, f"{self._remote}/users.zip", shipped())
        self._ssh.write(self._host, f"{self._remote}/plan.json", self._plan.to_json())
        try:
            self._ssh.run(self._host, self._start_command())
        except SshError as error:
            why = f"the users did not start: {self._last_words()}"
            self._clear()
            raise UsersError(why, where=self._host) from error
        self._running = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the users finish their last question, and fetch what they wrote."""
        try:
            self._ssh.run(self._host, ["systemctl", "stop", f"{self._unit}.service"], check=False)
            self._fetch()
            self._clear()
        except SshError:
            if exc is None:  # else it is what went wrong first that matters
                raise
        finally:
            self._running = False
            self.marks.close()

    def mark(self, kind: str, name: str, phase: Phase = "at", *, detail: str = "") -> None:
        """Write into the history what happens on this side (:class:`lab.history.Mark`)."""
        self.marks.mark(kind, name, phase, detail=detail)

    def progress(self, kind: str = LOOKUP) -> Progress:
        """Return the counts of a kind so far; it costs one command on the outside machine.

        Raises:
            UsersError: the users died.
            SshError: the outside machine cannot be reached.
        """
        if self._running and not self._fetch():
            raise UsersError(f"the users died: {self._last_words()}", where=self._host)
        return self._progress.get(kind, Progress())

    def history(self) -> History:
        """Return everything written so far, by the users and on this side."""
        if self._running:
            self._fetch()
        return History.read(self._directory)

    def verdict(self, subject: str, *, budget: Budget, kind: str = LOOKUP) -> Verdict:
        """Judge the run; whatever goes wrong in doing so makes it unknown.

        Args:
            subject: what to call it.
            budget: what is allowed.
            kind: of the operations.
        """
        return guarded(
            subject, lambda: judge(self.history(), subject=subject, kind=kind, budget=budget)
        )

    def _start_command(self) -> list[str]:
        """A transient unit that is up when every probe is, and leaves nothing behind."""
        return [
            *("systemd-run", "--quiet", "--collect", "--unit", self._unit),
            "--service-type=notify",
            *("--property", "TimeoutStartSec=20"),
            *("--property", f"RuntimeMaxSec={LONGEST}"),
            *("--property", "LimitNOFILE=8192"),
            f"--setenv=PYTHONPATH={self._remote}/users.zip",
            *("python3", "-m", "lab.users.client"),
            *(f"{self._remote}/plan.json", f"{self._remote}/history"),
        ]

    def _fetch(self) -> bool:
        """Append what is new to this side's copy; return whether the users are alive."""
        have = self._seen.stat().st_size if self._seen.exists() else 0
        script = (
            f"systemctl is-active --quiet {self._unit}.service && echo alive >&2\n"
            f"tail -c +{have + 1} {self._remote}/history/outside.jsonl"
        )
        result = self._ssh.run(self._host, script)
        whole = result.stdout[: result.stdout.rfind("\n") + 1]
        with self._seen.open("a", encoding="ascii") as file:
            file.write(whole)
        for record in parse(whole, name=self._seen.name):
            if isinstance(record, Operation):
                before = self._progress.get(record.kind, Progress())
                self._progress[record.kind] = before.plus(record)
        return "alive" in result.stderr

    def _clear(self) -> None:
        self._ssh.run(self._host, ["rm", "-rf", self._remote])

    def _last_words(self) -> str:
        """Return the last thing that the program itself said."""
        journal = ["journalctl", "--no-pager", "--output=cat", "--lines=20"]
        wanted = f"_SYSTEMD_UNIT={self._unit}.service"
        said = self._ssh.run(self._host, [*journal, wanted], check=False).stdout
        return last_line(said) or "without a word"


def shipped() -> bytes:
    """Return the client as a zip archive that Python imports from."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _SHIPPED:
            archive.write(_PACKAGE / name, f"lab/{name}")
    return buffer.getvalue()

"""A mail server that is dead for good: what it had accepted for others is sent by the other one.

What people have in their mailboxes needs nobody: the other server delivers it within seconds of the
first one's silence (``puppet/site/profile/files/mail/mail_pair.py``), and copies can be taken out
again. What went out to somebody else cannot be taken back, and a server that is only cut off sends
it itself. So that waits for a person who knows.
"""

from __future__ import annotations

from typing import Final

from lab.errors import CheckFailedError, CouldNotError
from lab.fleet import Host
from lab.operator import Operator
from lab.operator.ssh import SshError
from lab.steps.mail_ha_facts import HOSTS
from lab.steps.web_facts import as_texts

_REPLAY: Final = ["mail-journal", "replay", "--peer-is-dead"]
_SECONDS: Final = 600.0


class TakeoverError(CouldNotError):
    """The other server could not send what the dead one had accepted."""


class TakeoverCheckError(CheckFailedError):
    """Nobody may send it: the server lives, or there is no other."""


class Takeover:
    """Lets the other mail server send what a dead one had accepted.

    Args:
        operator: the hands.
        host: the dead one.
    """

    def __init__(self, *, operator: Operator, host: Host) -> None:
        self._op = operator
        self._host = host

    def check(self) -> str:
        """See that it is dead, and say what would be sent; nothing is changed.

        Returns:
            The name of the other server.

        Raises:
            TakeoverCheckError: it lives, or there is no other.
        """
        name = self._host.name
        serving = as_texts(self._op.stage.read().get(HOSTS))
        others = [each for each in serving if each != name]
        if name not in serving or not others:
            raise TakeoverCheckError(
                "it serves no mail together with another host",
                where=name,
                remedy="Step mail_ha makes two hosts serve together",
            )
        if self._answers():
            raise TakeoverCheckError(
                "it answers, and sends what it had accepted itself",
                where=name,
                remedy="If it must not, shut it down first",
            )
        self._op.report.say(self._replay(others[0], apply=False))
        return others[0]

    def apply(self) -> None:
        """Send it.

        Raises:
            TakeoverCheckError: it lives, or there is no other.
            TakeoverError: some of it could not be sent.
        """
        self.send(self.check())

    def send(self, other: str) -> None:
        """Let *other* send it, for whoever knows that this one never will.

        Raises:
            TakeoverError: some of it could not be sent.
        """
        with self._op.report.task(f"Send from {other} what {self._host.name} had accepted"):
            said = self._replay(other, apply=True)
        self._op.report.say(said)

    def _answers(self) -> bool:
        try:
            self._op.ssh.run(self._host.name, ["true"], timeout=20)
        except SshError:
            return False
        return True

    def _replay(self, other: str, *, apply: bool) -> str:
        try:
            command = [*_REPLAY, *(["--apply"] if apply else [])]
            return self._op.ssh.run(other, command, timeout=_SECONDS).stdout.strip()
        except SshError as error:
            raise TakeoverError(
                error.what, where=other, remedy="It can be run again: nothing is sent twice by that"
            ) from error

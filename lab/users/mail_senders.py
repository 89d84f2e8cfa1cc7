"""Those who send: correspondents elsewhere, and the fleet's own people with their passwords.

Whoever sends keeps the message until somebody has taken it, and tries again with the same mark.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import smtplib
import ssl
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from lab.users.mail_messages import (
    BouncedError,
    KeptError,
    UnsureError,
    expect,
    hand_over,
    label,
    written,
)
from lab.users.mail_plan import LOGIN, MAIL, SUBMISSION
from lab.users.mail_wire import (
    PATIENCE,
    NoLoginError,
    NoMailError,
    Smtp,
    Stage,
    plainly,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.users.mail_plan import Correspondent, Letter, Submitter
    from lab.users.visits import Family

_AGAIN: Final = 0.5
"""Seconds until a person presses *send* again."""

_KEPT: Final = (2.0, 15.0)
"""Seconds until a mail server elsewhere tries again: the first time, and at most."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """A correspondent at work."""

    stage: Stage
    who: Correspondent

    def play(self) -> None:
        """Write until it is enough; what is kept meanwhile is tried in between."""
        kept: list[_Kept] = []
        letters = itertools.cycle(self.who.letters)
        beat = time.monotonic() + random.random() * self.who.cadence  # noqa: S311 - no secret
        while not self.stage.stop.wait(max(0.0, min([beat, *(k.due for k in kept)]) - _now())):
            if _now() >= beat:
                letter = next(letters)
                mark, content = written(letter)
                kept.append(_Kept(letter=letter, mark=mark, content=content))
                beat = max(beat + self.who.cadence, _now())
            kept = [one for one in kept if one.due > _now() or not self._tried(one)]
        for one in kept:
            self._note(one, ok=None, detail=f"still here: {one.why}")

    def _tried(self, one: _Kept) -> bool:
        """Try once, and return whether it is done with."""
        try:
            self._deliver(one)
        except BouncedError as error:
            self._note(one, ok=False, detail=str(error))
        except UnsureError as error:
            self._note(one, ok=None, detail=str(error))
            return one.keep(str(error))
        except NoMailError as error:
            return one.keep(str(error))
        else:
            self._note(one, ok=True, detail=one.why and f"first {one.why}")
        return True

    def _deliver(self, one: _Kept) -> None:
        why = ""
        for host, address in self._servers(one.letter):
            try:
                smtp = Smtp(host=host, address=address, port=25, trust=_anybody(), timeout=PATIENCE)
            except (OSError, smtplib.SMTPException) as error:
                why = f"{plainly(error)} at {address}"
                continue
            with contextlib.closing(smtp):
                self._greet(smtp)
                hand_over(smtp, one.letter, one.content)
                _leave(smtp)
                return
        raise KeptError(why or "nobody takes mail there")

    def _greet(self, smtp: Smtp) -> None:
        """Say hello, and seal the connection if the server offers it, as mail servers do."""
        try:
            smtp.ehlo()
            if smtp.has_extn("starttls"):
                smtp.starttls(context=_anybody())
                smtp.ehlo()
        except (OSError, smtplib.SMTPException) as error:
            raise KeptError(str(plainly(error))) from None

    def _servers(self, letter: Letter) -> Iterator[tuple[str, str]]:
        """Yield whom to try: the best first (RFC 5321 5.1)."""
        family = self.who.family
        hosts = [self.who.server]
        if self.who.route == "MX":
            domain = letter.to.rpartition("@")[2]
            found = [each.split() for each in self.stage.lookup(domain, "MX", family=family)]
            hosts = [host for _, host in sorted((int(rank), host) for rank, host in found)]
            hosts = hosts or [domain]
        other: Family = "4" if family == "6" else "6"
        for host in hosts:
            name = host.rstrip(".")
            for version in (family, other) if self.who.route == "MX" else (family,):
                with contextlib.suppress(NoMailError):
                    yield from ((name, one) for one in self._addresses(name, version))

    def _addresses(self, host: str, version: Family) -> list[str]:
        return self.stage.addresses(host, family=version)

    def _note(self, one: _Kept, *, ok: bool | None, detail: str) -> None:
        what = label(one.mark, one.letter)
        self.stage.record(MAIL, self.who.name, one.since_ns, ok=ok, what=what, detail=detail)


class _Kept:
    """A message that nobody has taken yet."""

    def __init__(self, *, letter: Letter, mark: str, content: bytes) -> None:
        self.letter, self.mark, self.content = letter, mark, content
        self.since_ns = time.monotonic_ns()
        self.due = 0.0
        self.why = ""
        self._wait = _KEPT[0]

    def keep(self, why: str) -> bool:
        """Wait longer each time; return that it is not done with."""
        self.why = self.why or why
        self.due = _now() + self._wait
        self._wait = min(self._wait * 2, _KEPT[1])
        return False


@dataclass(frozen=True, kw_only=True)
class Submitting:
    """One of the fleet's people who sends."""

    stage: Stage
    who: Submitter

    def play(self) -> None:
        """Send until it is enough; whatever fails is sent again, under the same mark."""
        wait = random.random() * self.who.cadence  # noqa: S311 - no secret
        for letter in itertools.cycle(self.who.letters):
            mark, content = written(letter)
            if self.stage.stop.wait(wait):
                return
            start = time.monotonic()
            while not self._sent(letter, mark, content):
                if self.stage.stop.wait(_AGAIN):
                    return
            wait = max(0.0, start + self.who.cadence - time.monotonic())

    def _sent(self, letter: Letter, mark: str, content: bytes) -> bool:
        start, what = time.monotonic_ns(), label(mark, letter)
        ok: bool | None = True
        detail = ""
        try:
            with contextlib.closing(self._connected()) as smtp:
                self._log_in(smtp, start)
                hand_over(smtp, letter, content)
                _leave(smtp)
        except UnsureError as error:
            ok, detail = None, str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the person sees that it failed
            told = plainly(error)
            ok, detail = False, str(told)
            if isinstance(told, NoLoginError):
                self._note(LOGIN, start, ok=False, what=self.who.host, detail=detail)
        self._note(SUBMISSION, start, ok=ok, what=what, detail=detail)
        return ok is True

    def _connected(self) -> Smtp:
        who = self.who
        address = who.at or self.stage.addresses(who.host, family=who.family)[0]
        smtp = Smtp(
            host=who.host,
            address=address,
            port=who.port,
            trust=self.stage.trust,
            timeout=PATIENCE,
        )
        try:
            if who.port == 587:  # noqa: PLR2004 - RFC 6409
                expect(*smtp.starttls(context=self.stage.trust))
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _log_in(self, smtp: Smtp, start: int) -> None:
        smtp.login(self.who.account.login, self.who.account.password)
        self._note(LOGIN, start, ok=True, what=self.who.host)

    def _note(self, kind: str, start: int, *, ok: bool | None, what: str, detail: str = "") -> None:
        self.stage.record(kind, self.who.name, start, ok=ok, what=what, detail=detail)


def _leave(smtp: Smtp) -> None:
    """Say goodbye; nothing depends on it any more."""
    with contextlib.suppress(OSError, smtplib.SMTPException):
        smtp.quit()


@cache
def _anybody() -> ssl.SSLContext:
    """Mail servers take any certificate: they would have sent it in clear."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    return trust


_now = time.monotonic

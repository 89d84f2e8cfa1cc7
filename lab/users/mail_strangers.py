"""Strangers: they look for a server that passes mail on for anybody, or lets anybody in.

They stop before there is a message: what counts is that the server would have taken it.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import base64
import contextlib
import imaplib
import itertools
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from lab.users.mail_plan import RELAY
from lab.users.mail_wire import Imap, NoLoginError, NoMailError, Smtp, Stage, enter, plainly, said

if TYPE_CHECKING:
    from lab.users.mail_plan import Account, Stranger

PORTS: Final = (25, 587, 465)
_PATIENCE: Final = 5.0
_YES: Final = 2

_NOT_THERE: Final = (OSError, NoMailError, smtplib.SMTPException, imaplib.IMAP4.error)

Try = tuple[str, Callable[[], str]]
"""What is tried, and what tries it: it returns what went wrong for the server's owner, if
anything did."""


@dataclass(frozen=True, kw_only=True)
class Trying:
    """A stranger at work."""

    stage: Stage
    who: Stranger

    def play(self) -> None:
        """Try one server after the other until it is enough, and guess once more then.

        What is guessed at the end slows nobody down.
        """
        self._try()
        for what, attempt in self._guesses()[:2]:
            self._do(what, attempt)

    def _try(self) -> None:
        guess = time.monotonic() + self.who.cadence
        guesses = itertools.cycle(self._guesses()) if self.who.guesses else None
        for what, attempt in itertools.cycle(self._tries()):
            if self.stage.stop.wait(self.who.cadence):
                return
            self._do(what, attempt)
            if guesses and time.monotonic() >= guess:
                self._do(*next(guesses))
                guess = time.monotonic() + self.who.patience

    def _do(self, what: str, attempt: Callable[[], str]) -> None:
        start = time.monotonic_ns()
        ok: bool | None
        try:
            fault = attempt()
            ok = not fault
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            fault, ok = str(plainly(error)), True
            if not isinstance(error, _NOT_THERE):
                ok = None
            elif not self.who.closed:
                return
        self.stage.record(RELAY, self.who.name, start, ok=ok, what=what, detail=fault)

    def _tries(self) -> list[Try]:
        ways = itertools.product(PORTS, self.who.servers, "46")
        return [
            (f"{server}:{port} over IPv{family}", partial(self._relays, server, port, family))
            for port, server, family in ways
            if _reached(server, family)
        ]

    def _guesses(self) -> list[Try]:
        """Guess over IPv4 alone, so that those who come over IPv6 are not slowed down."""
        server = self.who.servers[0]
        found: list[Try] = []
        for account in self.who.guesses:
            for port in (993, 587, 25, 465):
                guessing = partial(
                    self._lets_in if port == 993 else self._believes,  # noqa: PLR2004
                    server,
                    port,
                    account,
                )
                found.append((f"{server}:{port} as {account.login}", guessing))
        return found

    def _relays(self, server: str, port: int, family: str) -> str:
        """Say what a server would pass on."""
        faults = []
        with contextlib.closing(self._connected(server, port, family)) as smtp:
            for sender, to in self.who.tricks:
                code, _ = smtp.docmd(f"MAIL FROM:<{sender}>")
                if code // 100 == _YES:
                    code, _ = smtp.docmd(f"RCPT TO:<{to}>")
                    if code // 100 == _YES:
                        faults.append(f"{server}:{port} passes on from <{sender}> to <{to}>")
                smtp.rset()
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtp.quit()
        return "; ".join(faults)

    def _believes(self, server: str, port: int, account: Account) -> str:
        with contextlib.closing(self._connected(server, port, "4")) as smtp:
            secret = f"\0{account.login}\0{account.password}".encode()
            code, text = smtp.docmd("AUTH", f"PLAIN {base64.b64encode(secret).decode()}")
        if code // 100 == _YES:
            return (
                f"{server}:{port} lets {account.login} in by a wrong password: {said(code, text)}"
            )
        return ""

    def _lets_in(self, server: str, port: int, account: Account) -> str:
        address = self.stage.addresses(server, family="4")[0]
        imap = Imap(host=server, address=address, port=port, trust=_unseen())
        try:
            enter(imap, account)
        except NoLoginError:
            return ""
        finally:
            imap.hang_up()
        return f"{server}:{port} lets {account.login} in by a wrong password"

    def _connected(self, server: str, port: int, family: str) -> Smtp:
        address = self.stage.addresses(server, family=family)[0]
        smtp = Smtp(host=server, address=address, port=port, trust=_unseen(), timeout=_PATIENCE)
        try:
            smtp.ehlo()
            if port == 587:  # noqa: PLR2004 - RFC 6409
                smtp.starttls(context=_unseen())
                smtp.ehlo()
        except BaseException:
            smtp.close()
            raise
        return smtp


def tricks(*, domain: str, host: str, abroad: str) -> Iterator[tuple[str, str]]:
    """Yield what is tried on a server.

    Args:
        domain: the fleet's.
        host: a name that the server may take for its own.
        abroad: a domain elsewhere.
    """
    far = f"relay@{abroad}"
    yield f"someone@{abroad}", far
    yield "", far
    yield f"post@{domain}", far
    yield f"someone@{abroad}", f"relay%{abroad}@{domain}"
    yield f"someone@{abroad}", f"relay%{abroad}@{host}"
    yield f"someone@{abroad}", f"@{domain}:{far}"
    yield f"someone@{abroad}", f'"{far}"@{domain}'
    yield f"someone@{abroad}", f"{abroad}!relay@{domain}"


def _reached(server: str, family: str) -> bool:
    """Whether a server can be tried over a version of IP: an address only over its own."""
    if ":" in server:
        return family == "6"
    return family == "4" or not server.replace(".", "").isdigit()


def _unseen() -> ssl.SSLContext:
    """Strangers do not care whom they talk to."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    return trust

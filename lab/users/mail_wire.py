"""How programs reach mail servers: look up, connect, verify, speak.

The protocols are spoken by Python's own clients, which block: everybody who plays with them has
a thread. They are told where to connect, so that each knows over which version of IP it goes.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import os
import re
import select
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import dns.name
import dns.rdatatype

from lab.history import Operation
from lab.users.mail_plan import LOGIN
from lab.users.resolving import Exchange, NoAnswerError, Stub

if TYPE_CHECKING:
    from lab.users.mail_plan import Account
    from lab.users.probes import Plan

PATIENCE: Final = 10.0
"""Seconds that a program waits for a server."""

CONNECTING: Final = 1.0
"""Seconds that a person's program waits for a connection before it looks the name up again. A
server's kernel answers at once, however busy its daemons are."""

_RELAY: Final = 25
"""The port on which mail servers are patient with each other."""

HELLO: Final = "outside.net.example"
_TLS_PORTS: Final = (465, 993)


class NoMailError(Exception):
    """What a user's program would call an error; it says what the user is told."""


class NoLoginError(NoMailError):
    """The right password, or a certificate, and no way in: a user is bothered by that."""


class BadRefusalError(NoMailError):
    """The server is there, understood, and said no."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What everybody who plays in a thread has in their hands.

    Attributes:
        loop: where look-ups are made and operations written down.
        stubs: family -> whom to ask for names over it.
        trust: verifies certificates.
        add: writes an operation down, in the loop.
        stop: set when it is enough.
    """

    loop: asyncio.AbstractEventLoop
    stubs: Mapping[str, Stub]
    trust: ssl.SSLContext
    add: Callable[[Operation], None]
    stop: threading.Event = field(default_factory=threading.Event)

    def record(
        self, kind: str, target: str, start_ns: int, *, ok: bool | None, what: str, detail: str = ""
    ) -> None:
        """Write down an operation that ends now."""
        operation = Operation(
            kind=kind,
            target=target,
            start_ns=start_ns,
            end_ns=time.monotonic_ns(),
            ok=ok,
            what=what,
            detail=detail,
        )
        self.loop.call_soon_threadsafe(self.add, operation)

    def lookup(self, name: str, rdtype: str, *, family: str) -> list[str]:
        """Return what a name has, as in a zone file.

        Raises:
            NoMailError: it cannot be looked up.
        """
        asking = self.stubs[family].resolve(
            dns.name.from_text(name), dns.rdatatype.from_text(rdtype)
        )
        try:
            reply = asyncio.run_coroutine_threadsafe(asking, self.loop).result(PATIENCE)
        except (NoAnswerError, TimeoutError) as error:
            raise NoMailError(f"{name} cannot be looked up: {error}") from None
        return sorted(reply.values)

    def addresses(self, host: str, *, family: str) -> list[str]:
        """Return the addresses of a host; an address is its own.

        Raises:
            NoMailError: it has none.
        """
        if ":" in host or re.fullmatch(r"[0-9.]+", host):
            return [host]
        found = self.lookup(host, "A" if family == "4" else "AAAA", family=family)
        if not found:
            raise NoMailError(f"{host} has no address for IPv{family}")
        return found


class Smtp(smtplib.SMTP):
    """A connection to a mail server at an address, known by a name.

    Args:
        host: its name; a certificate must be for it.
        address: where it is.
        port: with 465, TLS begins at once.
        trust: verifies its certificate.
        timeout: seconds.
    """

    def __init__(
        self, *, host: str, address: str, port: int, trust: ssl.SSLContext, timeout: float
    ) -> None:
        self._address = address
        self._trust = trust
        super().__init__(host, port, local_hostname=HELLO, timeout=timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connecting = timeout if port == _RELAY else CONNECTING
        plain = socket.create_connection((self._address, port), connecting)
        plain.settimeout(timeout)
        return _sealed(plain, self._trust, host) if port in _TLS_PORTS else plain


class Imap(imaplib.IMAP4):
    """A connection to a reader's server at an address, known by a name.

    Args:
        host: its name; a certificate must be for it.
        address: where it is.
        port: with 993, TLS begins at once.
        trust: verifies its certificate.
    """

    def __init__(self, *, host: str, address: str, port: int, trust: ssl.SSLContext) -> None:
        self._address = address
        self._trust = trust
        self._idle_for = 0.0
        super().__init__(host, port, PATIENCE)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self._address, self.port), CONNECTING)
        plain.settimeout(timeout)
        return _sealed(plain, self._trust, self.host) if self.port in _TLS_PORTS else plain

    def idle_a_while(self, seconds: float) -> None:
        """Wait by IDLE (RFC 2177), no longer than until the server says something."""
        self._idle_for = seconds
        # This is how the library answers "go on", as it does when one logs in.
        self.literal: Any = self._until_done
        self.expect(self.xatom("IDLE"))

    def _until_done(self, _said: bytes) -> bytes:
        select.select([self.sock], [], [], self._idle_for)
        return b"DONE"

    @staticmethod
    def expect(answer: tuple[str, list[Any]]) -> list[Any]:
        """Return what the server said, when it is yes.

        Raises:
            BadRefusalError: it is not.
        """
        status, said = answer
        if status != "OK":
            raise BadRefusalError(f"{status} {_text(said[-1])}")
        return said

    def by_number(self, verb: str, uid: str, *more: str) -> tuple[str, list[Any]]:
        """Do something to the message of a number, which is there.

        Where it is not there any more the server says yes and does nothing: it names no copies then
        (COPYUID, RFC 4315) and no flags. That counts as a no.
        """
        self.response("COPYUID")  # an earlier one's
        status, said = self.uid(verb, uid, *more)
        done = said if verb == "STORE" else self.response("COPYUID")[1]
        if status == "OK" and done == [None]:
            return "NO", [b"nothing has that number any more"]
        return status, said

    def hang_up(self) -> None:
        """Close, without asking; it may be closed already."""
        with contextlib.suppress(OSError):
            self.shutdown()


def _sealed(plain: socket.socket, trust: ssl.SSLContext, host: str) -> socket.socket:
    try:
        return trust.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def onlooker(plan: Plan) -> Stage:
    """Return what somebody needs who only looks, once; nothing is written down."""
    exchange = Exchange(transport="udp", timeout=3.0, attempts=2, port=53)
    return Stage(
        loop=asyncio.get_running_loop(),
        stubs={
            family: Stub(servers=(server,), exchange=exchange)
            for family, server in plan.mail.resolver.items()
        },
        trust=ssl.create_default_context(cadata=plan.authorities or None),
        add=lambda _operation: None,
    )


def log_in(
    stage: Stage,
    account: Account,
    *,
    host: str,
    port: int,
    family: str,
    target: str,
    at: str = "",
) -> Imap:
    """Connect to a reader's server and log in.

    Args:
        stage: what they have in their hands.
        account: who they are.
        host: the name that they have configured; the certificate must be for it.
        port: of the server.
        family: the only version of IP that they use.
        target: of the operations.
        at: the server's address, where the name is not to be looked up.

    Raises:
        NoMailError: it did not work; when the server turned the person away that is written
            down as well.
    """
    start = time.monotonic_ns()
    imap: Imap | None = None
    try:
        address = at or stage.addresses(host, family=family)[0]
        imap = Imap(host=host, address=address, port=port, trust=stage.trust)
        if port not in _TLS_PORTS:
            imap.starttls(stage.trust)
        enter(imap, account)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        if imap:
            imap.hang_up()
        told = plainly(error)
        if isinstance(told, NoLoginError):
            stage.record(LOGIN, target, start, ok=False, what=host, detail=str(told))
        raise told from None
    stage.record(LOGIN, target, start, ok=True, what=host)
    return imap


def enter(imap: Imap, account: Account) -> None:
    """Say name and password.

    Raises:
        NoLoginError: they are not the right ones.
    """
    try:
        imap.login(account.login, account.password)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        raise NoLoginError(_text(error.args[0] if error.args else "no")) from None


def plainly(error: Exception) -> NoMailError:
    """Say what went wrong as a user would be told."""
    if isinstance(error, NoMailError):
        return error
    for kinds, told in _TOLD:
        if isinstance(error, kinds):
            return told(error)
    return NoMailError(f"the probe crashed: {type(error).__name__}: {error}")


def said(code: int, text: bytes | str) -> str:
    """Return a mail server's answer on one line."""
    return f"{code} {' '.join(_text(text).split())}"


def _text(given: object) -> str:
    return given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)


def _of_the_system(error: OSError) -> NoMailError:
    known = error.errno is not None and error.errno > 0
    why = os.strerror(error.errno or 0).lower() if known else str(error)
    return NoMailError(why or type(error).__name__)


_CANNOT_TELL: Final = 454

# The first that fits: some are kinds of others.
_TOLD: Final[Sequence[tuple[tuple[type[Exception], ...], Callable[[Any], NoMailError]]]] = (
    ((TimeoutError,), lambda _: NoMailError("no answer")),
    (
        (ssl.SSLCertVerificationError,),
        lambda error: NoLoginError(f"not to be believed: {error.verify_message}"),
    ),
    (
        (imaplib.IMAP4.abort, smtplib.SMTPServerDisconnected, ssl.SSLError),
        lambda _: NoMailError("hung up"),
    ),
    (
        (imaplib.IMAP4.error,),
        lambda error: BadRefusalError(_text(error.args[0] if error.args else "no")),
    ),
    (
        (smtplib.SMTPAuthenticationError,),
        # 454: it cannot tell now (RFC 4954, section 6); nobody was turned away for their password.
        lambda error: (BadRefusalError if error.smtp_code == _CANNOT_TELL else NoLoginError)(
            said(error.smtp_code, error.smtp_error)
        ),
    ),
    (
        (smtplib.SMTPResponseException,),
        lambda error: BadRefusalError(said(error.smtp_code, error.smtp_error)),
    ),
    ((OSError,), _of_the_system),
)

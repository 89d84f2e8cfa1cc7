"""How the new mail server looks from outside: to other servers, and to people's programs."""

from __future__ import annotations

import imaplib
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

from lab.errors import GeneralproveError
from lab.operator.ssh import SshError
from lab.operator.web_client import Server, Url
from lab.steps.mail_facts import Facts
from lab.steps.mail_move import Move

_SMTP, _SMTPS, _SUBMISSION, _IMAP, _IMAPS, _SIEVE = 25, 465, 587, 143, 993, 4190
_TAKEN: Final = 250


class _Smtp(smtplib.SMTP):
    """SMTP over a connection that the operator dials."""

    def __init__(self, *, dialled: socket.socket) -> None:
        self._dialled = dialled
        super().__init__(local_hostname="generalprove.invalid")
        self.connect("dialled", _SMTP)

    def _get_socket(self, *_where: object) -> socket.socket:
        return self._dialled


class _Imap(imaplib.IMAP4):
    """IMAP over a connection that the operator dials."""

    def __init__(self, *, dialled: socket.socket) -> None:
        self._dialled = dialled
        super().__init__("dialled")

    def _create_socket(self, *_patience: object) -> socket.socket:
        return self._dialled


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the server, from one address of its.

    Attributes:
        dial: opens a connection to a port of it.
        trust: what programs believe.
        name: of the server.
        domain: the fleet's.
        reader: somebody with a mailbox.
    """

    dial: Callable[[int], socket.socket]
    trust: ssl.SSLContext
    name: str
    domain: str
    reader: str

    @contextmanager
    def relay(self) -> Iterator[smtplib.SMTP]:
        """Connect as another server does, over a sealed connection."""
        with _Smtp(dialled=self.dial(_SMTP)) as smtp:
            smtp.ehlo()
            self._upgrade(smtp)
            yield smtp

    def mail_is_taken(self) -> Iterator[str]:
        """Yield what another server finds wrong (RFC 5321)."""
        with _Smtp(dialled=self.dial(_SMTP)) as smtp:
            smtp.ehlo()
            before = smtp.has_extn("auth")
            self._upgrade(smtp)
            if before or smtp.has_extn("auth"):
                yield "port 25 lets people log in"
            smtp.mail("")
            if (said := smtp.rcpt(self.reader))[0] != _TAKEN:
                yield f"mail for {self.reader} is refused: {said[0]} {said[1].decode()}"
            for stranger in ("someone@elsewhere.invalid", f"nobody-at-all@{self.domain}"):
                if smtp.rcpt(stranger)[0] == _TAKEN:
                    yield f"mail for {stranger} is taken from anybody"

    def submission_wants_a_password(self) -> Iterator[str]:
        """Yield what is wrong for those who send (RFC 6409, RFC 8314)."""
        with _Smtp(dialled=self.dial(_SUBMISSION)) as smtp:
            smtp.ehlo()
            if smtp.has_extn("auth"):
                yield "port 587 lets people log in without TLS"
            self._upgrade(smtp)
            yield from self._unauthenticated(smtp, _SUBMISSION)
        with _Smtp(dialled=self._sealed(_SMTPS)) as smtp:
            smtp.ehlo()
            yield from self._unauthenticated(smtp, _SMTPS)

    def readers_are_served(self) -> Iterator[str]:
        """Yield what is wrong for those who read (RFC 9051, RFC 5804)."""
        with _Imap(dialled=self._sealed(_IMAPS)) as imap:
            if "AUTH=PLAIN" not in imap.capabilities:
                yield "port 993 does not let people log in"
        with _Imap(dialled=self.dial(_IMAP)) as imap:
            if "LOGINDISABLED" not in imap.capabilities:
                yield "port 143 lets people log in without TLS"
        with self.dial(_SIEVE) as sieve:
            if b"SIEVE" not in sieve.recv(4096):
                yield "port 4190 is no ManageSieve server"

    def _unauthenticated(self, smtp: smtplib.SMTP, port: int) -> Iterator[str]:
        if not smtp.has_extn("auth"):
            yield f"port {port} does not let people log in"
        smtp.mail(f"someone@{self.domain}")
        if smtp.rcpt(self.reader)[0] == _TAKEN:
            yield f"port {port} takes mail without a password"

    def _sealed(self, port: int) -> ssl.SSLSocket:
        return self.trust.wrap_socket(self.dial(port), server_hostname=self.name)

    def _upgrade(self, smtp: smtplib.SMTP) -> None:
        """Begin TLS (RFC 3207), and see that the certificate is for the server's name."""
        smtp._host = self.name  # type: ignore[attr-defined]
        smtp.starttls(context=self.trust)
        smtp.ehlo()


def _policy_missing(move: Move, host: str) -> Iterator[str]:
    """Yield what keeps other servers from the policy (RFC 8461, section 3.3)."""
    url = Url(scheme="https", host=host, path="/.well-known/mta-sts.txt")
    for address in move.new_addresses:
        server = Server(dial=move.op.ssh.dial, address=address, trust=move.op.acme.believing())
        try:
            page = server.fetch([url])[url]
        except GeneralproveError as error:
            yield f"{address}: {url}: no, {error}"
            continue
        if page.status != HTTPStatus.OK:
            yield f"{address}: {url} answers {page.status}"


def seen_wrong(move: Move, facts: Facts) -> list[str]:
    """Return what is not as it should be, asked over both families."""
    naming = move.naming(facts.content)
    found = list(_policy_missing(move, naming.policy_host))
    for address in move.new_addresses:
        look = Look(
            dial=partial(move.op.ssh.dial, address),
            trust=move.op.acme.believing(),
            name=naming.server,
            domain=naming.domain,
            reader=move.directory.accounts[0].address,
        )
        for asking in (
            look.mail_is_taken,
            look.submission_wants_a_password,
            look.readers_are_served,
        ):
            try:
                found += [f"{address}: {wrong}" for wrong in asking()]
            except (OSError, smtplib.SMTPException, imaplib.IMAP4.error, SshError) as error:
                found.append(f"{address}: {asking.__name__.replace('_', ' ')}: no, {error}")
    return found

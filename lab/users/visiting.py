"""Asking web servers as a browser does: look up, connect, verify, ask, read all of it.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import secrets
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

import dns.name
import dns.rdatatype

from lab.history import Operation
from lab.users.resolving import NoAnswerError, Stub
from lab.users.visits import ENTRY, VISIT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from lab.users.visits import Choice, Family, Visit

SEE_OTHER: Final = 303
MARK: Final = "gp-"
"""What every entry begins with, so that it can be found again."""

CONNECT_SECONDS: Final = 1.0
"""How long whoever may try another address waits for a connection."""

SILENT_SECONDS: Final = 5.0
"""How long they wait for a page on a connection that was made."""

_PORTS: Final = {"http": 80, "https": 443}
_MOST: Final = 64 * 1024 * 1024


class NoPageError(Exception):
    """A visit that a user would call failed."""


class NotReachedError(NoPageError):
    """Nobody can have heard what was to be asked."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server answered, whole."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Browser:
    """One way to reach web servers.

    Attributes:
        stub: looks names up.
        family: the only version of IP that is used.
        trust: verifies certificates.
        timeout: seconds for everything.
        choice: which addresses of a name are tried.
        ports: scheme -> port.
    """

    stub: Stub
    family: Family
    trust: ssl.SSLContext
    timeout: float
    choice: Choice = "lowest"
    ports: Mapping[str, int] = field(default_factory=lambda: dict(_PORTS))

    async def visit(self, visit: Visit, *, target: str, kind: str = VISIT) -> Operation:
        """Ask for a page, and return what came of it. It never raises."""

        async def ask() -> str:
            answer = await self._ask("GET", visit.url)
            if answer.status != visit.status:
                return f"status {answer.status}, not {visit.status}"
            if visit.digest and hashlib.sha256(answer.body).hexdigest() != visit.digest:
                return "another page than it should be"
            return ""

        return await _tried(ask(), kind=kind, target=target, what=visit.url)

    async def write(self, url: str, *, target: str) -> Operation:
        """Write an entry that nobody else writes, and return what came of it. It never raises."""
        entry = MARK + secrets.token_hex(8)

        async def ask() -> str:
            answer = await self._ask("POST", url, {"name": target, "text": entry})
            return "" if answer.status == SEE_OTHER else f"status {answer.status}"

        return await _tried(ask(), kind=ENTRY, target=target, what=entry)

    async def _ask(self, method: str, url: str, form: Mapping[str, str] | None = None) -> Answer:
        parts = urlsplit(url)
        request = _request(method, url, form)
        try:
            async with asyncio.timeout(self.timeout):
                *others, last = await self._addresses(parts.hostname or "")
                for address in others:
                    try:
                        return await self._exchange(address, url, request, patient=False)
                    except NotReachedError:
                        continue
                    except NoPageError:
                        if method != "GET":
                            raise
                return await self._exchange(last, url, request, patient=True)
        except TimeoutError:
            raise NoPageError(f"no answer within {self.timeout:g} s") from None

    async def _addresses(self, host: str) -> list[str]:
        """Return what is to be tried, in that order."""
        rdtype = dns.rdatatype.A if self.family == "4" else dns.rdatatype.AAAA
        reply = await self.stub.resolve(dns.name.from_text(host), rdtype)
        if not reply.values:
            raise NoPageError(f"{host} has no address: {reply.rcode}")
        if self.choice == "any":
            return random.sample(sorted(reply.values), len(reply.values))
        return [min(reply.values) if self.choice == "lowest" else max(reply.values)]

    async def _exchange(self, address: str, url: str, request: bytes, *, patient: bool) -> Answer:
        """Ask one server.

        Args:
            address: of the server.
            url: what is asked for.
            request: the same, as it is sent.
            patient: whether there is no other server to ask.

        Raises:
            NotReachedError: it cannot have heard anything.
            NoPageError: it did not answer.
        """
        try:
            async with asyncio.timeout(None if patient else CONNECT_SECONDS):
                reader, writer = await self._connect(address, url)
        except TimeoutError:
            if patient:
                raise  # it is the limit for everything
            raise NotReachedError(f"no connection within {CONNECT_SECONDS:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise NoPageError(f"not to be believed: {error.verify_message}") from None
        except OSError as error:
            raise NotReachedError(_said(error)) from None
        try:
            async with asyncio.timeout(None if patient else SILENT_SECONDS):
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                return await _rest(reader, head)
        except TimeoutError:
            if patient:
                raise
            raise NoPageError(f"silent for {SILENT_SECONDS:g} s") from None
        except asyncio.IncompleteReadError as error:
            what = "in the middle" if error.partial else "without an answer"
            raise NoPageError(f"hung up {what}") from None
        except OSError as error:
            raise NoPageError(_said(error)) from None
        finally:
            writer.close()

    async def _connect(
        self, address: str, url: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(url)
        sealed = parts.scheme == "https"
        return await asyncio.open_connection(
            address,
            self.ports[parts.scheme],
            ssl=self.trust if sealed else None,
            server_hostname=parts.hostname if sealed else None,
            limit=_MOST,
        )


def _said(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _request(method: str, url: str, form: Mapping[str, str] | None) -> bytes:
    parts = urlsplit(url)
    body = urlencode(form).encode() if form else b""
    query = f"?{parts.query}" if parts.query else ""
    lines = [
        f"{method} {parts.path or '/'}{query} HTTP/1.1",
        f"Host: {parts.hostname}",
        "User-Agent: generalprove",
        "Connection: close",
    ]
    if form is not None:
        lines.append("Content-Type: application/x-www-form-urlencoded")
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _rest(reader: asyncio.StreamReader, head: bytes) -> Answer:
    """Read the body as its head announces it: what is cut short is no answer."""
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        status = int(first.split()[1])
        headers = {
            name.lower(): value.strip()
            for name, colon, value in (line.partition(":") for line in lines)
            if colon
        }
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _chunks(reader)
        elif "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            body = await reader.read()
    except (ValueError, IndexError):
        raise NoPageError("not HTTP") from None
    return Answer(status=status, headers=headers, body=body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    return bytes(found)


async def _tried(asking: Awaitable[str], *, kind: str, target: str, what: str) -> Operation:
    start = time.monotonic_ns()
    ok: bool | None = False
    try:
        fault = await asking
        ok = not fault
    except (NoPageError, NoAnswerError) as error:
        fault = str(error)
    except Exception as error:  # noqa: BLE001 - the probe's own fault says nothing of the service
        ok, fault = None, f"the probe crashed: {type(error).__name__}: {error}"
    return Operation(
        kind=kind,
        target=target,
        start_ns=start,
        end_ns=time.monotonic_ns(),
        ok=ok,
        what=what,
        detail=fault,
    )

"""The doors of the service: for root and Dovecot on this host, for Prometheus and the peer.

None takes more than few bytes at a time from whoever comes, nor lets more than so many in at once.
Dovecot comes to its door with what its markers do not say, changes of Sieve scripts, and which
folders were thrown away or are subscribed to no more: an event a line
(https://doc.dovecot.org/2.4.1/core/config/events/export.html).
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import logging
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from replicator.doveadm import DoveadmError
from replicator.gossip import HELD, PATH, Gossip
from replicator.gossip import LARGEST as LARGEST_LESSON
from replicator.service import Service

LOG = logging.getLogger("replicator")

LARGEST: Final = 65536
SECONDS: Final = 5.0
AT_ONCE: Final = 16
DOVECOT: Final = "dovecot"
"""Who the process runs as that exports Dovecot's events."""

_THEIRS: Final = (
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    TimeoutError,
    asyncio.LimitOverrunError,
)
"""What goes wrong through the fault of whoever came."""

_CREDENTIALS: Final = struct.Struct("3i")

_PAGE: Final = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
Connection: close\r\n\r\n"

_UNAUTHORIZED: Final = "401 Unauthorized"

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Control:
    """The three doors of a service."""

    def __init__(self, *, service: Service, gossip: Gossip) -> None:
        """Make them, closed."""
        self._service = service
        self._gossip = gossip
        self._servers: list[asyncio.Server] = []

    async def open(self, *, control: Path, events: Path, address: str, port: int) -> None:
        """Open them.

        Args:
            control: the socket for root.
            events: the socket for Dovecot.
            address: where Prometheus and the peer come to.
            port: the port there.

        Raises:
            OSError: somebody else has a path or the port, or there is no such address.
        """
        commands, exported = _socket(control, mode=0o600), _socket(events, mode=0o666)
        self._servers = [
            await asyncio.start_unix_server(_limited(self._command), sock=commands, limit=LARGEST),
            await asyncio.start_unix_server(_limited(self._events), sock=exported, limit=LARGEST),
            await asyncio.start_server(_limited(self._web), address, port, limit=LARGEST),
        ]

    async def _events(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not _is_dovecot(writer):
            return
        while line := await reader.readline():
            event = json.loads(line)
            about = event["fields"]
            user = str(about["user"])
            match event["event"]:
                case "replicator_folder_gone":
                    self._service.gone(user, str(about["folders"]).split())
                case "replicator_unsubscribed":
                    self._service.unsubscribed(user, str(about["folder"]))
                case "replicator_subscribed":
                    self._service.subscribed(user, str(about["folder"]))
                case _:
                    self._service.require([user])

    async def _command(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await asyncio.wait_for(reader.readline(), SECONDS)
        try:
            asked = json.loads(line)
            answer = await self._answer(asked["command"], asked)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            answer = {"error": f"not understood: {error!r}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        await asyncio.wait_for(writer.drain(), SECONDS)

    async def _answer(self, command: str, asked: dict[str, Any]) -> dict[str, Any]:
        if command == "status":
            return self._service.report().as_json()
        if command == "sweep":
            users = [str(user) for user in asked["users"]]
            if users:
                self._service.require(users)
            else:
                self._service.sweep()
            return {}
        if command == "wait":
            return await self._wait(float(asked["timeout"]))
        return {"error": f"no such command: {command}"}

    async def _wait(self, seconds: float) -> dict[str, Any]:
        done = self._service.sweep()
        try:
            await asyncio.wait_for(done, seconds)
        except TimeoutError:
            return {"alike": False} | self._service.report().as_json()
        return {"alike": True} | self._service.report().as_json()

    async def _web(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
        kind = "text/plain; version=0.0.4; charset=utf-8"
        if head.startswith((b"GET /metrics ", b"GET /metrics?")):
            status = "200 OK"
            body = self._service.metrics.render(self._service.report()).encode()
        elif head.startswith(f"POST {PATH} ".encode()):
            status, body = await self._hear(head, reader), b""
        elif head.startswith(f"GET {HELD}?".encode()):
            status, body = await self._say(head)
        else:
            status, kind, body = "404 Not Found", "text/plain", b"/metrics is here\n"
        page = _PAGE.format(status=status, kind=kind, length=len(body))
        writer.write(page.encode() + body)
        await asyncio.wait_for(writer.drain(), SECONDS)

    async def _hear(self, head: bytes, reader: asyncio.StreamReader) -> str:
        """Take what the peer has to say; return how it was received."""
        headers = _headers(head)
        if not self._gossip.is_peer(headers.get("Authorization", "")):
            return _UNAUTHORIZED
        length = int(headers.get("Content-Length", "0"))
        if not 0 < length <= LARGEST_LESSON:
            return "413 Content Too Large"
        body = await asyncio.wait_for(reader.readexactly(length), SECONDS)
        self._service.learn(self._gossip.heard(body))
        return "204 No Content"

    async def _say(self, head: bytes) -> tuple[str, bytes]:
        """Tell the peer what somebody has here."""
        if not self._gossip.is_peer(_headers(head).get("Authorization", "")):
            return _UNAUTHORIZED, b""
        user = unquote(head.split(b" ", 2)[1].decode("ascii").partition("?")[2])
        held = await self._service.held(user)
        if isinstance(held, DoveadmError):
            return "503 Service Unavailable", b""
        return "200 OK", json.dumps(held).encode()


def _headers(head: bytes) -> http.client.HTTPMessage:
    return http.client.parse_headers(io.BytesIO(head.partition(b"\r\n")[2]))


def _socket(path: Path, *, mode: int) -> socket.socket:
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    path.chmod(mode)
    return made


def _is_dovecot(writer: asyncio.StreamWriter) -> bool:
    """Say whether it is Dovecot who has come, or somebody who may as much as this service."""
    data = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    _, uid, _ = _CREDENTIALS.unpack(data)
    trusted = {0, os.getuid()}
    trusted |= {entry.pw_uid for entry in pwd.getpwall() if entry.pw_name == DOVECOT}
    return uid in trusted


def _limited(handle: Handle) -> Handle:
    """Return the same for so many at once; whoever sends rubbish or dawdles is hung up on."""
    free = asyncio.Semaphore(AT_ONCE)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if free.locked():
                return
            async with free:
                await handle(reader, writer)
        except _THEIRS as error:
            LOG.debug("hung up: %r", error)
        except Exception:  # whoever comes can do no harm but to themselves
            LOG.exception("whoever asked gets no answer")
        finally:
            writer.close()
            try:
                await asyncio.wait_for(writer.wait_closed(), SECONDS)
            except (OSError, TimeoutError):
                writer.transport.abort()

    return serve

"""How the service can be asked: by root on this host over a socket, by Prometheus over HTTP.

Both take few bytes and little time from whoever comes, and answer no more than so many at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from replicator.service import Service

LOG = logging.getLogger("replicator")

LARGEST: Final = 65536
SECONDS: Final = 5.0
AT_ONCE: Final = 16

_PAGE: Final = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
Connection: close\r\n\r\n"

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Control:
    """The two doors of a service."""

    def __init__(self, *, service: Service) -> None:
        """Make them, closed."""
        self._service = service
        self._servers: list[asyncio.Server] = []

    async def open(self, *, control: Path, address: str, port: int) -> None:
        """Open them.

        Raises:
            OSError: somebody else has the path or the port, or there is no such address.
        """
        self._servers = [
            await asyncio.start_unix_server(_limited(self._command), control, limit=LARGEST),
            await asyncio.start_server(_limited(self._scrape), address, port, limit=LARGEST),
        ]

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

    async def _scrape(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
        if head.startswith((b"GET /metrics ", b"GET /metrics?")):
            status, kind = "200 OK", "text/plain; version=0.0.4; charset=utf-8"
            body = self._service.metrics.render(self._service.report()).encode()
        else:
            status, kind, body = "404 Not Found", "text/plain", b"/metrics is here\n"
        page = _PAGE.format(status=status, kind=kind, length=len(body))
        writer.write(page.encode() + body)
        await asyncio.wait_for(writer.drain(), SECONDS)


def _limited(handle: Handle) -> Handle:
    """Return the same for so many at once; whoever sends rubbish or dawdles is hung up on."""
    free = asyncio.Semaphore(AT_ONCE)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if free.locked():
                return
            async with free:
                await handle(reader, writer)
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError) as error:
            LOG.debug("hung up: %r", error)
        except Exception:
            # Whoever comes can do no harm but to themselves.
            LOG.exception("whoever asked gets no answer")
        finally:
            writer.close()
            try:
                await asyncio.wait_for(writer.wait_closed(), SECONDS)
            except (OSError, TimeoutError):
                writer.transport.abort()

    return serve

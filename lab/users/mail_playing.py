"""Everybody who has to do with mail, each in a thread of their own.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lab.users.mail_movers import Moving
from lab.users.mail_plan import CHANGE, IMAP, LOGIN, MAIL, RELAY, SEEN, SUBMISSION
from lab.users.mail_readers import Reading
from lab.users.mail_senders import Submitting, Writing
from lab.users.mail_strangers import Trying
from lab.users.mail_wire import Stage
from lab.users.resolving import Exchange, Stub

if TYPE_CHECKING:
    from lab.history import HistoryWriter
    from lab.users.mail_plan import MailUsers

_LOOKUP: Final = Exchange(transport="udp", timeout=3.0, attempts=2, port=53)


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one person plays.

    Attributes:
        name: the target of their operations.
        kinds: of their operations.
        play: returns once the stage says that it is enough.
    """

    name: str
    kinds: tuple[str, ...]
    play: Callable[[], None]


def parts(users: MailUsers, stage: Stage) -> list[Part]:
    """Return everybody, and what they do."""
    return [
        *(
            Part(name=who.name, kinds=(MAIL,), play=Writing(stage=stage, who=who).play)
            for who in users.correspondents
        ),
        *(
            Part(
                name=who.name,
                kinds=(SUBMISSION, LOGIN),
                play=Submitting(stage=stage, who=who).play,
            )
            for who in users.submitters
        ),
        *(
            Part(
                name=who.name,
                kinds=(IMAP, LOGIN, SEEN),
                play=Reading(stage=stage, who=who).play,
            )
            for who in users.readers
        ),
        *(
            Part(name=who.name, kinds=(CHANGE, LOGIN), play=Moving(stage=stage, who=who).play)
            for who in users.movers
        ),
        *(
            Part(name=who.name, kinds=(RELAY,), play=Trying(stage=stage, who=who).play)
            for who in users.strangers
        ),
    ]


async def play(
    users: MailUsers, *, authorities: str, writer: HistoryWriter, stop: asyncio.Event
) -> None:
    """Let everybody play until *stop*, and then end what they are at."""
    if not users:
        return
    stage = Stage(
        loop=asyncio.get_running_loop(),
        stubs={
            family: Stub(servers=(server,), exchange=_LOOKUP)
            for family, server in users.resolver.items()
        },
        trust=ssl.create_default_context(cadata=authorities or None),
        add=writer.add,
    )
    everybody = parts(users, stage)
    with ThreadPoolExecutor(max_workers=len(everybody), thread_name_prefix="mail") as threads:
        playing = [_one(part, threads, stage, writer) for part in everybody]
        together = asyncio.gather(*playing)
        try:
            await stop.wait()
        finally:
            stage.stop.set()
            await together


async def _one(
    part: Part, threads: ThreadPoolExecutor, stage: Stage, writer: HistoryWriter
) -> None:
    for kind in part.kinds:
        writer.mark("probe", part.name, "start", detail=kind)
    start = time.monotonic_ns()
    try:
        await stage.loop.run_in_executor(threads, part.play)
    except Exception as error:  # noqa: BLE001 - the others go on
        why = f"the probe crashed: {type(error).__name__}: {error}"
        stage.record(part.kinds[0], part.name, start, ok=None, what="", detail=why)
        return  # whoever does not say that they stopped was cut short
    for kind in part.kinds:
        writer.mark("probe", part.name, "end", detail=kind)

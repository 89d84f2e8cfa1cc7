"""The program that plays the users on the outside machine: ``python3 -m lab.users.client``.

Each probe asks at its own pace, and each question is a task by itself, so that neither a slow
nor a failed one delays any other. It runs until SIGTERM, lets the questions under way end,
and then says of each probe that it stopped; without that line a history was cut short.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import secrets
import signal
import socket
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import dns.name
import dns.rdatatype

from lab.history import HistoryWriter, Operation
from lab.users import mail_playing
from lab.users.probes import LOOKUP, Lookup, Plan, Probe
from lab.users.resolving import Exchange, NoAnswerError, Reply, Stub, fault_in
from lab.users.visiting import Browser
from lab.users.visits import ENTRY, Visitor, Writer
from lab.users.walking import Walker

FLUSH: Final = 0.1
"""Seconds between two flushes of the history: what a kill can lose at most."""


LOOKUP_TIMEOUT: Final = 3.0
"""Seconds after which a visitor asks the resolver again, once."""

DNS_PORT: Final = 53


class Resolver(Protocol):
    """Whatever looks names up."""

    async def resolve(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Reply:
        """Look a name up, or raise :class:`NoAnswerError`."""


def resolver_for(probe: Probe) -> Resolver:
    """Return what a probe asks with."""
    exchange = Exchange.of(probe)
    if probe.via == "walk":
        return Walker(roots=probe.servers, exchange=exchange)
    return Stub(servers=probe.servers, exchange=exchange)


async def tried(resolver: Resolver, lookup: Lookup, *, target: str) -> Operation:
    """Look up once, and return what came of it. It never raises."""
    start = time.monotonic_ns()
    ok: bool | None = False
    try:
        label = secrets.token_hex(6)
        name = dns.name.from_text(lookup.name.replace("*", label, 1))
        reply = await resolver.resolve(name, dns.rdatatype.from_text(lookup.type))
        fault = fault_in(reply, lookup)
        ok = not fault
    except NoAnswerError as error:
        fault = str(error)
    except Exception as error:  # noqa: BLE001 - the probe's own fault says nothing of the service
        ok, fault = None, f"the probe crashed: {type(error).__name__}: {error}"
    return Operation(
        kind=LOOKUP,
        target=target,
        start_ns=start,
        end_ns=time.monotonic_ns(),
        ok=ok,
        what=str(lookup),
        detail=fault,
    )


@dataclass(frozen=True, kw_only=True)
class Player:
    """One user: what it tries in turn, and how fast.

    Attributes:
        name: the target of its operations.
        kind: of its operations.
        cadence: seconds from one to the next.
        tries: each makes one operation, and never raises.
    """

    name: str
    kind: str
    cadence: float
    tries: Sequence[Callable[[], Awaitable[Operation]]]


def players(plan: Plan) -> list[Player]:
    """Return everybody who plays in a plan."""
    trust = ssl.create_default_context(cadata=plan.authorities or None)

    def browser(user: Visitor | Writer) -> Browser:
        exchange = Exchange(transport="udp", timeout=LOOKUP_TIMEOUT, attempts=2, port=DNS_PORT)
        stub = Stub(servers=(user.resolver,), exchange=exchange)
        return Browser(
            stub=stub,
            family=user.family,
            trust=trust,
            timeout=user.timeout,
            choice=user.choice,
        )

    def asking(probe: Probe) -> Player:
        resolver = resolver_for(probe)
        tries = [partial(tried, resolver, each, target=probe.name) for each in probe.lookups]
        return Player(name=probe.name, kind=LOOKUP, cadence=probe.cadence, tries=tries)

    def visiting(user: Visitor) -> Player:
        visit = partial(browser(user).visit, target=user.name, kind=user.kind)
        tries = [partial(visit, each) for each in user.visits]
        return Player(name=user.name, kind=user.kind, cadence=user.cadence, tries=tries)

    def writing(user: Writer) -> Player:
        tries = [partial(browser(user).write, user.url, target=user.name)]
        return Player(name=user.name, kind=ENTRY, cadence=user.cadence, tries=tries)

    return [
        *map(asking, plan.probes),
        *map(visiting, plan.visitors),
        *map(writing, plan.writers),
    ]


async def play(player: Player, *, writer: HistoryWriter, stop: asyncio.Event, delay: float) -> None:
    """Try at the player's cadence until told to stop.

    Args:
        player: who.
        writer: where the operations go.
        stop: set when it is enough.
        delay: seconds until the first one, so that players do not march in step.
    """
    clock = asyncio.get_running_loop().time

    async def record(trying: Callable[[], Awaitable[Operation]]) -> None:
        writer.add(await trying())

    writer.mark("probe", player.name, "start", detail=player.kind)
    async with asyncio.TaskGroup() as questions:
        beat = clock() + delay
        for trying in itertools.cycle(player.tries):
            await asyncio.sleep(beat - clock())
            if stop.is_set():
                break
            questions.create_task(record(trying))
            beat = max(beat + player.cadence, clock())  # a missed beat is not made up for
    writer.mark("probe", player.name, "end", detail=player.kind)


async def run(plan: Plan, *, writer: HistoryWriter) -> None:
    """Play a plan until SIGTERM or SIGINT."""
    everybody = players(plan)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)

    async def flush() -> None:
        while True:
            writer.flush()
            await asyncio.sleep(FLUSH)

    flushing = asyncio.create_task(flush())
    try:
        async with asyncio.TaskGroup() as playing:
            for number, player in enumerate(everybody):
                delay = player.cadence * number / len(everybody)
                playing.create_task(play(player, writer=writer, stop=stop, delay=delay))
            playing.create_task(
                mail_playing.play(plan.mail, authorities=plan.authorities, writer=writer, stop=stop)
            )
            tell_systemd("READY=1")
    finally:
        flushing.cancel()


def tell_systemd(state: str) -> None:
    """Tell the service manager, if there is one, as sd_notify(3) does."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state.encode(), address.replace("@", "\0", 1))


def main(arguments: list[str]) -> int:
    """Play the plan in the first argument's file, into the second one's directory."""
    plan_path, directory = arguments
    plan = Plan.from_json(Path(plan_path).read_text(encoding="utf-8"))
    with HistoryWriter(directory=Path(directory), name="outside", buffered=True) as writer:
        asyncio.run(run(plan, writer=writer))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes: getrusage(2)
        writer.mark("memory", "users", detail=str(peak))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

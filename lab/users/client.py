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
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final, Protocol

import dns.name
import dns.rdatatype

from lab.history import HistoryWriter, Operation
from lab.users.probes import LOOKUP, Lookup, Plan, Probe
from lab.users.resolving import Exchange, NoAnswerError, Reply, Stub, fault_in
from lab.users.walking import Walker

FLUSH: Final = 0.1
"""Seconds between two flushes of the history: what a kill can lose at most."""


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


async def play(
    probe: Probe, *, resolver: Resolver, writer: HistoryWriter, stop: asyncio.Event, delay: float
) -> None:
    """Ask at the probe's cadence until told to stop.

    Args:
        probe: what to ask.
        resolver: what to ask with.
        writer: where the operations go.
        stop: set when it is enough.
        delay: seconds until the first question, so that probes do not march in step.
    """
    clock = asyncio.get_running_loop().time

    async def record(lookup: Lookup) -> None:
        writer.add(await tried(resolver, lookup, target=probe.name))

    writer.mark("probe", probe.name, "start", detail=LOOKUP)
    async with asyncio.TaskGroup() as questions:
        beat = clock() + delay
        for lookup in itertools.cycle(probe.lookups):
            await asyncio.sleep(beat - clock())
            if stop.is_set():
                break
            questions.create_task(record(lookup))
            beat = max(beat + probe.cadence, clock())  # a missed beat is not made up for
    writer.mark("probe", probe.name, "end", detail=LOOKUP)


async def run(plan: Plan, *, writer: HistoryWriter) -> None:
    """Play all probes of a plan until SIGTERM or SIGINT."""
    resolvers = [resolver_for(probe) for probe in plan.probes]
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)

    async def flush() -> None:
        while True:
            writer.flush()
            await asyncio.sleep(FLUSH)

    flushing = asyncio.create_task(flush())
    try:
        async with asyncio.TaskGroup() as probes:
            for number, (probe, resolver) in enumerate(zip(plan.probes, resolvers, strict=True)):
                delay = probe.cadence * number / len(resolvers)
                playing = play(probe, resolver=resolver, writer=writer, stop=stop, delay=delay)
                probes.create_task(playing)
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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

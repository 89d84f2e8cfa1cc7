"""The command ``replicator``: the service itself, and what people and steps ask it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from replicator import digest
from replicator.control import Control
from replicator.doveadm import DoveadmError
from replicator.report import Report
from replicator.service import Service
from replicator.settings import CONTROL, DIRECTORY, Settings, SettingsError

YES: Final = 0
NO: Final = 1
CANNOT_TELL: Final = 3
SOFTWARE: Final = 70

WATCHDOG_SECONDS: Final = 15.0
ANSWER_SECONDS: Final = 10.0

EXIT_CODES: Final = """\
exit codes:
  0  yes: healthy, alike, done
  1  no: not healthy, not alike in time
  2  the command line was not understood
  3  nobody can tell: the service or Dovecot cannot be asked
"""

EXAMPLES: Final = """
examples:
  replicator status
  replicator status --json
  replicator wait --timeout 120
  replicator sweep kari@nordlys.example
  replicator digest >alike.txt
"""


class CannotAskError(Exception):
    """The service does not answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    given = parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except (CannotAskError, SettingsError, DoveadmError, OSError) as error:
        print(f"replicator {given.command}: {error}", file=sys.stderr)
        return CANNOT_TELL
    except KeyboardInterrupt:
        return CANNOT_TELL


def parser() -> argparse.ArgumentParser:
    """Return what understands the command line."""
    top = argparse.ArgumentParser(
        prog="replicator",
        description="Keeps the mail of two servers alike.",
        epilog=EXIT_CODES + EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--settings", type=Path, default=DIRECTORY, help="default: %(default)s")
    top.add_argument("--control", type=Path, default=CONTROL, help="default: %(default)s")
    commands = top.add_subparsers(dest="command", required=True)

    one = commands.add_parser("status", help="how it stands: queue, lag, peer, last sweep")
    one.add_argument("--json", action="store_true", help="print data for a program")
    one.set_defaults(run=_status)

    one = commands.add_parser(
        "wait",
        help="sync everybody and wait until that is done",
        description="Syncs everybody, both ways, and waits until it is done: what either server "
        "had when this began is on both then.",
    )
    one.add_argument("--timeout", type=float, default=300, help="in seconds (%(default)s)")
    one.set_defaults(run=_wait)

    one = commands.add_parser(
        "sweep",
        help="sync everybody, or these users, without waiting",
        description="Syncs everybody, or these users: after a doveadm command that changes mail, "
        "for which Dovecot leaves no marker.",
    )
    one.add_argument("users", nargs="*", metavar="USER")
    one.set_defaults(run=_sweep)

    one = commands.add_parser(
        "digest",
        help="print a checksum of everybody's mail, to compare with the peer's",
        description="Prints a checksum a user over folders, and over UIDs, GUIDs and flags of all "
        "messages. Mail is alike where both servers print the same.",
    )
    one.add_argument("users", nargs="*", metavar="USER", help="everybody, if nobody is named")
    one.set_defaults(run=_digest)

    one = commands.add_parser("serve", help="the service itself; systemd runs it")
    one.set_defaults(run=_serve)
    return top


def _status(given: argparse.Namespace) -> int:
    report = Report.from_json(_ask(given.control, {"command": "status"}))
    print(json.dumps(report.as_json(), indent=2) if given.json else report.as_text())
    return YES if report.healthy else NO


def _wait(given: argparse.Namespace) -> int:
    request = {"command": "wait", "timeout": given.timeout}
    answer = _ask(given.control, request, seconds=given.timeout + ANSWER_SECONDS)
    alike = answer.pop("alike")
    if not alike:
        print(f"not alike within {given.timeout:g} s", file=sys.stderr)
        print(Report.from_json(answer).as_text(), file=sys.stderr)
    return YES if alike else NO


def _sweep(given: argparse.Namespace) -> int:
    _ask(given.control, {"command": "sweep", "users": given.users})
    return YES


def _digest(given: argparse.Namespace) -> int:
    for user in given.users or digest.users():
        print(digest.of_user(user), user, flush=True)
    return YES


def _serve(given: argparse.Namespace) -> int:
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    settings = Settings.load(given.settings)
    asyncio.run(_run(settings, directory=given.settings, control=given.control))
    return YES


async def _run(settings: Settings, *, directory: Path, control: Path) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.set_exception_handler(_give_up)
    gossip = settings.gossip(directory)
    service = Service(settings=settings, doveadm=settings.doveadm(directory), gossip=gossip)
    doors = Control(service=service, gossip=gossip)
    await doors.open(
        control=control,
        events=control.with_name("events"),
        address=settings.address,
        port=settings.metrics_port,
    )
    service.begin()
    _tell_systemd("READY=1")
    while not stopped.is_set():
        _tell_systemd("WATCHDOG=1")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), WATCHDOG_SECONDS)


def _give_up(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """End at once when the service itself is at fault: started anew, it knows where it was."""
    loop.default_exception_handler(context)
    if "handle" in context:
        os._exit(SOFTWARE)


def _ask(control: Path, request: object, *, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(str(control))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as file:
                answer = json.loads(file.readline())
    except (OSError, ValueError) as error:
        raise CannotAskError(
            f"the service cannot be asked: {error} ({control}); see systemctl status replicator"
        ) from error
    if not isinstance(answer, dict) or "error" in answer:
        raise CannotAskError(f"the service did not understand: {answer}")
    return answer


def _tell_systemd(what: str) -> None:
    """Tell the service manager, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.sendto(what.encode(), f"\0{address[1:]}" if address[0] == "@" else address)

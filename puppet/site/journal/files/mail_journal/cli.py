"""The commands: ``mail-journal --help`` names them."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from mail_journal import instance, milter_run, operating, serve
from mail_journal.config import FILE, Config
from mail_journal.errors import CouldNotError, Exit, JournalError

EPILOG: Final = """\
exit codes:
  0  done, or nothing to do
  1  something is not as it should be, or could not be done for some messages
  2  the command line is wrong
  3  it could not be done or told
  4  refused: it would do harm as things stand

examples:
  mail-journal status
  mail-journal replay                          what the dead peer left to do
  mail-journal replay --apply --peer-is-dead   do it
  mail-journal rejoin                          what the other node saw to meanwhile
  mail-journal rejoin --sync 'replicator wait --timeout 120' --apply
  mail-journal dedupe --apply                  on one of the nodes only
"""


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    it = argparse.ArgumentParser(
        prog="mail-journal",
        description="The journal of accepted mail that this node and its peer keep for each other.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    it.add_argument("--config", type=Path, default=FILE, help=argparse.SUPPRESS)
    commands = it.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[Config, argparse.Namespace], Exit], text: str) -> Any:  # noqa: ANN401
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(run=run)
        return one

    status = add("status", _status, "say how the journal stands, and what is to be seen to")
    status.add_argument("--json", action="store_true", help="print data for a program")

    replay = add("replay", operating.replay, "deliver what a dead peer had accepted")
    replay.add_argument("--apply", action="store_true", help="do it; without this it is only said")
    replay.add_argument(
        "--peer-is-dead",
        action="store_true",
        help="a peer that does not answer is dead, not cut off",
    )
    replay.add_argument(
        "--mailboxes",
        action="store_true",
        help="deliver to mailboxes only, where second copies can be removed again",
    )

    rejoin = add("rejoin", operating.rejoin, "come back after a crash, before Postfix starts")
    rejoin.add_argument("--apply", action="store_true", help="do it; without this it is only said")
    rejoin.add_argument("--sync", default="", help="command that brings the mailboxes up to date")
    rejoin.add_argument(
        "--alone", action="store_true", help="the peer is away: purge nothing, and start"
    )
    rejoin.add_argument(
        "--no-start", action="store_true", help="leave it to somebody else to start Postfix"
    )

    dedupe = add("dedupe", operating.dedupe, "remove second copies; on one of the nodes only")
    dedupe.add_argument("--apply", action="store_true", help="do it; without this it is only said")
    dedupe.add_argument(
        "--since", type=float, default=48.0, metavar="HOURS", help="how far back (%(default)s)"
    )
    dedupe.add_argument(
        "--sync", default="", help="command that tells the other node; who had copies is appended"
    )

    add("prepare", _prepare, "(systemd) mark this node's disks")
    add("serve", _serve, "(systemd) keep what the peer accepts")
    add("milter", _milter, "(systemd) hand the peer what is accepted here")
    return it


def main(arguments: Sequence[str]) -> int:
    """Run a command; return what it ends with."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        return int(options.run(Config.load(options.config), options))
    except JournalError as error:
        print(f"mail-journal: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("mail-journal: interrupted; run it again to go on", file=sys.stderr)
        return int(Exit.INTERRUPTED)


def _status(config: Config, options: argparse.Namespace) -> Exit:
    host = f"[{config.listen}]" if ":" in config.listen else config.listen
    url = f"http://{host}:{config.metrics_port}/status"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
    except (OSError, ValueError) as error:
        raise CouldNotError(
            f"the service does not answer: {error}",
            where=url,
            remedy="`systemctl status mail-journal` says more",
        ) from error
    print(json.dumps(found, indent=2) if options.json else operating.render(found))
    return Exit.CHECK_FAILED if found["wrong"] else Exit.OK


def _prepare(config: Config, _: argparse.Namespace) -> Exit:
    made, new = instance.ensure([config.spool, config.mail, config.queue])
    if new:
        print(f"these disks are called {made} from now on")
    return Exit.OK


def _serve(config: Config, _: argparse.Namespace) -> Exit:
    serve.run(config)
    return Exit.OK


def _milter(config: Config, _: argparse.Namespace) -> Exit:
    milter_run.run(config)
    return Exit.OK

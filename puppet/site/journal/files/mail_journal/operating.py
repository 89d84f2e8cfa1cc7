"""What an operator does with the journal when a node died, or came back."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mail_journal import postfix
from mail_journal.addresses import Addresses
from mail_journal.config import Config
from mail_journal.errors import CouldNotError, Exit, RefusedError
from mail_journal.exchange import PeerError
from mail_journal.postfix import Reinjector
from mail_journal.rejoin import Waiting, purgeable, surplus
from mail_journal.replay import Replay
from mail_journal.serve import the_addresses, the_mailboxes, the_peer, the_store
from mail_journal.witness import look

ANSWER: Final = 20.0
STEP: Final = 200
"""Messages after which a line says how far it got."""

LONGEST_QUEUE: Final = 30 * 86400.0
RETURN: Final = 7 * 86400.0
"""Seconds for which a node may have been away whose second copies are still looked for."""


def render(found: Mapping[str, Any]) -> str:
    """Return how the journal stands, for people."""
    last = found["last_degraded"]
    when = datetime.fromtimestamp(last, UTC).isoformat(" ", "seconds")
    lines = [
        (
            f"kept for the peer: {found['entries']} messages, {found['bytes'] / 1e6:.1f} MB,"
            f" the oldest {found['oldest']:.0f} s old"
        ),
        (
            f"handed to the peer: {found['journaled']}; on this disk only: {found['degraded']}"
            + (f", the last at {when}" if last else "")
        ),
        *(f"! {one}" for one in found["wrong"]),
    ]
    return "\n".join(lines if found["wrong"] else [*lines, "nothing is to be seen to"])


def _say_progress(done: int, of: int) -> None:
    if done % STEP == 0 and done < of:
        print(f"{done} of {of} messages", file=sys.stderr)


def replay(config: Config, options: argparse.Namespace) -> Exit:
    """Deliver what a dead peer had accepted.

    Raises:
        JournalError: it cannot be done or told.
    """
    store = the_store(config)
    store.open(tidy=False)
    try:
        peer_instance = str(the_peer(config).alive(seconds=5.0).get("instance", ""))
    except PeerError:
        peer_instance = ""
    # Next to the one past all milters there is one past all aliases as well.
    port = config.reinject_port + options.mailboxes
    report = Replay(
        store=store,
        mailboxes=the_mailboxes(config),
        addresses=the_addresses(config),
        notes=config.replayed,
        reinjector=lambda stack: stack.enter_context(Reinjector(port=port)),
        tell=_say_progress,
    ).run(
        peer_instance=peer_instance,
        peer_is_dead=options.peer_is_dead,
        apply=options.apply,
        mailboxes_only=options.mailboxes,
    )
    if report.living:
        print(f"{report.living} messages are of the peer as it is now, which sees to them itself")
    print(f"{report.present} messages are where they belong")
    done = "were delivered" if options.apply else "would be delivered (--apply)"
    print(f"{report.delivered} messages {done}, to {report.copies} recipients")
    for line in report.wrong:
        print(f"mail-journal: {line}", file=sys.stderr)
    return Exit.CHECK_FAILED if report.wrong else Exit.OK


def rejoin(config: Config, options: argparse.Namespace) -> Exit:
    """Come back after a crash, before Postfix starts.

    Raises:
        JournalError: it cannot be done or told.
    """
    if postfix.running():
        raise RefusedError(
            "Postfix runs, and delivers what may have been delivered by the other node",
            remedy="`systemctl stop postfix.service` first",
        )
    waiting = [] if options.alone else _waiting(the_addresses(config))
    # Whoever synchronizes changes something; a dry run does not.
    synced = options.sync and options.apply and not options.alone
    if synced:
        _sync(options.sync)
    named = [one for one in waiting if one.entry_id]
    gone = purgeable(named, found=_found(config, named), replayed=_replayed(config, named))
    done = "were purged" if options.apply else "would be purged (--apply)"
    if options.apply:
        postfix.purge([one.queue_id for one in gone])
    print(
        f"{len(waiting)} messages in the queue: {len(gone)} {done}, because the other node has"
        f" seen to them; {len(waiting) - len(gone)} stay"
    )
    # What was delivered on both nodes is twice in a mailbox now.
    if synced and _dedupe(config, apply=True, since=RETURN):
        _sync(options.sync)
    if options.apply and not options.no_start:
        postfix.start()
    return Exit.OK


def _waiting(addresses: Addresses) -> list[Waiting]:
    return [
        Waiting(
            queue_id=one.queue_id,
            entry_id=postfix.journal_id(one.queue_id),
            targets=tuple(addresses.target(to) for to in one.recipients),
        )
        for one in postfix.queue()
    ]


def _sync(
    command: str,
    *,
    state: str = "nothing was purged, and Postfix was not started",
    remedy: str = "If the peer is away, say --alone",
) -> None:
    try:
        done = subprocess.run(shlex.split(command), check=False)
    except OSError as error:
        raise CouldNotError(f"cannot be run: {error}", where=command) from error
    if done.returncode:
        raise CouldNotError(f"ended with {done.returncode}; {state}", where=command, remedy=remedy)


def _found(config: Config, waiting: list[Waiting]) -> Mapping[str, frozenset[str]]:
    mailboxes = frozenset(
        box for one in waiting for target in one.targets for box in target.mailboxes
    )
    return look(the_mailboxes(config), [(mailboxes, LONGEST_QUEUE)])


def _replayed(config: Config, waiting: list[Waiting]) -> Mapping[str, frozenset[str]]:
    if not waiting:
        return {}
    try:
        answer = the_peer(config).ask(
            {"replayed": [one.entry_id for one in waiting]}, seconds=ANSWER
        )
        return {one: frozenset(finals) for one, finals in answer["replayed"].items()}
    except PeerError as error:
        raise CouldNotError(
            f"{error.what}; nothing was purged, and Postfix was not started",
            where=error.where,
            remedy="If the peer is away, say --alone",
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise CouldNotError(f"the peer's answer is malformed: {error!r}") from error


def dedupe(config: Config, options: argparse.Namespace) -> Exit:
    """Remove second copies.

    Raises:
        JournalError: Dovecot does not answer, or the other node could not be told.
    """
    whose = _dedupe(config, apply=options.apply, since=options.since * 3600)
    if whose and options.apply and options.sync:
        _sync(
            shlex.join([*shlex.split(options.sync), *whose]),
            state="second copies were removed on this node only",
            remedy="The next synchronisation of these mailboxes removes them there",
        )
    return Exit.OK


def _dedupe(config: Config, *, apply: bool, since: float) -> list[str]:
    """Remove second copies, or only name them; return whose they were."""
    mailboxes = the_mailboxes(config)
    users = mailboxes.users()
    number, whose = 0, []
    for at, user in enumerate(users, 1):
        copies = surplus(mailboxes.copies(user, since=since))
        if copies:
            whose.append(user)
        number += len(copies)
        for copy in copies:
            print(f"{user}: {copy.folder}, number {copy.uid}")
            if apply:
                mailboxes.expunge(user, folder=copy.folder, uid=copy.uid)
        _say_progress(at, len(users))
    done = "were removed" if apply else "would be removed (--apply)"
    print(f"{number} second copies {done} from {len(users)} mailboxes")
    return whose

"""The service on each node: keeps what the peer accepts, and says how it stands."""

from __future__ import annotations

import threading

from mail_journal.addresses import Addresses
from mail_journal.auth import Seal
from mail_journal.collector import Collector
from mail_journal.config import Config
from mail_journal.counts import Counts
from mail_journal.deadline import Deadlines
from mail_journal.entry import LONGEST_HEAD
from mail_journal.errors import CouldNotError
from mail_journal.exchange import Peer
from mail_journal.instance import read
from mail_journal.mailboxes import Mailboxes
from mail_journal.notify import notify
from mail_journal.report import Metrics, Reporter
from mail_journal.server import Server, Service
from mail_journal.store import Store
from mail_journal.witness import Witness


def the_store(config: Config) -> Store:
    """Return the journal on this disk; nothing has been looked at."""
    return Store(directory=config.entries, max_bytes=config.max_bytes, min_free=config.min_free)


def the_peer(config: Config) -> Peer:
    """Return the other node."""
    return Peer(
        address=config.peer,
        port=config.port,
        seal=Seal(secret=config.secret),
        deadlines=Deadlines(),
    )


def the_mailboxes(config: Config) -> Mailboxes:
    """Return Dovecot on this node."""
    return Mailboxes(url=config.doveadm_url, password=config.doveadm_password)


def the_addresses(config: Config) -> Addresses:
    """Return what Postfix knows of addresses.

    Raises:
        AddressesError: its tables cannot be read.
    """
    return Addresses.load(config.postfix, delimiter=config.recipient_delimiter)


def run(config: Config) -> None:
    """Serve until somebody says stop.

    Raises:
        JournalError: it cannot be begun.
    """
    counts = Counts()
    store = the_store(config)
    store.open(tidy=True)
    instance = read(config.spool)
    if not instance:
        raise CouldNotError(
            "this node's disks carry no id", remedy="`mail-journal prepare` writes it"
        )
    mailboxes = the_mailboxes(config)
    collector = Collector(
        store=store,
        peer=the_peer(config),
        mailboxes=mailboxes,
        addresses=lambda: the_addresses(config),
        notes=config.replayed,
        counts=counts,
    )
    witness = Witness(instance=instance, mailboxes=mailboxes, replayed=config.replayed)
    service = Service(
        store=store,
        seal=Seal(secret=config.secret),
        answer=witness.answer,
        instance=instance,
        # Postfix's limit is of the message as it came; milters add headers.
        largest=config.message_size + 2 * LONGEST_HEAD,
        counts=counts,
    )
    try:
        server = Server(
            address=config.listen, port=config.port, peers={config.peer}, service=service
        )
        metrics = Metrics(
            address=config.listen,
            port=config.metrics_port,
            reporter=Reporter(config=config, store=store, collector=collector, counts=counts),
            counts=counts,
        )
    except OSError as error:
        raise CouldNotError(
            f"cannot listen: {error}", where=config.listen, remedy="Is wg0 up?"
        ) from error
    threading.Thread(target=metrics.serve_forever, name="metrics", daemon=True).start()
    threading.Thread(target=collector.run, name="collector", daemon=True).start()
    notify()
    server.serve_forever()

#!/usr/bin/python3
"""Managed by Puppet. Writes a letter to every mail server, and reads it on each.

    fleet-letter CONFIG OUTPUT

CONFIG (JSON) has `servers` (host -> address), `name` (which their certificates are for),
`authority` (a file with root certificates), `mailbox`, `password` (a file with that of the mailbox)
and `from`. A letter goes to port 25 as another mail server would bring it, and is read by IMAP,
over TLS. Whatever is found in the mailbox is thrown away after it was seen.
"""

from __future__ import annotations

import imaplib
import json
import secrets
import smtplib
import socket
import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 40.0
POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
TROUBLE = (OSError, smtplib.SMTPException, imaplib.IMAP4.error)


class Imap(imaplib.IMAP4):
    """IMAP over TLS to an address, by a certificate for another name."""

    def __init__(self, *, address: str, name: str, context: ssl.SSLContext) -> None:
        self._where = (address, 993)
        self._name = name
        self._context = context
        super().__init__(address, 993, timeout=TIMEOUT_SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection(self._where, timeout)
        return self._context.wrap_socket(plain, server_hostname=self._name)


def send(config: Mapping[str, Any], address: str, mark: str, context: ssl.SSLContext) -> None:
    """Bring a letter to one server, as another mail server does.

    Raises:
        OSError: it cannot be reached, or is not who it should be.
        SMTPException: it does not take the letter.
    """
    letter = EmailMessage()
    letter["From"] = config["from"]
    letter["To"] = config["mailbox"]
    letter["Subject"] = f"Generalprøve {mark}"
    letter["Date"] = formatdate()
    letter["Message-ID"] = make_msgid(domain=config["from"].partition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(f"Written to see whether it arrives: {mark}.\n")
    host = config["from"].partition("@")[2]
    with smtplib.SMTP(local_hostname=host, timeout=TIMEOUT_SECONDS) as server:
        # The certificate is for the name, whatever address is called.
        server._host = config["name"]
        server.connect(address, 25)
        server._host = config["name"]
        server.starttls(context=context)
        server.send_message(letter)


def read(
    config: Mapping[str, Any], address: str, password: str, context: ssl.SSLContext, marks: set[str]
) -> set[str]:
    """Return which *marks* are in the mailbox on one server; what was seen is thrown away.

    Raises:
        OSError: it cannot be reached, or is not who it should be.
        IMAP4.error: it does not let us in, or does not do what it should.
    """
    box = Imap(address=address, name=config["name"], context=context)
    try:
        box.login(config["mailbox"], password)
        box.select("INBOX")
        found = set()
        for mark in marks:
            _, numbers = box.uid("SEARCH", "SUBJECT", mark)
            if numbers and numbers[0]:
                found.add(mark)
        return found
    finally:
        box.logout()


def tidy(config: Mapping[str, Any], address: str, password: str, context: ssl.SSLContext) -> None:
    """Throw away what is in the mailbox."""
    box = Imap(address=address, name=config["name"], context=context)
    try:
        box.login(config["mailbox"], password)
        box.select("INBOX")
        _, numbers = box.uid("SEARCH", "ALL")
        if numbers and numbers[0]:
            box.uid("STORE", ",".join(numbers[0].decode().split()), "+FLAGS.SILENT", r"(\Deleted)")
            box.expunge()
    finally:
        box.logout()


def write(config: Mapping[str, Any], password: str, context: ssl.SSLContext) -> list[str]:
    """Write to every server and read on each; return metrics."""
    servers: Mapping[str, str] = config["servers"]
    sent: dict[str, tuple[str, float]] = {}
    for host, address in servers.items():
        mark = secrets.token_hex(8)
        try:
            send(config, address, mark, context)
            sent[host] = (mark, time.monotonic())
        except TROUBLE as error:
            print(f"{host} takes no letter: {error}", file=sys.stderr)
    seconds = find(config, password, context, sent)
    for host, address in servers.items():
        try:
            tidy(config, address, password, context)
            break
        except TROUBLE as error:
            print(f"{host} throws nothing away: {error}", file=sys.stderr)
    return told(list(servers), seconds)


def find(
    config: Mapping[str, Any],
    password: str,
    context: ssl.SSLContext,
    sent: Mapping[str, tuple[str, float]],
) -> dict[tuple[str, str], float]:
    """Look for letters on every server until they are there, or there is no patience left.

    Args:
        config: whom to ask.
        password: of the mailbox.
        context: whom to believe.
        sent: whom a letter was given to -> its mark, and when.

    Returns:
        Whom it was given to and who reads it -> seconds until it was there.
    """
    servers: Mapping[str, str] = config["servers"]
    waiting = {(host, reader) for host in sent for reader in servers}
    found: dict[tuple[str, str], float] = {}
    silent: dict[str, str] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while waiting and time.monotonic() < deadline:
        for reader in sorted({where for _, where in waiting}):
            marks = {sent[host][0]: host for host, where in waiting if where == reader}
            try:
                seen = read(config, servers[reader], password, context, set(marks))
                silent.pop(reader, None)
            except TROUBLE as error:
                silent[reader] = str(error)
                continue
            for host in (marks[mark] for mark in seen):
                found[host, reader] = time.monotonic() - sent[host][1]
        waiting -= set(found)
        if waiting:
            time.sleep(POLL_SECONDS)
    for reader, error in silent.items():
        print(f"{reader} lets nobody read: {error}", file=sys.stderr)
    for host, reader in sorted(waiting):
        print(f"a letter given to {host} is not there on {reader}", file=sys.stderr)
    return found


def told(servers: Sequence[str], seconds: Mapping[tuple[str, str], float]) -> list[str]:
    """Return metrics: for every pair whether the letter arrived, and how long it took."""
    lines = [
        "# HELP fleet_letter_ok Whether a letter given to one server is read on another.",
        "# TYPE fleet_letter_ok gauge",
    ]
    pairs = [(sender, reader) for sender in servers for reader in servers]
    labels = {
        (sender, reader): f'{{instance="{reader}",given_to="{sender}",'
        f'copied="{"no" if sender == reader else "yes"}"}}'
        for sender, reader in pairs
    }
    lines += [f"fleet_letter_ok{labels[pair]} {int(pair in seconds)}" for pair in pairs]
    lines += [
        "# HELP fleet_letter_seconds How long it took until it could be read.",
        "# TYPE fleet_letter_seconds gauge",
    ]
    return lines + [
        f"fleet_letter_seconds{labels[pair]} {seconds[pair]:.3f}"
        for pair in pairs
        if pair in seconds
    ]


def main(argv: Sequence[str]) -> None:
    """Write, read, and tell what came of it, all at once."""
    config = json.loads(Path(argv[1]).read_text())
    lines = []
    if config["servers"]:
        password = Path(config["password"]).read_text().strip()
        context = ssl.create_default_context()
        if Path(config["authority"]).read_text().find("BEGIN CERTIFICATE") >= 0:
            context.load_verify_locations(cafile=config["authority"])
        lines = write(config, password, context)
    output = Path(argv[2])
    aside = output.with_suffix(".new")
    aside.write_text("\n".join([*lines, ""]))
    aside.chmod(0o644)
    aside.replace(output)


if __name__ == "__main__":
    main(sys.argv)

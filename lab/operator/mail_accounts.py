"""Who has mail on a server made by hand, and where mail for whom goes: read, and made plain data.

Pure: it takes what the server's own tools print, and returns what Puppet is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_DISCARD: Final = "/dev/null"
_CRYPT: Final = "{CRYPT}"


@dataclass(frozen=True, kw_only=True)
class Account:
    """One mailbox.

    Attributes:
        address: where mail for it arrives in the end; what the new server calls it.
        login: what the old server calls it; people log in with that.
        home: its directory on the old server.
        hash: scheme and hash of its password, as Dovecot writes them; empty when there is none.
        locked: whether nobody can log in.
    """

    address: str
    login: str
    home: str
    hash: str = field(default="", repr=False)
    locked: bool = False

    @property
    def maildir(self) -> str:
        """Where its mail is on the old server."""
        return f"{self.home}/Maildir"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the old server's tools printed.

    Attributes:
        users: Dovecot's own file of users.
        homes: where those have their homes; ``%d`` and ``%n`` stand for domain and name.
        people: lines of passwd(5), of those who have a maildir.
        shadow: lines of shadow(5).
        local: the domain in which people with an account of the server get their mail.
        origin: the domain that Postfix adds to a name without one.
        domains: domains with mailboxes or aliases of their own, without *local*.
        delivered: addresses that Postfix hands to Dovecot.
        aliases: virtual(5), as postmap(1) prints it.
        server_aliases: aliases(5), as postalias(1) prints it.
        forwards: login -> their ``.forward``.
    """

    users: str
    homes: str
    people: str
    shadow: str
    local: str
    origin: str
    domains: tuple[str, ...]
    delivered: str
    aliases: str
    server_aliases: str = ""
    forwards: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Everybody who has mail, as plain data.

    Attributes:
        accounts: every mailbox.
        aliases: address, or ``@domain`` for every other one -> addresses.
        discards: addresses of which nobody reads what is sent there.
        domains: all domains that mail is taken for.
        problems: what cannot be taken over as it is, and what to do.
    """

    accounts: tuple[Account, ...]
    aliases: Mapping[str, tuple[str, ...]]
    discards: tuple[str, ...]
    domains: tuple[str, ...]
    problems: tuple[str, ...] = ()


def directory(found: Found) -> Directory:
    """Return who has mail."""
    problems: list[str] = []
    accounts = (
        *_virtual(found, problems),
        *_with_account(found, problems),
    )
    counted = Counter(account.address for account in accounts)
    problems += [
        f"{address} exists {count} times: remove all but one"
        for address, count in counted.items()
        if count > 1
    ]
    problems += _passwords(accounts)
    aliases, discards = _aliases(found, accounts, problems)
    delivered = {line.split()[0].lower() for line in found.delivered.splitlines() if line.strip()}
    virtual = {each.address for each in accounts if each.address.rpartition("@")[2] != found.local}
    problems += [
        f"Postfix takes mail for {address}, which Dovecot does not know: add the user, or drop it"
        for address in sorted(delivered - virtual)
    ]
    problems += [
        f"Dovecot knows {address}, which Postfix takes no mail for: remove it, or add it there"
        for address in sorted(virtual - delivered)
    ]
    return Directory(
        accounts=tuple(sorted(accounts, key=lambda each: each.address)),
        aliases=dict(sorted(aliases.items())),
        discards=tuple(sorted(discards)),
        domains=tuple(dict.fromkeys([*found.domains, found.local])),
        problems=tuple(problems),
    )


def _virtual(found: Found, problems: list[str]) -> Iterator[Account]:
    """Yield those whom only Dovecot knows."""
    for line in _lines(found.users):
        name, _, rest = line.partition(":")
        fields = rest.split(":")
        address = name.lower()
        if "@" not in address:
            problems.append(f"{name} in Dovecot's users has no domain: write it as an address")
            continue
        local, _, domain = address.partition("@")
        home = fields[4] if len(fields) > 4 and fields[4] else ""  # noqa: PLR2004 - passwd(5)
        yield Account(
            address=address,
            login=address,
            home=home or found.homes.replace("%d", domain).replace("%n", local),
            hash=_schemed(fields[0]),
        )


def _with_account(found: Found, problems: list[str]) -> Iterator[Account]:
    """Yield those who have an account of the server."""
    hashes = {line.split(":")[0]: line.split(":")[1] for line in _lines(found.shadow)}
    for line in _lines(found.people):
        login, _, _, _, _, home, *_ = line.split(":")
        kept = hashes.get(login, "")
        locked = kept.startswith(("!", "*"))
        if login != login.lower():
            problems.append(f"the login {login} has capital letters: mail for it would be lost")
        yield Account(
            address=f"{login}@{found.local}",
            login=login,
            home=home,
            hash="" if locked else _schemed(kept),
            locked=locked,
        )


def _passwords(accounts: Iterable[Account]) -> Iterator[str]:
    for account in accounts:
        if not account.hash and not account.locked:
            yield f"{account.login} has no password: set one, or lock the account"
        if account.hash.upper().startswith(("{PLAIN", "{CLEAR")):
            yield f"the password of {account.login} is kept in clear: let `doveadm pw` hash it"


def _schemed(kept: str) -> str:
    """Return a hash with its scheme; crypt(3) knows its own."""
    return kept if not kept or kept.startswith("{") else f"{_CRYPT}{kept}"


def _aliases(
    found: Found, accounts: Sequence[Account], problems: list[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return where mail for which address goes, and what is thrown away."""
    aliases: dict[str, tuple[str, ...]] = {}
    discards: list[str] = []
    for line in _lines(found.aliases):
        name, _, values = line.partition("\t")
        owner = name.strip().lower()
        if "@" not in owner:
            owner = f"{owner}@{found.origin}"
        targets = _addresses(values, found.origin)
        aliases[owner] = targets  # to itself: so that no catch-all takes it
        if targets == (owner,) and owner not in {account.address for account in accounts}:
            problems.append(f"the alias {owner} leads to itself, and there is no such mailbox")
    for line in _lines(found.server_aliases):
        name, _, values = line.partition(":")
        if name == "@" or name.startswith("YP_"):
            continue  # what postalias(1) notes of itself
        owner = f"{name.strip().lower()}@{found.local}"
        if values.strip() == _DISCARD:
            discards.append(owner)
            continue
        targets = _of_the_server(owner, values, found.local, problems)
        if targets:
            aliases[owner] = targets
    for login, text in found.forwards.items():
        owner = f"{login}@{found.local}"
        homes = {account.login: account.maildir for account in accounts}
        told = ",".join(_lines(text))
        values = ",".join(
            login if value.strip().rstrip("/") in {homes.get(login), f"\\{login}"} else value
            for value in told.split(",")
        )
        if targets := _of_the_server(owner, values, found.local, problems):
            aliases[owner] = targets
    return aliases, discards


def _of_the_server(owner: str, values: str, local: str, problems: list[str]) -> tuple[str, ...]:
    """Return the targets of an alias of the server, or of a ``.forward``."""
    bad = [each for each in _split(values) if each.startswith(("|", "/", ":", '"|', '"/'))]
    problems.extend(
        f"mail for {owner} goes to {each}: no program or file gets mail on the new server; "
        "let it go to a mailbox"
        for each in bad
    )
    return () if bad else _addresses(values, local)


def _addresses(values: str, domain: str) -> tuple[str, ...]:
    return tuple(
        each.lower() if "@" in each else f"{each.lower()}@{domain}" for each in _split(values)
    )


def _split(values: str) -> list[str]:
    """Return the members of a list of addresses."""
    return [each for each in re.split(r"[,\s]+", values.strip()) if each]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]

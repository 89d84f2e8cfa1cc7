"""Who writes and reads mail: carried to the outside in the users' plan.

Shipped to the outside machine: standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, Literal, Self, get_args, get_origin, get_type_hints

from lab.users.visits import Family

MAIL: Final = "mail"
"""The kind of every message handed to the fleet from elsewhere. It succeeds when it is accepted,
fails when it is refused for good, and nobody can tell when there was no answer to all of it."""

SUBMISSION: Final = "submission"
"""The same for messages that the fleet's own people send."""

LOGIN: Final = "login"
"""The kind of every log-in with the right password that a server answered."""

IMAP: Final = "imap"
"""The kind of every sign of life that a reader's server has to give."""

SEEN: Final = "seen"
"""The kind of what readers are shown; it fails when they are shown what they had otherwise."""

CHANGE: Final = "change"
"""The kind of everything that changes a mailbox (:mod:`lab.users.mail_changes`)."""

RELAY: Final = "relay"
"""The kind of everything that strangers must not achieve; it succeeds when they do not."""

Route = Literal["handed in", "MX"]
Port = Literal[25, 143, 465, 587, 993]


@dataclass(frozen=True, kw_only=True)
class Account:
    """Somebody with a mailbox.

    Attributes:
        name: what the ledger calls the mailbox.
        login: what the server knows them by.
        password: theirs.
        address: where people write to.
    """

    name: str
    login: str
    password: str = field(repr=False)
    address: str


@dataclass(frozen=True, kw_only=True)
class Box:
    """A place in which a message must end.

    Attributes:
        owner: name of the account.
        folder: as people write it, with ``/`` between levels.
        flags: that it has there from the beginning.
    """

    owner: str
    folder: str = "INBOX"
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One sort of message.

    Attributes:
        sender: address of the envelope and of the head.
        to: the one recipient.
        boxes: where in the fleet it must end, once each.
        abroad: addresses elsewhere at which it must end, once each.
    """

    sender: str
    to: str
    boxes: tuple[Box, ...] = ()
    abroad: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Correspondent:
    """Somebody elsewhere who writes to the fleet.

    Attributes:
        name: the target of their operations.
        route: handed in to a mail server elsewhere, or taken to the fleet's MX themselves.
        server: whom it is handed in to.
        family: the only version of IP that they use.
        letters: written in turn.
        cadence: seconds from one to the next.
    """

    name: str
    route: Route
    server: str = ""
    family: Family
    letters: tuple[Letter, ...]
    cadence: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Submitter:
    """One of the fleet's people who sends, over a new connection each time.

    Attributes:
        name: the target of their operations.
        account: who they are.
        host: the name that they have configured; the certificate must be for it.
        port: 587 with STARTTLS, 465 with TLS from the beginning.
        family: the only version of IP that they use.
        letters: sent in turn.
        cadence: seconds from one to the next.
        at: the address that they go to, where the name is not to be looked up.
    """

    name: str
    account: Account
    host: str
    port: Port
    family: Family
    letters: tuple[Letter, ...]
    cadence: float = 3.0
    at: str = ""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One of the fleet's people, whose program stays connected and shows what comes.

    Attributes:
        name: the target of their operations.
        account: who they are.
        host: the name that they have configured; the certificate must be for it.
        port: 993 with TLS from the beginning, 143 with STARTTLS.
        family: the only version of IP that they use.
        idle: whether the program waits by IDLE, or asks by NOOP.
        cadence: seconds from one sign of life to the next.
    """

    name: str
    account: Account
    host: str
    port: Port = 993
    family: Family
    idle: bool = True
    cadence: float = 0.25


@dataclass(frozen=True, kw_only=True)
class Mover:
    """One of the fleet's people who keeps their mailbox in order.

    Attributes:
        name: the target of their operations.
        account: who they are.
        host: the name that they have configured; the certificate must be for it.
        family: the only version of IP that they use.
        drafts: the folder in which they begin.
        folders: into which they file, in turn.
        files: whether they also file what comes into INBOX.
        cadence: seconds from one change to the next.
        at: the address that they go to, where the name is not to be looked up.
    """

    name: str
    account: Account
    host: str
    family: Family
    drafts: str = "Drafts"
    folders: tuple[str, ...]
    files: bool = False
    cadence: float = 1.0
    at: str = ""


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """Somebody who looks for a server that relays for anybody, or lets anybody in.

    Attributes:
        name: the target of their operations.
        servers: names or addresses, tried in turn.
        tricks: pairs of a sender and a recipient elsewhere, whom no server may accept.
        guesses: accounts, each with a password that is not theirs.
        closed: whether a server that does not answer is as good as one that refuses; where
            one has to be, it says nothing.
        cadence: seconds from one try to the next.
        patience: seconds from one guess to the next. Each makes Dovecot slow for some seconds
            towards everybody who logs in from where the guess came from.
    """

    name: str
    servers: tuple[str, ...]
    tricks: tuple[tuple[str, str], ...]
    guesses: tuple[Account, ...] = ()
    closed: bool = False
    cadence: float = 1.0
    patience: float = 300.0


@dataclass(frozen=True, kw_only=True)
class MailUsers:
    """Everybody who has to do with mail.

    Attributes:
        domain: the fleet's.
        resolver: family -> address of whom they look names up with.
        accounts: every mailbox that can be looked into in the end.
        host: where that is done.
        twins: addresses of the two servers that hold the same; empty where there is one server.
        correspondents: write from elsewhere.
        submitters: send.
        readers: read.
        movers: keep order.
        strangers: try what must not be.
    """

    domain: str = ""
    resolver: Mapping[str, str] = field(default_factory=dict)
    accounts: tuple[Account, ...] = ()
    host: str = ""
    twins: tuple[str, ...] = ()
    correspondents: tuple[Correspondent, ...] = ()
    submitters: tuple[Submitter, ...] = ()
    readers: tuple[Reader, ...] = ()
    movers: tuple[Mover, ...] = ()
    strangers: tuple[Stranger, ...] = ()

    def __bool__(self) -> bool:
        """Whether anybody plays."""
        return bool(self.accounts)

    @property
    def letters(self) -> tuple[Letter, ...]:
        """Every sort of message that is sent."""
        senders: tuple[Correspondent | Submitter, ...] = (*self.correspondents, *self.submitters)
        return tuple(letter for one in senders for letter in one.letters)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read what :func:`dataclasses.asdict` made of it.

        Raises:
            TypeError: a field is unknown or missing.
        """
        found = _made(cls, given)
        assert isinstance(found, cls)  # noqa: S101 - for whoever checks types
        return found


def _made(shape: Any, given: Any) -> Any:  # noqa: ANN401 - JSON's
    """Make what a type says out of what JSON says."""
    if isinstance(shape, type) and is_dataclass(shape):
        hints = get_type_hints(shape)
        known = {each.name: hints[each.name] for each in fields(shape)}
        if unknown := given.keys() - known.keys():
            raise TypeError(f"unknown: {', '.join(sorted(unknown))}")
        return shape(**{name: _made(known[name], value) for name, value in given.items()})
    if get_origin(shape) is tuple:
        inner = get_args(shape)[0]
        return tuple(_made(inner, value) for value in given)
    return given

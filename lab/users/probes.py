"""What the users ask: probes, their look-ups, and the plan that carries them to the outside.

Shipped to the outside machine: standard library only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, Self

from lab.users.mail_plan import MailUsers
from lab.users.visits import Visit, Visitor, Writer

LOOKUP: Final = "lookup"
"""The kind of every operation that a name server has to answer."""

Transport = Literal["udp", "tcp"]
Via = Literal["resolver", "walk"]
"""Ask a resolver as a stub does, or walk from the root as a resolver does."""


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """One question, and what a user may be told.

    Attributes:
        name: absolute or not, without search lists. A first label ``*`` is replaced by
            another random one each time, so that no cache has the answer.
        type: such as ``MX``.
        expect: the sets of values allowed, as in a zone file with absolute names (the old
            and the new one during a cutover); any answer at all when empty. Case counts where
            the protocol says so.
        among: values of which any part is right as well, as long as it is not empty: what a name
            answers that leads to whichever servers are well.
        rcode: the status expected; with ``NXDOMAIN`` no value is.
        secure: the resolver must say that it validated the answer (AD, RFC 4035 3.2.3).
    """

    name: str
    type: str
    expect: tuple[tuple[str, ...], ...] = ()
    among: tuple[str, ...] = ()
    rcode: str = "NOERROR"
    secure: bool = False

    def __str__(self) -> str:
        """Return it as dig(1) would be asked."""
        return f"{self.name} {self.type}"


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One user who asks at a steady pace, however long answers take.

    A question counts once: the probe behaves as a stub does with retries switched off. It
    waits *timeout* for the answer, takes a truncated one over TCP, and believes only what
    comes from where it asked. With more *attempts* it asks again after each time-out, and
    over UDP a server that says SERVFAIL or REFUSED counts as answered.

    Attributes:
        name: the target of its operations.
        via: through a resolver, or walking from the root itself.
        transport: what it asks over first.
        servers: resolvers, or the root's name servers (RFC 9609 hints). When walking, their
            family is the only one it uses.
        lookups: asked in turn.
        cadence: seconds from one question to the next.
        timeout: seconds that one attempt may take.
        attempts: how often it asks before it gives up; when walking, every name server of a
            zone is asked once at least, as resolvers do.
        port: where all servers listen.
    """

    name: str
    via: Via
    transport: Transport
    servers: tuple[str, ...]
    lookups: tuple[Lookup, ...]
    cadence: float = 0.1
    timeout: float = 3.0
    attempts: int = 1
    port: int = 53

    def __post_init__(self) -> None:
        """Refuse a probe that could see nothing.

        Raises:
            ValueError: it has nobody or nothing to ask, or no pace.
        """
        if not self.servers or not self.lookups or self.cadence <= 0 or self.attempts < 1:
            raise ValueError(f"the probe {self.name!r} has nobody, nothing or no time to ask")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All users of one run, with names of their own.

    Attributes:
        probes: who look names up.
        visitors: who look at pages.
        writers: who write.
        authorities: certificates, PEM, of whom everybody believes.
        mail: who writes and reads mail.
    """

    probes: tuple[Probe, ...] = ()
    visitors: tuple[Visitor, ...] = ()
    writers: tuple[Writer, ...] = ()
    authorities: str = ""
    mail: MailUsers = field(default_factory=MailUsers)

    @property
    def rate(self) -> float:
        """Look-ups a second altogether."""
        return sum(1 / probe.cadence for probe in self.probes)

    def to_json(self) -> str:
        """Return it as the text that :meth:`from_json` reads."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a plan.

        Raises:
            ValueError: it is not JSON, or a probe could see nothing.
            TypeError: a field is unknown or missing.
            KeyError: a part is missing.
        """
        given = json.loads(text)
        return cls(
            probes=tuple(_probe(**entry) for entry in given["probes"]),
            visitors=tuple(_visitor(**entry) for entry in given["visitors"]),
            writers=tuple(Writer(**entry) for entry in given["writers"]),
            authorities=given["authorities"],
            mail=MailUsers.of(given["mail"]),
        )


def _visitor(*, visits: list[dict[str, Any]], **rest: Any) -> Visitor:  # noqa: ANN401 - JSON's
    return Visitor(visits=tuple(Visit(**entry) for entry in visits), **rest)


def _probe(*, servers: list[str], lookups: list[dict[str, Any]], **rest: Any) -> Probe:  # noqa: ANN401
    questions = tuple(_lookup(**entry) for entry in lookups)
    return Probe(servers=tuple(servers), lookups=questions, **rest)


def _lookup(*, expect: list[list[str]], among: list[str], **rest: Any) -> Lookup:  # noqa: ANN401
    sets = tuple(tuple(values) for values in expect)
    return Lookup(expect=sets, among=tuple(among), **rest)

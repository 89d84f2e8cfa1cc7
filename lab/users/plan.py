"""The standard users: every way in which the world looks the fleet's names up."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Final, TypeVar, get_args

from lab.users.mail_plan import Correspondent, Mover, Submitter
from lab.users.probes import Lookup, Plan, Probe, Transport
from lab.users.visits import Visitor, Writer

STUB_SECONDS: Final = 5.0
STUB_ATTEMPTS: Final = 2
"""So long people's machines wait for a resolver, and so often they ask it (resolv.conf(5))."""

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.addresses import Address

Paced = TypeVar("Paced", Visitor, Writer, Correspondent, Submitter, Mover)


def both(address: Address) -> dict[str, str]:
    """Return an address by family: what :func:`standard_plan` takes."""
    return {"4": str(address.v4), "6": str(address.v6)}


def standard_plan(
    *,
    lookups: Sequence[Lookup],
    resolver: Mapping[str, str],
    root: Mapping[str, str],
    fresh: Sequence[Lookup] = (),
    cadence: float = 0.1,
) -> Plan:
    """Return ten users, a hundred look-ups a second between them.

    Four ask the resolver, mostly from its cache; four walk from the root, each with a cache
    of its own; both over UDP and TCP, IPv4 and IPv6. Two ask the resolver, over UDP, what it
    cannot have cached. (Once the zone is signed a resolver that uses NSEC aggressively, RFC
    8198, answers even that from its cache; the walkers never do.)

    Args:
        lookups: what everybody asks in turn.
        resolver: family (``4``, ``6``) -> its address; a family that is not there is not used.
        root: the same, of the root's name server.
        fresh: names with a first label ``*``, asked of the resolver; left out when empty.
        cadence: seconds between two questions of one user.
    """
    questions, unheard_of = tuple(lookups), tuple(fresh)
    families = [family for family in ("4", "6") if family in resolver and family in root]
    ways = list(product(get_args(Transport), families))
    cached = [
        Probe(
            name=f"{transport}{family} cached",
            via="resolver",
            transport=transport,
            servers=(resolver[family],),
            lookups=questions,
            cadence=cadence,
            timeout=STUB_SECONDS,
            attempts=STUB_ATTEMPTS,
        )
        for transport, family in ways
    ]
    walking = [
        Probe(
            name=f"{transport}{family} walk",
            via="walk",
            transport=transport,
            servers=(root[family],),
            # Only a resolver says that it has validated an answer.
            lookups=tuple(replace(one, secure=False) for one in questions),
            cadence=cadence,
        )
        for transport, family in ways
    ]
    missing = [
        Probe(
            name=f"udp{family} fresh",
            via="resolver",
            transport="udp",
            servers=(resolver[family],),
            lookups=unheard_of,
            cadence=cadence,
            timeout=STUB_SECONDS,
            attempts=STUB_ATTEMPTS,
        )
        for family in families
        if unheard_of
    ]
    return Plan(probes=(*cached, *walking, *missing))


def paced(plan: Plan, pace: float) -> Plan:
    """Return a plan in which more, or less, is going on.

    Who looks names up or reads keeps the usual pace: it is what gaps are measured by.

    Args:
        plan: the usual one.
        pace: how often everybody else does something, as a multiple.
    """

    def all_of(those: tuple[Paced, ...]) -> tuple[Paced, ...]:
        return tuple(replace(each, cadence=each.cadence / pace) for each in those)

    mail = plan.mail
    return replace(
        plan,
        visitors=all_of(plan.visitors),
        writers=all_of(plan.writers),
        mail=replace(
            mail,
            correspondents=all_of(mail.correspondents),
            submitters=all_of(mail.submitters),
            movers=all_of(mail.movers),
        ),
    )

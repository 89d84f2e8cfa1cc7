"""The standard users: every way in which the world looks the fleet's names up."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Final, get_args

from lab.addresses import Address, world_address
from lab.users.probes import Lookup, Plan, Probe, Transport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.fleet import Site

RESOLVER: Final = 10
"""The number of the world's resolver (:func:`lab.addresses.world_address`)."""

ROOT: Final = 53
"""The number of the root's name server."""


def standard_plan(
    *,
    site: Site,
    lookups: Sequence[Lookup],
    fresh: Sequence[Lookup] = (),
    resolver: Address | None = None,
    root: Address | None = None,
    cadence: float = 0.1,
) -> Plan:
    """Return ten users, a hundred look-ups a second between them.

    Four ask the resolver, mostly from its cache; four walk from the root, each with a cache
    of its own; both over UDP and TCP, IPv4 and IPv6. Two ask the resolver, over UDP, what it
    cannot have cached. (Once the zone is signed a resolver that uses NSEC aggressively, RFC
    8198, answers even that from its cache; the walkers never do.)

    Args:
        site: where the fleet stands; its block finds the world's machines.
        lookups: what everybody asks in turn.
        fresh: names with a first label ``*``, asked of the resolver; left out when empty.
        resolver: instead of the world's.
        root: instead of the world's.
        cadence: seconds between two questions of one user.
    """
    resolver = resolver or world_address(RESOLVER, block=site.block)
    root = root or world_address(ROOT, block=site.block)
    questions, unheard_of = tuple(lookups), tuple(fresh)
    ways = list(product(get_args(Transport), ("4", "6")))
    cached = [
        Probe(
            name=f"{transport}{family} cached",
            via="resolver",
            transport=transport,
            servers=(_of(resolver, family),),
            lookups=questions,
            cadence=cadence,
        )
        for transport, family in ways
    ]
    walking = [
        Probe(
            name=f"{transport}{family} walk",
            via="walk",
            transport=transport,
            servers=(_of(root, family),),
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
            servers=(_of(resolver, family),),
            lookups=unheard_of,
            cadence=cadence,
        )
        for family in ("4", "6")
        if unheard_of
    ]
    return Plan(probes=(*cached, *walking, *missing))


def _of(address: Address, family: str) -> str:
    return str(address.v4 if family == "4" else address.v6)

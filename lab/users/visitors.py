"""The standard visitors: every way in which the world comes to the fleet's sites."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

from lab.addresses import world_address
from lab.users.plan import RESOLVER
from lab.users.visits import Family, Visit, Visitor, Writer

if TYPE_CHECKING:
    from lab.fleet import Site

_SCHEMES = ("http", "https")


def standard_visitors(
    *,
    site: Site,
    visits: Sequence[Visit],
    reach: Mapping[str, Collection[str]],
    cadence: float = 0.04,
) -> tuple[Visitor, ...]:
    """Return four visitors, a hundred pages a second between them.

    Two come without TLS, two with it; each over IPv4 or IPv6 alone.

    Args:
        site: where the fleet stands; its block finds the world's resolver.
        visits: what there is to see.
        reach: host -> versions of IP over which it has an address.
        cadence: seconds between two pages of one visitor.
    """
    return tuple(
        Visitor(
            name=f"{scheme}{family}",
            family=family,
            resolver=_resolver(site, family),
            visits=tuple(
                each
                for each in visits
                if (parts := urlsplit(each.url)).scheme == scheme and family in reach[parts.netloc]
            ),
            cadence=cadence,
        )
        for scheme, family in product(_SCHEMES, get_args(Family))
    )


def standard_writers(
    *, site: Site, host: str, families: Collection[str], path: str = "/", cadence: float = 0.25
) -> tuple[Writer, ...]:
    """Return writers of one guest book, with TLS and without, over each version of IP.

    Args:
        site: where the fleet stands.
        host: name of the guest book's site.
        families: versions of IP over which it has an address.
        path: of its form.
        cadence: seconds between two entries of one writer.
    """
    return tuple(
        Writer(
            name=f"{scheme}{family} form",
            family=family,
            resolver=_resolver(site, family),
            url=f"{scheme}://{host}{path}",
            cadence=cadence,
        )
        for scheme, family in product(_SCHEMES, get_args(Family))
        if family in families
    )


def _resolver(site: Site, family: str) -> str:
    address = world_address(RESOLVER, block=site.block)
    return str(address.v4 if family == "4" else address.v6)

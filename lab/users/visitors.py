"""The standard visitors: every way in which the world comes to the fleet's sites."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import get_args
from urllib.parse import urlsplit

from lab.users.visits import (
    VISIT_ANY,
    VISIT_FIRST,
    Choice,
    Family,
    Visit,
    Visitor,
    Writer,
)

_SCHEMES = ("http", "https")


def standard_visitors(
    *,
    resolver: Mapping[str, str],
    visits: Sequence[Visit],
    reach: Mapping[str, Collection[str]],
    cadence: float = 0.04,
) -> tuple[Visitor, ...]:
    """Return four visitors, a hundred pages a second between them.

    Two come without TLS, two with it; each over IPv4 or IPv6 alone.

    Args:
        resolver: family (``4``, ``6``) -> its address; a family that is not there is not used.
        visits: what there is to see.
        reach: host -> versions of IP over which it has an address.
        cadence: seconds between two pages of one visitor.
    """
    found = (
        Visitor(
            name=f"{scheme}{family}",
            family=family,
            resolver=resolver[family],
            visits=tuple(
                each
                for each in visits
                if (parts := urlsplit(each.url)).scheme == scheme and family in reach[parts.netloc]
            ),
            cadence=cadence,
        )
        for scheme, family in product(_SCHEMES, get_args(Family))
        if family in resolver
    )
    return tuple(visitor for visitor in found if visitor.visits)


def failover_visitors(
    visitors: Sequence[Visitor], *, cadence: float = 0.25, timeout: float = 8.0
) -> tuple[Visitor, ...]:
    """Return visitors of names that lead to two servers, either of which may die.

    Of each there are three: one who tries every address of a name, and for either server one who
    knows no other.

    Args:
        visitors: the standard ones.
        cadence: seconds between two pages of one visitor.
        timeout: seconds until they give up.
    """
    return tuple(
        replace(
            visitor,
            name=f"{visitor.name} {choice}",
            choice=choice,
            kind=VISIT_ANY if choice == "any" else VISIT_FIRST,
            cadence=cadence,
            timeout=timeout,
        )
        for visitor in visitors
        for choice in get_args(Choice)
    )


def failover_writers(writers: Sequence[Writer], *, timeout: float = 8.0) -> tuple[Writer, ...]:
    """Return writers who know the one server, the other one, and both, in turn.

    Args:
        writers: the standard ones.
        timeout: seconds until they give up.
    """
    choices = itertools.cycle(get_args(Choice))
    return tuple(
        replace(writer, name=f"{writer.name} {choice}", choice=choice, timeout=timeout)
        for writer, choice in zip(writers, choices, strict=False)
    )


def standard_writers(
    *,
    resolver: Mapping[str, str],
    host: str,
    families: Collection[str],
    path: str = "/",
    cadence: float = 0.25,
) -> tuple[Writer, ...]:
    """Return writers of one guest book, with TLS and without, over each version of IP.

    Args:
        resolver: as for visitors.
        host: name of the guest book's site.
        families: versions of IP over which it has an address.
        path: of its form.
        cadence: seconds between two entries of one writer.
    """
    return tuple(
        Writer(
            name=f"{scheme}{family} form",
            family=family,
            resolver=resolver[family],
            url=f"{scheme}://{host}{path}",
            cadence=cadence,
        )
        for scheme, family in product(_SCHEMES, get_args(Family))
        if family in families and family in resolver
    )

"""From where the fleet is watched: a machine outside it, with a resolver and a way to the root."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import dns.exception
import dns.resolver

from lab.operator import dns_root

_ROOT_V6: Final = "2001:503:ba3e::2:30"


@dataclass(frozen=True, kw_only=True)
class Vantage:
    """A place outside the fleet.

    Attributes:
        host: the machine that users sit on, as SSH knows it; None for this one.
        resolver: family (``4``, ``6``) -> the address of a resolver for them.
        root: family -> the address of one of the root's name servers.
    """

    host: str | None = None
    resolver: Mapping[str, str] = field(default_factory=dict)
    root: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def here(cls) -> Self:
        """Return this machine, with the resolvers and the families that it has."""
        try:
            servers = [str(one) for one in dns.resolver.Resolver().nameservers]
        except dns.exception.DNSException:
            servers = []
        found = {"6" if ":" in one else "4": one for one in reversed(servers)}
        root = {"4": dns_root.ROOTS[0]} | ({"6": _ROOT_V6} if _reaches(_ROOT_V6) else {})
        return cls(resolver=found, root=root)


def _reaches(address: str) -> bool:
    """Whether this machine has a route to an IPv6 address; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 53))
    except OSError:
        return False
    return True

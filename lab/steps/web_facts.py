"""What the step ``web`` decides by: the sites, both servers, the zones, the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lab.operator.apache import ApacheState
from lab.operator.zones import RecordSet, Zone, record_set
from lab.steps.moving import Recorded

SERVED: Final = "profile::web::served"
PASSAGE: Final = "profile::web::passage"
ACME: Final = "profile::web::acme"
MAX_AGE: Final = "profile::web::max_age"
BEFORE: Final = "web::before"
"""Keys of the stage."""

SECRETS_FILE: Final = "/var/lib/generalprove/web.eyaml"
ORIGIN: Final = "/usr/local/sbin/web-origin"
CERTIFICATES: Final = "/etc/haproxy/certificates"

HERE, THERE = "here", "there"
"""Where a site's programs run: on the new server, or still on the old one."""

NGINX: Final = 8080


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What the new server has.

    Attributes:
        serves: whether HAProxy runs there.
        releases: name of the site -> version of its content in force.
        certified: names of the sites whose certificate is valid.
        origins: name of the site -> where its programs run, if not on the new server.
    """

    serves: bool = False
    releases: Mapping[str, str] = field(default_factory=dict)
    certified: frozenset[str] = frozenset()
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Facts(Recorded):
    """Everything that the phases of the step decide by.

    Attributes:
        old: how the old server stands.
        versions: name of the site -> version of its content on the old server.
        reachable: whether the new host can be asked at all.
        new: what the new server has.
        served: the sites that the stage gives it.
        max_age: how long the stage lets browsers remember HTTPS.
    """

    old: ApacheState
    versions: Mapping[str, str] = field(default_factory=dict)
    reachable: bool = True
    new: Installed = Installed()
    served: frozenset[str] = frozenset()
    max_age: int = 0


def leading(
    names: Iterable[str], zones: Iterable[Zone], addresses: Sequence[str]
) -> dict[str, tuple[RecordSet, ...]]:
    """Return the records by which *names* lead to *addresses*, by zone.

    Args:
        names: host names without the last dot.
        zones: where they are looked up; aliases are followed within them.
        addresses: what counts.
    """
    known = {
        (zone.absolute(record.name).rstrip(".").lower(), record.type): (zone.origin, record)
        for zone in zones
        for record in zone.records
    }
    found: dict[str, dict[tuple[str, str], RecordSet]] = {}
    for name in names:
        owner, seen = name.lower(), set[str]()
        while (alias := known.get((owner, "CNAME"))) and owner not in seen:
            seen.add(owner)
            owner = alias[1].values[0].rstrip(".").lower()
        for rdtype in ("A", "AAAA"):
            hit = known.get((owner, rdtype))
            if hit and set(hit[1].values) & set(addresses):
                origin, record = hit
                found.setdefault(origin, {})[(record.name, rdtype)] = record
    return {origin: tuple(records.values()) for origin, records in found.items()}


def kept(before: Mapping[str, Iterable[RecordSet]]) -> dict[str, object]:
    """Return records as the stage keeps them."""
    return {
        origin: [
            {"name": r.name, "ttl": r.ttl, "type": r.type, "values": list(r.values)}
            for r in records
        ]
        for origin, records in before.items()
    }


def as_records(found: object) -> dict[str, tuple[RecordSet, ...]]:
    """Return what :func:`kept` made."""
    given: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    return {
        origin: tuple(
            record_set(origin, name=r["name"], ttl=r["ttl"], rdtype=r["type"], values=r["values"])
            for r in records
        )
        for origin, records in given.items()
    }


def as_texts(value: object) -> tuple[str, ...]:
    """Return a list of the stage's; nothing when it is none."""
    return tuple(map(str, value)) if isinstance(value, list) else ()


def as_number(value: object) -> int | None:
    """Return a number of the stage's; None when it is none."""
    return value if isinstance(value, int) else None

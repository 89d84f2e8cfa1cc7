"""Visitors of a lab's sites: what they may expect to see, and what they have written in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from lab.lab import Lab
from lab.lookups import addresses
from lab.operator import Operator
from lab.operator.web_client import Page, Url
from lab.operator.zones import RecordSet, Zone
from lab.steps import web_content
from lab.steps.mail_records import records_in
from lab.steps.web_facts import leading
from lab.steps.web_ha_move import Pair
from lab.steps.web_ha_records import together
from lab.steps.web_move import Move
from lab.users.ledger import entries
from lab.users.plan import both
from lab.users.visitors import standard_visitors, standard_writers
from lab.users.visits import Visit, Visitor, Writer
from lab.world.machines import OUTSIDE, RESOLVER
from lab.world.names import machine_address

_FAMILIES: Final = {"A": "4", "AAAA": "6"}


def visitors(
    lab: Lab, operator: Operator, zones: Sequence[Zone]
) -> tuple[tuple[Visitor, ...], tuple[Writer, ...]]:
    """Return the visitors and writers of a lab.

    What the old server has is what they must get, whoever serves it: its own answers are asked
    for on its own loopback address, where it passes nothing on. When it is no more, it is what the
    new one has behind its edge.
    """
    it = Move.of(operator)
    # Once the old server is wiped, the new one's content is all there is.
    wiped = "wipe" in operator.stage.reached()
    pages = web_content.pages_of_new(it) if wiped else web_content.pages(it)
    changing = {name for site in it.with_data for name in site.asked}
    book = next(site.asked[0] for site in it.with_data)
    visits = [visit(url, page, same=url.host not in changing) for url, page in pages.items()]
    known = {*it.old_addresses, *it.new_addresses}

    def families(host: str) -> frozenset[str]:
        found = addresses(host, zones).items()
        return frozenset(_FAMILIES[rdtype] for rdtype, listed in found if known & set(listed))

    # Whom a name has no address for cannot come.
    resolver = both(machine_address(lab.site, RESOLVER))
    reach = {host: families(host) for host in {url.host for url in pages}}
    return (
        standard_visitors(resolver=resolver, visits=visits, reach=reach),
        standard_writers(resolver=resolver, host=book, families=reach[book]),
    )


def visit(url: Url, page: Page, *, same: bool) -> Visit:
    """Return what a visitor must get at *url*.

    Args:
        url: the address.
        page: what the old server answers.
        same: whether it never changes.
    """
    # A listing and what a server says of an error are in its own words.
    same = same and page.status == HTTPStatus.OK and not page.lists
    return Visit(url=str(url), status=page.status, digest=page.digest if same else "")


def moving(
    operator: Operator, zones: Sequence[Zone]
) -> dict[tuple[str, str], tuple[RecordSet, ...]]:
    """Return the records that the step changes: absolute name and type -> what they may be."""
    it = Move.of(operator)
    names = [name for site in it.sites for name in site.names]
    back = dict(zip(it.new_addresses, it.old_addresses, strict=True))
    found: dict[tuple[str, str], tuple[RecordSet, ...]] = {}
    for origin, records in leading(names, zones, [*back, *it.old_addresses]).items():
        zone = next(zone for zone in zones if zone.origin == origin)
        for record in records:
            values = tuple(sorted(back.get(value, value) for value in record.values))
            before = RecordSet(name=record.name, ttl=record.ttl, type=record.type, values=values)
            found[zone.absolute(record.name), record.type] = (before, it.moved(before))
    return found


def joining(
    operator: Operator, zones: Sequence[Zone]
) -> dict[tuple[str, str], tuple[RecordSet, ...]]:
    """Return the records that the step ``web_ha`` changes, until it is made.

    Returns:
        Absolute name and type -> what they may be: addresses of one server, or computed ones.
    """
    reached = operator.stage.reached()
    if "wipe" not in reached or "web_ha" in reached:
        return {}
    pair = Pair.of(operator)
    known = {zone.origin: zone for zone in zones}
    names = [name for site in pair.sites for name in site.names]
    one, other = (pair.addresses(host) for host in pair.hosts)
    found: dict[tuple[str, str], tuple[RecordSet, ...]] = {}
    for origin, sets in together(known, names=names, first=one, second=other).items():
        computed = {each.name: each for each in sets if each.values}
        for each in records_in(known[origin], sets):
            if each.values:
                key = (known[origin].absolute(each.name), each.type)
                found[key] = (each, computed[each.name])
    return found


def book(lab: Lab, operator: Operator) -> Counter[str]:
    """Return what is in the guest book, as a visitor is shown it."""
    host = next(site.asked[0] for site in Move.of(operator).with_data)
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "30"]
    return entries(lab.ssh.run(OUTSIDE, [*command, f"http://{host}/"]).stdout)

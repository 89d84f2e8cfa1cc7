"""Legacy Bergen's zones as data: of every kind, right in every block, never slower than agreed."""

from __future__ import annotations

import re
from pathlib import Path

import dns.name
import dns.rdatatype
import dns.zone
import pytest

from lab.fleet import Fleet
from lab.world.legacy import legacy_files
from lab.world.names import fleet_zones, reverse_name

FLEET = Fleet.load()
IMAGE = Path(__file__).parents[1] / "lab" / "world" / "legacy" / "image"


def zone(block: int, number: int) -> dns.zone.Zone:
    """Return the forward (0), IPv4 reverse (1) or IPv6 reverse (2) zone, as named loads it."""
    site = FLEET.site("lab", block=block)
    files = legacy_files(fleet=FLEET, site=site)
    origin = fleet_zones(FLEET, site)[number]
    [path] = re.findall(
        rf'zone "{re.escape(origin[:-1])}" {{\n.*\n.*file "(.*)";',
        files["/etc/bind/named.conf.local"],
    )
    return dns.zone.from_text(files[path], origin=origin, relativize=False)


def test_the_forward_zone_has_records_of_all_usual_types() -> None:
    found = {dns.rdatatype.to_text(rdata.rdtype) for _, rdata in zone(0, 0).iterate_rdatasets()}
    assert found >= {
        *("SOA", "NS", "A", "AAAA", "MX", "CNAME", "TXT", "SRV", "CAA", "SSHFP", "TLSA"),
        *("NAPTR", "PTR"),
    }
    assert sum(len(each) for _, each in zone(0, 0).iterate_rdatasets()) > 60


def test_the_forward_zone_has_what_makes_old_zones_hard_to_move() -> None:
    forward = zone(0, 0)
    names = {str(name) for name in forward.nodes}
    assert any(name.startswith("*.") for name in names)
    assert "gammel_printer.nordlys.example." in names
    assert "dhcp-108.nordlys.example." in names
    assert "dc1.intern.kontor.bergen.nordlys.example." in names
    assert not forward.get_node("kontor.bergen.nordlys.example.")
    [dkim] = forward.find_rdataset("mail2019._domainkey.nordlys.example.", "TXT")
    assert len(dkim.strings) == 3
    assert sum(map(len, dkim.strings)) > 255
    assert len({each.ttl for _, each in forward.iterate_rdatasets()}) >= 3


@pytest.mark.parametrize("block", [0, 1, 7])
def test_zones_follow_the_block(block: int) -> None:
    bergen = FLEET.site("lab", block=block).address("bergen")
    forward, reverse_v4, reverse_v6 = (zone(block, number) for number in range(3))
    for name in ("ns1", "ns2", "mail", "web", "bergen"):
        full = f"{name}.nordlys.example."
        assert [str(each) for each in forward.find_rdataset(full, "A")] == [str(bergen.v4)]
        assert [str(each) for each in forward.find_rdataset(full, "AAAA")] == [str(bergen.v6)]
    mail = ["mail.nordlys.example."]
    for reverse, address in ((reverse_v4, bergen.v4), (reverse_v6, bergen.v6)):
        assert [str(each) for each in reverse.find_rdataset(reverse_name(address), "PTR")] == mail


@pytest.mark.parametrize("number", range(3))
def test_nothing_is_remembered_longer_than_the_fleet_says(number: int) -> None:
    old = zone(0, number)
    ttl = FLEET.lab_ttl.zone
    assert max(each.ttl for _, each in old.iterate_rdatasets()) == ttl
    assert old.get_soa().minimum == ttl
    servers = {str(each) for each in old.find_rdataset(old.origin, "NS")}
    assert servers == {"ns1.nordlys.example.", "ns2.nordlys.example."}


def test_every_chapter_of_its_history_is_dated() -> None:
    chapters = sorted((IMAGE / "history").glob("*.sh"))
    assert chapters
    for chapter in chapters:
        text = chapter.read_text()
        assert "set -eu" in text
        assert len(re.findall(r"^# 20\d\d-\d\d-\d\d ", text, flags=re.MULTILINE)) >= 5

"""What has to be true of the standby once it serves DNS as well (step ``dns_secondary``)."""

from __future__ import annotations

import re

from testinfra.host import Host


def test_its_name_server_runs(host: Host) -> None:
    assert host.service("pdns").is_running
    assert host.service("pdns").is_enabled
    assert host.service("dns-ready.timer").is_running


def test_the_world_may_ask_it(host: Host) -> None:
    assert "inet dns_closed" not in host.check_output("nft list tables")


def test_it_has_every_zone_and_its_key(host: Host) -> None:
    zones = host.check_output("pdnsutil list-all-zones").split()
    assert zones
    for zone in zones:
        shown = host.check_output(f"pdnsutil show-zone {zone}")
        assert re.search(r"^SOA serial in database: \d+$", shown, re.MULTILINE)
        assert re.search(r"^ID = \d+ \(CSK\).* Active", shown, re.MULTILINE)

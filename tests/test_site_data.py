"""What Puppet is told about the fleet at one site."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.fleet import DEFAULT_PATH, Fleet
from lab.operator.site_data import SiteDataError, SiteKeys, mesh, site_data

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB operator"


def keys(fleet: Fleet) -> SiteKeys:
    wireguard = {name: f"{number:043d}=" for number, name in enumerate(fleet.hosts)}
    return SiteKeys(wireguard=wireguard, operators=[KEY])


def data(fleet: Fleet, *, block: int = 0) -> dict[str, Any]:
    return site_data(fleet=fleet, site=fleet.site("lab", block=block), keys=keys(fleet))


def test_every_host_is_described_at_its_site() -> None:
    found = data(Fleet.load(), block=1)
    assert found["fleet::hosts"]["oslo"] == {
        "certname": "oslo.lab.nordlys.example",
        "role": "production",
        "provider": "hetzner",
        "v4": "198.18.74.10",
        "v6": "fd18:1:10::10",
        "wireguard": "10.83.0.10",
        "wireguard_public_key": f"{0:043d}=",
        "promotion_order": 2,
    }
    assert list(found["fleet::hosts"]) == ["oslo", "bergen", "tromso"]
    assert found["fleet::mesh"] == "10.83.0.0/24"


def test_the_hand_made_server_is_described_and_not_enrolled() -> None:
    assert data(Fleet.load())["fleet::enrolled"] == ["oslo", "tromso"]


def test_a_fourth_host_needs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(
        DEFAULT_PATH.read_text(encoding="utf-8")
        + """
  narvik:
    provider: ovh
    role: base
    hardware: {cores: 2, memory_mb: 4096, disk_gb: 240}
    production: {v4: 198.51.100.40, v6: "2001:db8:40::40"}
    lab: {v4: 198.18.20.40, v6: "fd18:0:20::40"}
    wireguard: 10.83.0.40
    enrols: control
    promotion_order: 4
""",
        encoding="utf-8",
    )
    found = data(Fleet.load(path))
    assert found["fleet::hosts"]["narvik"]["role"] == "base"
    assert "narvik" in found["fleet::enrolled"]


def test_a_missing_key_is_named() -> None:
    fleet = Fleet.load()
    with pytest.raises(SiteDataError, match=r"oslo \(lab\): the host has no WireGuard key"):
        site_data(fleet=fleet, site=fleet.site("lab"), keys=SiteKeys(wireguard={}, operators=[KEY]))


def test_nobody_is_locked_out() -> None:
    fleet = Fleet.load()
    none = SiteKeys(wireguard=keys(fleet).wireguard, operators=[])
    with pytest.raises(SiteDataError, match="no SSH key would be let in"):
        site_data(fleet=fleet, site=fleet.site("lab"), keys=none)


@given(st.lists(st.ip_addresses(v=4), min_size=1))
def test_a_mesh_holds_all_and_is_no_larger_than_it_must(addresses: list[IPv4Address]) -> None:
    found = mesh(addresses)
    assert all(address in found for address in addresses)
    halves = found.subnets() if found.prefixlen < 24 else ()
    assert not any(all(address in half for address in addresses) for half in halves)

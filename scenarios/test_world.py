"""The world outside: one signed tree of names, one registrar, one way out for packages.

Budgets: none; every answer is right or the scenario fails.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.lab import Lab
from lab.world.names import REVERSE_V4, fleet_zones, machine_address, registry_zones
from lab.world.secrets import REGISTRAR_KEY, WorldSecrets

DS = "12345 13 2 " + "ab" * 32


@pytest.fixture(scope="module", autouse=True)
def _bare(lab_at: Callable[[str], Lab]) -> None:
    lab_at("bare")


def ask(lab: Lab, *question: str) -> str:
    """Return what dig(1) on the outside machine says."""
    return lab.ssh.run("outside", ["dig", "+time=3", "+tries=1", *question], check=False).stdout


def update(lab: Lab, zone: str, change: str, *, signed: bool = True) -> str:
    """Send one dynamic update to the registry and return what it answered; empty is yes."""
    secret = WorldSecrets.at(lab.store.secrets, lab.fleet).registrar
    key = f"key hmac-sha256:{REGISTRAR_KEY} {secret}\n" if signed else ""
    server = machine_address(lab.site, "registry").v4
    said = lab.ssh.run(
        "outside",
        ["nsupdate", "-v"],
        stdin=f"server {server}\nzone {zone}\n{key}update {change}\nsend\n",
        check=False,
    )
    return said.stderr.strip()


def test_every_zone_of_the_registry_validates(lab: Lab) -> None:
    for zone in registry_zones(lab.fleet):
        flags = next(line for line in ask(lab, zone, "SOA").splitlines() if "flags:" in line)
        assert " ad" in flags.partition(";; flags:")[2].partition(";")[0]


def test_the_old_zones_are_found_from_the_root(lab: Lab) -> None:
    address = lab.site.address(lab.fleet.legacy)
    assert ask(lab, "+short", f"mail.{lab.fleet.domain}", "A").split() == [str(address.v4)]
    for its in (address.v4, address.v6):
        assert ask(lab, "+short", "-x", str(its)).split() == [f"mail.{lab.fleet.domain}."]


@pytest.mark.parametrize("server", ["registry", "bergen"])
def test_nobody_gets_a_whole_zone_or_a_foreign_answer(lab: Lab, server: str) -> None:
    at_bergen = server == "bergen"
    address = lab.site.address(server) if at_bergen else machine_address(lab.site, server)
    zone = lab.fleet.domain if at_bergen else "."
    assert "Transfer failed" in ask(lab, f"@{address.v4}", zone, "AXFR")
    assert " ra" not in ask(lab, f"@{address.v6}", "outside.elsewhere.", "A").partition("QUERY:")[0]


def test_a_registrar_changes_the_fleets_delegation(lab: Lab) -> None:
    [zone, *_] = fleet_zones(lab.fleet, lab.site)
    [_, parent, *_] = registry_zones(lab.fleet)
    registry = machine_address(lab.site, "registry").v4
    assert update(lab, parent, f"add {zone} 20 DS {DS}") == ""
    try:
        assert ask(lab, "+short", f"@{registry}", zone, "DS").startswith("12345 13 2")
    finally:
        assert update(lab, parent, f"delete {zone} DS") == ""


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("example.", "add other.example. 20 NS ns1.nordlys.example."),
        ("example.", "add nordlys.example. 20 A 198.18.0.99"),
        ("example.", "add www.nordlys.example. 20 A 198.18.0.99"),
        ("example.", "add registry.net.example. 20 A 198.18.0.99"),
        (".", "delete example. DS"),
        (REVERSE_V4, "add 99.18.198.in-addr.arpa. 20 NS ns1.nordlys.example."),
    ],
)
def test_a_registrar_changes_nothing_else(lab: Lab, zone: str, change: str) -> None:
    assert "REFUSED" in update(lab, zone, change)


def test_a_change_without_the_key_is_refused(lab: Lab) -> None:
    change = "add nordlys.example. 20 NS ns-oslo.nordlys.example."
    assert "REFUSED" in update(lab, "example.", change, signed=False)


def test_the_mirror_hands_out_packages_and_not_its_way_out(lab: Lab) -> None:
    mirror = machine_address(lab.site, "mirror").v4
    tunnel = ["curl", "-sS", "-m3", "-x", f"http://{mirror}:3142", "https://router.net.example/"]
    said = lab.ssh.run("outside", tunnel, check=False)
    assert "CONNECT tunnel failed" in said.stderr
    uplink = lab.engine.run("mirror", ["ip", "-4", "-br", "address", "show", "eth0"]).output
    beyond = uplink.split()[2].partition("/")[0]
    assert not lab.ssh.run("oslo", ["ping", "-c1", "-W1", beyond], check=False).ok

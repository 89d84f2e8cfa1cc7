"""The fleet's description: what it gives, and what it refuses in which words."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.addresses import BLOCKS, Address, shifted, world_address
from lab.fleet import DEFAULT_PATH, Fleet
from lab.fleet_file import FleetCheckError, FleetError

TEXT = DEFAULT_PATH.read_text(encoding="utf-8")

FOURTH = """
  narvik:
    provider: ovh
    role: standby
    hardware: {cores: 2, memory_mb: 4096, disk_gb: 240}
    production: {v4: 198.51.100.40, v6: "2001:db8:40::40"}
    lab: {v4: 198.18.20.40, v6: "fd18:0:20::40"}
    wireguard: 10.83.0.40
    enrols: watch
    promotion_order: 4
"""


def load(tmp_path: Path, text: str) -> Fleet:
    path = tmp_path / "fleet.yaml"
    path.write_text(text, encoding="utf-8")
    return Fleet.load(path)


def changed(old: str, new: str, text: str = TEXT) -> tuple[str, int]:
    """Replace what stands there exactly once; return the text and the line of the change."""
    assert text.count(old) == 1, old
    return text.replace(old, new), text[: text.index(old)].count("\n") + 1


def test_what_it_gives() -> None:
    fleet = Fleet.load()
    assert list(fleet.hosts) == ["oslo", "bergen", "tromso"]
    assert (fleet.control.name, fleet.legacy.name) == ("tromso", "bergen")
    assert [host.name for host in fleet.with_role("production")] == ["oslo"]
    assert fleet.host("oslo").hardware.memory_mb == 16384
    assert fleet.host("oslo").ssh == "oslo"
    assert fleet.delay("ovh", "hetzner") == fleet.delay("hetzner", "ovh") == 0.009
    assert fleet.delay("ovh", "ovh") == 0.0


def test_sites() -> None:
    fleet = Fleet.load()
    lab = fleet.site("lab", block=3)
    assert lab.certname("oslo") == "oslo.lab.nordlys.example"
    expected = Address(v4=IPv4Address("198.18.202.10"), v6=IPv6Address("fd18:3:10::10"))
    assert lab.address("oslo") == lab.address(fleet.host("oslo")) == expected
    production = fleet.site("production")
    assert production.certname("oslo") == "oslo.fleet.nordlys.example"
    assert production.address("oslo").v4 == IPv4Address("198.51.100.10")
    with pytest.raises(ValueError, match="no blocks"):
        fleet.site("production", block=1)
    with pytest.raises(FleetError, match="there is no host 'narvik'"):
        lab.address("narvik")


def test_a_fourth_host_is_only_data(tmp_path: Path) -> None:
    fleet = load(tmp_path, TEXT + FOURTH)
    assert fleet.site("lab", block=1).address("narvik").v4 == IPv4Address("198.18.84.40")
    assert [host.name for host in fleet.with_role("standby")] == ["bergen", "narvik"]


@given(st.integers(0, BLOCKS - 1), st.integers(1, 2**14 - 2), st.integers(1, 2**96 - 1))
def test_blocks_keep_the_picture(block: int, low4: int, low6: int) -> None:
    address = Address(v4=IPv4Network("198.18.0.0/18")[low4], v6=IPv6Network("fd18::/32")[low6])
    moved = shifted(address, block=block)
    assert int(moved.v4) % 2**14 == low4
    assert moved.v4 in IPv4Network("198.18.0.0/15")
    assert moved.v6 in IPv6Network(f"fd18:{block}::/32")
    assert int(moved.v6) % 2**96 == low6


def test_world_addresses() -> None:
    registry = world_address(53, block=2)
    assert (str(registry.v4), str(registry.v6)) == ("198.18.128.53", "fd18:2::53")
    with pytest.raises(ValueError, match="0 to 7"):
        world_address(53, block=BLOCKS)
    with pytest.raises(ValueError, match="1 to 254"):
        world_address(255)


REFUSALS = {
    "unknown key": (
        "    wireguard: 10.83.0.10",
        "    wire: 10.83.0.10",
        "hosts.oslo.wire: unknown key",
    ),
    "no mail to move": (
        "  messages: 20000",
        "  messages: 0",
        "lab_mail.messages: should be greater than or equal to 100, not 0",
    ),
    "mail counted in words": (
        "  messages: 20000",
        "  messages: many",
        "lab_mail.messages: should be a valid integer, not 'many'",
    ),
    "alerts that stay inside": (
        "alerts: astrid@fjordpost.example",
        "alerts: kari@post.nordlys.example",
        "alerts: post.nordlys.example is the fleet's own, whose mail may be what an alert is about",
    ),
    "a watchdog that is nowhere": (
        "watchdog: http://mailer.net.example:8088/watchdog",
        "watchdog: mailer",
        "sites.lab.watchdog: 'mailer' is not an address on the web",
    ),
    "unknown key at the top": ("contact:", "kontakt: x\ncontact:", "kontakt: unknown key"),
    "a name inside": (
        "    provider: hetzner",
        "    name: bodo\n    provider: hetzner",
        "hosts.oslo.name: a host's name is its key; drop this one",
    ),
    "not a label": ("  oslo:", "  Oslo_1:", "hosts.Oslo_1: 'Oslo_1' is not a plain name"),
    "a name of the world": (
        "  oslo:",
        "  resolver:",
        "hosts.resolver: this name is kept for a machine of the world",
    ),
    "duplicate address": (
        "v4: 198.18.20.20",
        "v4: 198.18.10.10",
        "hosts.bergen.lab.v4: 198.18.10.10 is already oslo's (lab.v4)",
    ),
    "duplicate v6, spelt otherwise": (
        "2001:db8:20::20",
        "2001:DB8:10:0::10",
        "hosts.bergen.production.v6: 2001:db8:10::10 is already oslo's (production.v6)",
    ),
    "duplicate wireguard": (
        "10.83.0.20",
        "10.83.0.10",
        "hosts.bergen.wireguard: 10.83.0.10 is already oslo's (wireguard)",
    ),
    "public wireguard": (
        "10.83.0.20",
        "9.9.9.9",
        "hosts.bergen.wireguard: 9.9.9.9 is not a private address",
    ),
    "overlaps another provider": (
        "v4: 198.18.20.20",
        "v4: 198.18.10.20",
        "hosts.bergen.lab.v4: overlaps 198.18.10.0/24 of oslo, which hangs on another provider",
    ),
    "overlaps the world": (
        "198.18.10.10",
        "198.18.0.77",
        "hosts.oslo.lab.v4: 198.18.0.77 overlaps 198.18.0.0/24, which is kept for the world",
    ),
    "overlaps the world's v6": (
        "fd18:0:10::10",
        "fd18::10",
        "hosts.oslo.lab.v6: fd18::10 overlaps fd18::/48, which is kept for the world",
    ),
    "outside the block": (
        "198.18.10.10",
        "198.19.10.10",
        "hosts.oslo.lab.v4: 198.19.10.10 lies outside the lab's 198.18.0.0/18",
    ),
    "production inside the lab": (
        "198.51.100.10",
        "198.18.11.10",
        "hosts.oslo.production.v4: 198.18.11.10 lies inside the lab's own range",
    ),
    "not an address": (
        "198.18.10.10",
        "198.18.10",
        "hosts.oslo.lab.v4: not an IPv4 address: Expected 4 octets in '198.18.10'",
    ),
    "an address as a number": (
        "v4: 198.18.10.10",
        "v4: 5",
        "hosts.oslo.lab.v4: not an IPv4 address: an address is text, not int",
    ),
    "unknown provider": (
        "    provider: ovh",
        "    provider: ovhh",
        "hosts.bergen.provider: unknown provider 'ovhh'",
    ),
    "unknown role": (
        "role: standby",
        "role: standbye",
        "hosts.bergen.role: should be 'base', 'control', 'production' or 'standby', not 'standbye'",
    ),
    "unknown step": (
        "enrols: wipe",
        "enrols: wype",
        (
            "hosts.bergen.enrols: should be 'control', 'dns', 'web', 'mail', 'wipe', "
            "'dns_secondary', 'web_ha', 'mail_ha' or 'watch', not 'wype'"
        ),
    ),
    "enrols too early": (
        "enrols: wipe",
        "enrols: dns",
        "hosts.bergen.enrols: the legacy host cannot enrol before the step wipe",
    ),
    "impossible size": (
        "cores: 1, memory_mb: 2048",
        "cores: 0, memory_mb: 2048",
        "hosts.tromso.hardware.cores: should be greater than or equal to 1, not 0",
    ),
    "a size as text": (
        "memory_mb: 2048",
        "memory_mb: 2G",
        "hosts.tromso.hardware.memory_mb: should be a valid integer, not '2G'",
    ),
    "missing key": (
        "cores: 1, ",
        "",
        "hosts.tromso.hardware.cores: missing",
    ),
    "wrong type": (
        "hardware: {cores: 1, memory_mb: 2048, disk_gb: 120}",
        "hardware: small",
        "hosts.tromso.hardware: should be a mapping of keys to values",
    ),
    "a truth as text": (
        "legacy: true",
        "legacy: yes",
        "hosts.bergen.legacy: should be a valid boolean, not 'yes'",
    ),
    "the same turn": (
        "promotion_order: 1",
        "promotion_order: 2",
        "hosts.bergen.promotion_order: 2 is already another host's turn",
    ),
    "delay to an unknown provider": (
        "[hetzner, ovh]",
        "[hetzner, ovhh]",
        "latency[0].between: unknown provider 'ovhh'",
    ),
    "delay twice": (
        "[ovh, online]",
        "[online, hetzner]",
        "latency[2].between: hetzner and online are listed twice",
    ),
    "delay to itself": (
        "[ovh, online]",
        "[ovh, ovh]",
        "latency[2].between: a provider has no delay to itself",
    ),
    "delay of three": (
        "[ovh, online]",
        "[ovh, online, hetzner]",
        "latency[2].between: tuple should have at most 2 items after validation, not 3",
    ),
    "sites alike": (
        "domain: lab.nordlys.example",
        "domain: fleet.nordlys.example",
        "sites.lab.domain: fleet.nordlys.example is already production's",
    ),
}


@pytest.mark.parametrize(("old", "new", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_refuses(tmp_path: Path, old: str, new: str, reason: str) -> None:
    text, line = changed(old, new)
    with pytest.raises(FleetCheckError) as refused:
        load(tmp_path, text)
    complaints = str(refused.value).splitlines()
    assert f"fleet.yaml:{line}: {reason}" in complaints
    assert [c for c in complaints if not c.endswith(": missing")] in ([], [complaints[-1]])


def test_duplicate_key(tmp_path: Path) -> None:
    text, line = changed("    wireguard: 10.83.0.20", "    wireguard: 10.83.0.20\n    role: base")
    with pytest.raises(FleetCheckError) as refused:
        load(tmp_path, text)
    first = line - 4
    expected = f"fleet.yaml:{line + 1}: hosts.bergen.role: duplicate key, first on line {first}"
    assert str(refused.value) == expected


def test_all_errors_are_listed_in_the_files_order(tmp_path: Path) -> None:
    text, first = changed("cores: 8", "cores: -8")
    text, second = changed("    role: standby", "    rolle: standby", text)
    text, third = changed("    wireguard: 10.83.0.30", "    wireguard: x\n    wireguard: y", text)
    with pytest.raises(FleetCheckError) as refused:
        load(tmp_path, text)
    heads = [line.split(": ")[:2] for line in str(refused.value).splitlines()]
    assert heads == [
        [f"fleet.yaml:{first}", "hosts.oslo.hardware.cores"],
        [f"fleet.yaml:{second - 2}", "hosts.bergen.role"],
        [f"fleet.yaml:{second}", "hosts.bergen.rolle"],
        [f"fleet.yaml:{third}", "hosts.tromso.wireguard"],
        [f"fleet.yaml:{third + 1}", "hosts.tromso.wireguard"],
    ]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "role: control",
            "role: base",
            "exactly one host with the role control is needed, there are 0",
        ),
        (
            "role: standby",
            "role: control",
            "exactly one host with the role control is needed, there are 2 (bergen, tromso)",
        ),
        ("legacy: true", "legacy: false", "exactly one host marked legacy is needed, there are 0"),
        ("role: production", "role: base", "a host with the role production is missing"),
    ],
)
def test_the_cast_is_complete(tmp_path: Path, old: str, new: str, reason: str) -> None:
    text, _ = changed(old, new)
    line = TEXT[: TEXT.index("\nhosts:")].count("\n") + 2
    with pytest.raises(FleetCheckError) as refused:
        load(tmp_path, text)
    assert str(refused.value) == f"fleet.yaml:{line}: hosts: {reason}"


@pytest.mark.parametrize("text", ["", "[]", "just text", "null", "hosts: 3", "hosts: {a: 1}"])
def test_what_is_no_fleet_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(FleetCheckError, match=r"^fleet.yaml:1: "):
        load(tmp_path, text)


def test_not_yaml(tmp_path: Path) -> None:
    with pytest.raises(FleetCheckError, match=r"^fleet.yaml:3: \(file\): not YAML: "):
        load(tmp_path, "a: 1\nb: [1\n")
    with pytest.raises(FleetCheckError, match=r"^fleet.yaml:1: \(file\): not YAML: "):
        load(tmp_path, "a: \x00\n")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="cannot be read"):
        Fleet.load(tmp_path / "fleet.yaml")
    (tmp_path / "latin").write_bytes(b"name: \xe5\n")
    with pytest.raises(FleetError, match="cannot be read"):
        Fleet.load(tmp_path / "latin")

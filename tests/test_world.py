"""The world outside as data: zones, keys, configuration files of each machine."""

from __future__ import annotations

import ast
import stat
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdata
import dns.zone
import pytest

from lab.addresses import block_networks
from lab.fleet import Fleet
from lab.world import names
from lab.world.machines import WorldMachine, world
from lab.world.names import fleet_zones, machine_address, registry_zones
from lab.world.registry import RegistryZone, zones
from lab.world.secrets import WorldSecrets, WorldSecretsError
from lab.zone_key import ZoneKey

FLEET = Fleet.load()
BLOCK = 5
SITE = FLEET.site("lab", block=BLOCK)
SECRETS = WorldSecrets.make(FLEET)
WORLD = {machine.name: machine for machine in world(FLEET, SITE, secrets=SECRETS)}
BERGEN = SITE.address("bergen")


def text(machine: WorldMachine, path: str) -> str:
    content = machine.files[path].content
    assert isinstance(content, str)
    return content


def registry_zone(name: str) -> dns.zone.Zone:
    [zone] = [zone for zone in zones(FLEET, SITE, SECRETS.keys) if zone.name == name]
    return dns.zone.from_text(text(WORLD["registry"], zone.path), origin=name, relativize=False)


def rdata(zone: dns.zone.Zone, name: str, rdtype: str) -> list[str]:
    return sorted(str(each) for each in zone.find_rdataset(dns.name.from_text(name), rdtype))


def test_reverse_zones_are_the_networks_that_providers_hand_out() -> None:
    assert fleet_zones(FLEET, FLEET.site("lab")) == (
        "nordlys.example.",
        "20.18.198.in-addr.arpa.",
        "0.2.0.0.0.0.0.0.8.1.d.f.ip6.arpa.",
    )
    assert fleet_zones(FLEET, SITE)[1:] == (
        "84.19.198.in-addr.arpa.",
        "0.2.0.0.5.0.0.0.8.1.d.f.ip6.arpa.",
    )


def test_the_root_delegates_with_the_keys_it_was_given() -> None:
    root = registry_zone(".")
    for child in registry_zones(FLEET)[1:]:
        assert rdata(root, child, "NS") == ["registry.net.example."]
        [ds] = root.find_rdataset(dns.name.from_text(child), "DS")
        key = dns.rdata.from_text("IN", "DNSKEY", SECRETS.keys[child].dnskey)
        assert ds == dns.dnssec.make_ds(child, key, "SHA256")
    assert rdata(root, "registry.net.example.", "A") == [str(machine_address(SITE, "registry").v4)]


def test_the_fleet_is_delegated_to_the_old_server_for_as_long_as_the_fleet_says() -> None:
    top = registry_zone("example.")
    [domain, reverse_v4, reverse_v6] = fleet_zones(FLEET, SITE)
    servers = ["ns1.nordlys.example.", "ns2.nordlys.example."]
    assert rdata(top, domain, "NS") == servers
    for server in servers:
        assert rdata(top, server, "A") == [str(BERGEN.v4)]
        assert rdata(top, server, "AAAA") == [str(BERGEN.v6)]
        assert top.find_rdataset(dns.name.from_text(server), "A").ttl == FLEET.lab_ttl.parent
    assert rdata(registry_zone("in-addr.arpa."), reverse_v4, "NS") == servers
    assert rdata(registry_zone("ip6.arpa."), reverse_v6, "NS") == servers
    assert top.find_rdataset(dns.name.from_text(domain), "NS").ttl == FLEET.lab_ttl.parent
    assert top.get_soa().minimum == FLEET.lab_ttl.parent


def test_every_machine_of_the_world_has_a_name_and_a_way_back() -> None:
    top = registry_zone("example.")
    for name in names.NUMBERS:
        address = machine_address(SITE, name)
        full = f"{name}.net.example."
        assert rdata(top, full, "A") == [str(address.v4)]
        reverse = registry_zone("in-addr.arpa.")
        assert rdata(reverse, names.reverse_name(address.v4), "PTR") == [full]
        assert rdata(registry_zone("ip6.arpa."), names.reverse_name(address.v6), "PTR") == [full]


def test_a_registrar_may_change_the_fleets_delegations_and_nothing_else() -> None:
    config = text(WORLD["registry"], "/etc/bind/named.conf")
    grants = [line.split() for line in config.splitlines() if line.strip().startswith("grant")]
    allowed = {(words[3], *words[4:]) for words in grants}
    assert all(words[:3] == ["grant", "registrar", "name"] for words in grants)
    assert {each[0] for each in allowed if "NS" in each} == set(fleet_zones(FLEET, SITE))
    assert {each[0] for each in allowed if "A" in each} == {
        f"{name}.nordlys.example." for name in ("ns1", "ns2", "ns-oslo", "ns-bergen", "ns-tromso")
    }
    assert {each[1:] for each in allowed} == {("NS", "DS;"), ("A", "AAAA;")}
    assert "recursion no;" in config
    assert "allow-transfer { none; };" in config


def test_key_files_are_named_and_filled_as_bind_wants_them() -> None:
    key = SECRETS.keys["example."]
    [tag] = [dns.dnssec.key_id(dns.rdata.from_text("IN", "DNSKEY", key.dnskey))]
    assert key.basename == f"Kexample.+013+{tag:05d}"
    files = WORLD["registry"].files
    private = files[f"/var/lib/bind/{key.basename}.private"]
    assert f"PrivateKey: {key.private}\n" in str(private.content)
    assert private.mode == 0o600
    assert files["/etc/bind/registrar.key"].mode == 0o600


def test_the_resolver_trusts_the_root_and_serves_the_lab_alone() -> None:
    resolver = WORLD["resolver"]
    config = text(resolver, "/etc/unbound/unbound.conf")
    allowed = [line.split()[1] for line in config.splitlines() if "access-control:" in line]
    assert allowed == [str(network) for network in block_networks(BLOCK)]
    assert SECRETS.anchor in text(resolver, "/etc/unbound/root.key")
    registry = machine_address(SITE, "registry")
    assert f"A {registry.v4}" in text(resolver, "/etc/unbound/root.hints")
    assert f"AAAA {registry.v6}" in text(resolver, "/etc/unbound/root.hints")


def test_only_the_mirror_has_a_way_out_and_it_serves_the_lab_alone() -> None:
    assert [machine.name for machine in WORLD.values() if machine.uplink] == ["mirror"]
    rules = text(WORLD["mirror"], "/etc/nftables.conf")
    for network in block_networks(BLOCK):
        assert f"saddr {network} accept" in rules
    assert "policy drop" in rules


def test_the_router_delays_in_user_space_only_where_the_kernel_cannot() -> None:
    router = WORLD["router"]
    assert router.units == ("delay.service",)
    ast.parse(text(router, "/usr/local/lib/delay/delay.py"))
    [with_netem, *_] = world(FLEET, SITE, secrets=SECRETS, netem=True)
    assert with_netem.name == "router"
    assert with_netem.units == ()
    assert not any("delay" in path for path in with_netem.files)


def test_machines_start_their_units_and_say_when_one_fails() -> None:
    for machine in WORLD.values():
        role = text(machine, "/etc/systemd/system/multi-user.target.d/role.conf")
        assert f"Wants={' '.join(machine.units)}\n" in role
        assert f"is-failed --quiet {' '.join(machine.units)}" in machine.ready[-1]


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    made = WorldSecrets.at(directory, FLEET)
    assert WorldSecrets.at(directory, FLEET) == made
    assert stat.S_IMODE((directory / "world.json").stat().st_mode) == 0o600
    assert made.registrar not in repr(made)
    assert made.keys["."].private not in repr(made)


def test_secrets_of_another_domain_are_made_anew(tmp_path: Path) -> None:
    made = WorldSecrets.at(tmp_path, FLEET)
    moved = FLEET.model_copy(update={"domain": "nordlys.test-tld"})
    assert "test-tld." in WorldSecrets.at(tmp_path, moved).keys
    assert WorldSecrets.at(tmp_path, FLEET) != made


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"zones": [], "registrar": ""}'])
def test_spoilt_secrets_are_told_with_their_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "world.json").write_text(content)
    with pytest.raises(WorldSecretsError, match=r"world\.json"):
        WorldSecrets.at(tmp_path, FLEET)


def test_two_keys_differ() -> None:
    assert ZoneKey.make(".") != ZoneKey.make(".")


def test_a_zone_is_kept_in_a_file_of_its_name() -> None:
    assert RegistryZone(name=".", records=()).path == "/var/lib/bind/db.root"
    assert RegistryZone(name="ip6.arpa.", records=()).path == "/var/lib/bind/db.ip6.arpa"

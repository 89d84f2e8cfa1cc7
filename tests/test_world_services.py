"""The world's mail server and its certificate authorities as data."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import dns.name
import dns.zone
from cryptography import x509

from lab.fleet import Fleet
from lab.world.authority import Authority
from lab.world.machines import AUTHORITY, WorldMachine, world
from lab.world.names import foreign_domain, machine_address
from lab.world.registry import zones
from lab.world.secrets import WorldSecrets

FLEET = Fleet.load()
SITE = FLEET.site("lab", block=3)
SECRETS = WorldSecrets.make(FLEET)
WORLD = {machine.name: machine for machine in world(FLEET, SITE, secrets=SECRETS)}


def text(machine: WorldMachine, path: str) -> str:
    content = machine.files[path].content
    assert isinstance(content, str)
    return content


def settings(machine: WorldMachine) -> dict[str, str]:
    lines = text(machine, "/etc/postfix/main.cf").splitlines()
    pairs = (line.split(" =", 1) for line in lines if " =" in line and not line.startswith("#"))
    return {name: value.strip() for name, value in pairs}


def test_mail_to_people_elsewhere_finds_its_server() -> None:
    [top] = [zone for zone in zones(FLEET, SITE, SECRETS.keys) if zone.name == "example."]
    records = dns.zone.from_text(
        "\n".join(["$TTL 60", "@ IN SOA a. b. 1 2 3 4 5", "@ IN NS a.", *top.records]),
        origin="example.",
        relativize=False,
    )
    [exchange] = records.find_rdataset(dns.name.from_text(foreign_domain(FLEET)), "MX")
    assert str(exchange.exchange) == "mailer.net.example."
    [address] = records.find_rdataset(exchange.exchange, "A")
    assert str(address) == str(machine_address(SITE, "mailer").v4)


def test_the_acme_authority_has_a_name_of_its_own() -> None:
    [top] = [zone for zone in zones(FLEET, SITE, SECRETS.keys) if zone.name == "example."]
    where = machine_address(SITE, "mailer")
    found = [line.split()[-1] for line in top.records if line.startswith("ca.net.example. ")]
    assert found == [str(where.v4), str(where.v6)]


def test_the_foreign_mail_server_forgets_when_the_lab_goes_back() -> None:
    assert [machine.name for machine in WORLD.values() if machine.forget] == ["mailer"]


def test_the_foreign_mail_server_relays_for_those_outside_alone() -> None:
    found = settings(WORLD["mailer"])
    outside = machine_address(SITE, "outside")
    assert found["mynetworks"].split()[2:] == [f"{outside.v4}/32", f"[{outside.v6}]/128"]
    assert found["virtual_mailbox_domains"] == "fjordpost.example"
    assert found["smtpd_relay_restrictions"].endswith("reject_unauth_destination")


def test_the_foreign_mail_server_comes_again_within_seconds() -> None:
    found = settings(WORLD["mailer"])
    seconds = {name: int(value[:-1]) for name, value in found.items() if name.endswith("_time")}
    assert seconds == {"minimal_backoff_time": 2, "maximal_backoff_time": 15}
    assert found["queue_run_delay"] == "2s"


def test_the_acme_authority_is_strict_and_asks_the_labs_resolver() -> None:
    unit = text(WORLD["mailer"], "/etc/systemd/system/pebble.service")
    assert f"-dnsserver {machine_address(SITE, 'resolver').v4}:53" in unit
    assert " -strict" in unit
    assert "PEBBLE_VA_NOSLEEP=1" in unit
    config = json.loads(text(WORLD["mailer"], "/etc/pebble/pebble.json"))["pebble"]
    assert (config["httpPort"], config["tlsPort"]) == (80, 443)
    assert WORLD["mailer"].files[config["privateKey"]].mode == 0o600


def test_those_outside_believe_the_acme_authoritys_address() -> None:
    believed = text(WORLD["outside"], AUTHORITY)
    certificate = x509.load_pem_x509_certificate(
        text(WORLD["mailer"], "/etc/pebble/chain.pem").encode()
    )
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ca.net.example"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(believed.encode()))


def test_a_certificate_is_one_that_a_server_can_use(tmp_path: Path) -> None:
    authority = Authority.make("A test")
    made = authority.issue(["www.nordlys.example", "nordlys.example"])
    (tmp_path / "chain.pem").write_text(made.chain)
    (tmp_path / "key.pem").write_text(made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    believing = ssl.create_default_context(cadata=authority.root)
    assert len(believing.get_ca_certs()) == 1


def test_keys_are_not_printed() -> None:
    authority = Authority.make("A test")
    assert "PRIVATE" not in repr(authority)
    assert "PRIVATE" not in repr(authority.issue(["x.example"]))


def test_the_authority_is_kept_with_the_labs_secrets(tmp_path: Path) -> None:
    made = WorldSecrets.at(tmp_path, FLEET)
    assert WorldSecrets.at(tmp_path, FLEET).authority == made.authority

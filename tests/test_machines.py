"""A lab on paper: the fleet's hosts and the world round them."""

from pathlib import Path

import pytest

from lab.engine.images import BASE
from lab.fleet import Fleet, LabMail
from lab.machines import AUTHORIZED_KEYS, RESOLV_CONF, WORLD, Blueprint, bare, blueprint, legacy
from lab.world.machines import world
from lab.world.secrets import WorldSecrets

FOURTH = """
  bodo:
    provider: ovh
    role: production
    hardware: {cores: 2, memory_mb: 4096, disk_gb: 40}
    production: {v4: 198.51.100.40, v6: "2001:db8:40::40"}
    lab: {v4: 198.18.40.40, v6: "fd18:0:40::40"}
    wireguard: 10.83.0.40
    enrols: control
    promotion_order: 4
"""


def plan(fleet: Fleet, block: int = 0) -> Blueprint:
    site = fleet.site("lab", block=block)
    secrets = WorldSecrets.make(fleet)
    return blueprint(
        fleet=fleet,
        site=site,
        world=world(fleet, site, secrets=secrets),
        authority=secrets.authority,
        public_key="ssh-ed25519 AAAA",
    )


@pytest.fixture
def fleet() -> Fleet:
    return Fleet.load()


def test_every_host_has_its_hardware_and_starts_from_bare_debian(fleet: Fleet) -> None:
    oslo = plan(fleet).spec("oslo")
    assert oslo.image == BASE.tag
    assert (oslo.cores, oslo.memory_mb) == (8, 16384)
    assert oslo.files[AUTHORIZED_KEYS].mode == 0o600


def test_the_legacy_host_starts_from_its_own_past(fleet: Fleet) -> None:
    assert plan(fleet).spec("bergen").image == legacy(fleet).tag


def test_made_anew_the_legacy_host_is_like_any_other_and_has_no_past(fleet: Fleet) -> None:
    found = plan(fleet)
    anew, oslo = bare(found.spec("bergen")), found.spec("oslo")
    assert (anew.name, anew.cores, anew.image) == ("bergen", 4, BASE.tag)
    assert anew.files.keys() == oslo.files.keys()


def test_the_legacy_hosts_past_depends_on_its_domain_and_its_mail(fleet: Fleet) -> None:
    other = fleet.model_copy(update={"lab_mail": LabMail(messages=500)})
    moved = fleet.model_copy(update={"domain": "sorlys.example"})
    assert len({legacy(each).tag for each in (fleet, other, moved)}) == 3


def test_everybody_but_the_router_has_a_cable_and_only_the_mirror_an_uplink(fleet: Fleet) -> None:
    found = plan(fleet)
    assert {cable.machine for cable in found.cables} == set(found.names) - {"router"}
    assert [spec.name for spec in found.specs if spec.uplink] == ["mirror"]
    assert [cable.machine for cable in found.cables if cable.only] == ["mirror"]


def test_hosts_ask_the_labs_resolver_in_the_labs_block(fleet: Fleet) -> None:
    assert "198.18.64.10" in str(plan(fleet, block=1).spec("oslo").files[RESOLV_CONF].content)


def test_the_worlds_machines_share_one_image(fleet: Fleet) -> None:
    found = plan(fleet)
    assert {found.spec(name).image for name in found.world} == {WORLD.tag}


def test_a_fourth_host_needs_no_code(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(Path("fleet.yaml").read_text() + FOURTH)
    found = plan(Fleet.load(file))
    assert "bodo" in found.hosts
    assert "bodo" in found.remembering
    assert {cable.machine for cable in found.cables} >= set(fleet.hosts) | {"bodo"}

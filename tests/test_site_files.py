"""What the control host is told: to each host its own, and nothing in clear."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lab.fleet import Fleet
from lab.operator.secrets import Secrets
from lab.operator.site_files import node_secrets, site_files

OPERATOR = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB operator"


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(directory=tmp_path)


@pytest.fixture
def files(secrets: Secrets) -> dict[str, str]:
    fleet = Fleet.load()
    return site_files(fleet=fleet, site=fleet.site("lab"), secrets=secrets, operators=[OPERATOR])


def test_every_host_has_a_file_of_secrets_of_its_own(files: dict[str, str]) -> None:
    assert set(files) == {
        "site.yaml",
        *(f"nodes/{name}.eyaml" for name in Fleet.load().hosts),
    }


def test_no_secret_is_in_clear(files: dict[str, str], secrets: Secrets) -> None:
    for host in Fleet.load().hosts.values():
        for value in node_secrets(host, secrets).values():
            assert not any(value in content for content in files.values())
    sealed = YAML(typ="safe").load(files["nodes/tromso.eyaml"])
    assert all(value.startswith("ENC[PKCS7,") for value in sealed.values())


def test_only_the_control_host_knows_how_others_enrol(secrets: Secrets) -> None:
    fleet = Fleet.load()
    key = "profile::puppetserver::enrolment_key"
    assert [name for name, host in fleet.hosts.items() if key in node_secrets(host, secrets)] == [
        "tromso"
    ]


def test_the_password_itself_never_leaves_the_operator(secrets: Secrets) -> None:
    told = node_secrets(Fleet.load().control, secrets)
    assert secrets.password("puppetboard") not in told.values()
    assert told["profile::puppetboard::password"].startswith("{SSHA}")

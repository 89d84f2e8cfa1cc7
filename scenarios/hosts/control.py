"""What has to be true of the control host."""

from __future__ import annotations

import pytest
from testinfra.host import Host


@pytest.mark.parametrize("service", ["puppetserver", "puppetdb", "postgresql", "nginx"])
def test_what_makes_it_the_control_host_runs(host: Host, service: str) -> None:
    assert host.service(service).is_running
    assert host.service(service).is_enabled


@pytest.mark.parametrize("port", [8140, 443])
def test_it_listens_where_it_should(host: Host, port: int) -> None:
    assert host.socket(f"tcp://{port}").is_listening


def test_the_database_is_for_nobody_else(host: Host) -> None:
    sockets = host.check_output("ss --listening --tcp --numeric --no-header").splitlines()
    listening = {line.split()[3] for line in sockets}
    assert not {address for address in listening if address in ("0.0.0.0:5432", "[::]:5432")}


def test_others_may_not_read_the_sites_key(host: Host) -> None:
    key = host.file("/etc/puppet/eyaml/private_key.pkcs7.pem")
    assert key.exists
    assert host.file("/etc/puppet/eyaml").mode == 0o750

"""What has to be true of the production host once DNS is there (step ``dns``)."""

from __future__ import annotations

import pytest
from testinfra.host import Host


def test_its_name_server_runs(host: Host) -> None:
    assert host.service("pdns").is_running
    assert host.service("pdns").is_enabled


@pytest.mark.parametrize("address", ["udp://53", "tcp://53"])
def test_it_answers_the_world(host: Host, address: str) -> None:
    port = address.rpartition("/")[2]
    listening = host.check_output("ss --listening --tcp --udp --numeric --no-header")
    kinds = {line.split()[0] for line in listening.splitlines() if f":{port} " in f"{line} "}
    assert address.partition(":")[0] in kinds


def test_it_serves_what_it_was_given(host: Host) -> None:
    assert host.check_output("pdnsutil list-all-zones").split()

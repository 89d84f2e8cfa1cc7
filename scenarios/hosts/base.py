"""What has to be true of every host that Puppet manages, in the lab and on the real servers.

Run by the promotion on each host it changes (:mod:`lab.promote.host_checks`), and by hand::

    pytest --noconftest scenarios/hosts/base.py --hosts=ssh://oslo

pytest-testinfra gives ``host``.
"""

from __future__ import annotations

import re

from testinfra.host import Host


def test_no_unit_has_failed(host: Host) -> None:
    failed = host.check_output("systemctl list-units --failed --plain --no-legend")
    # The agent's own unit fails when its server was away at its turn; the promotion runs it itself.
    assert [line for line in failed.splitlines() if not line.startswith("puppet-run.")] == []


def test_nothing_comes_in_but_what_is_allowed(host: Host) -> None:
    chain = host.check_output("nft list chain inet fleet input")
    assert "policy drop" in chain
    assert re.search(r"tcp dport (\{.*\b)?22\b", chain)


def test_nobody_gets_in_by_password(host: Host) -> None:
    settings = host.check_output("sshd -T").splitlines()
    assert "passwordauthentication no" in settings
    assert "kbdinteractiveauthentication no" in settings
    assert "authenticationmethods publickey" in settings


def test_puppet_runs_by_itself(host: Host) -> None:
    assert host.service("puppet-run.timer").is_running
    assert host.service("puppet-run.timer").is_enabled


def test_the_clock_is_kept(host: Host) -> None:
    assert host.service("chrony").is_enabled


def test_the_mesh_is_up(host: Host) -> None:
    assert host.interface("wg0").exists


def test_the_disk_has_room(host: Host) -> None:
    used = host.check_output("df --output=pcent / | tail -n 1").strip().rstrip("%")
    assert int(used) < 90

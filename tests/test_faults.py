"""Faults are planned as text: rules for the router, scripts for a host."""

import subprocess
from ipaddress import IPv4Address, IPv6Address

from lab.engine.wiring import Cable
from lab.fault_rules import (
    between_matches,
    clock_right,
    clock_wrong,
    cut_matches,
    dropping,
    table,
)

OSLO = Cable(machine="oslo", v4=IPv4Address("198.18.10.10"), v6=IPv6Address("fd18::10"))
BERGEN = Cable(machine="bergen", v4=IPv4Address("198.18.20.20"), v6=IPv6Address("fd18::20"))
UNITS = ["pdns.service", "dovecot.service"]


def test_a_cut_drops_what_a_machine_sends_and_is_sent() -> None:
    assert cut_matches("oslo") == ['iifname "to-oslo"', 'oifname "to-oslo"']


def test_a_one_way_cut_drops_one_of_the_two() -> None:
    assert cut_matches("oslo", directions=["from"]) == ['iifname "to-oslo"']
    assert cut_matches("oslo", directions=["to"]) == ['oifname "to-oslo"']


def test_loss_takes_a_share_of_the_packets() -> None:
    assert cut_matches("oslo", directions=["to"], percent=30) == [
        'oifname "to-oslo" numgen random mod 100 < 30'
    ]


def test_every_fault_is_one_table_that_drops_in_the_forward_hook() -> None:
    text = dropping("cut oslo", cut_matches("oslo"))
    assert text.startswith("table inet fault_cut_oslo {")
    assert "hook forward" in text
    assert text.count(" drop\n") == 2


def test_a_table_is_named_after_its_fault_and_nothing_else() -> None:
    assert table('loss 30 oslo"; drop') == "fault_loss_30_oslo_drop"


def test_loss_hits_both_ways() -> None:
    assert cut_matches("oslo", percent=30) == [
        'iifname "to-oslo" numgen random mod 100 < 30',
        'oifname "to-oslo" numgen random mod 100 < 30',
    ]


def test_a_partition_drops_all_between_two_hosts_the_mesh_included_and_nothing_else() -> None:
    assert between_matches(OSLO, BERGEN) == [
        "ip saddr 198.18.10.10 ip daddr 198.18.20.20",
        "ip saddr 198.18.20.20 ip daddr 198.18.10.10",
        "ip6 saddr fd18::10 ip6 daddr fd18::20",
        "ip6 saddr fd18::20 ip6 daddr fd18::10",
    ]


def test_a_wrong_clock_is_mounted_for_each_unit_alone_and_never_for_the_machine() -> None:
    script = clock_wrong(UNITS, seconds=3600)
    assert "echo '+3600' >/run/fault-clock/faketimerc" in script
    assert "BindReadOnlyPaths=/run/fault-clock/ld.so.preload:/etc/ld.so.preload" in script
    # What the whole machine sees of it is an empty file.
    assert "touch /etc/ld.so.preload /etc/faketimerc" in script
    assert not any(word in script for word in (">/etc/ld.so.preload", "date --set", "LD_PRELOAD"))


def test_a_clock_may_be_behind() -> None:
    assert "echo '-60'" in clock_wrong(UNITS, seconds=-60)


def test_what_made_a_clock_wrong_is_taken_away_and_only_units_that_had_it_restart() -> None:
    script = clock_right(UNITS)
    assert "[ -e /run/systemd/system/$unit.d/fault-clock.conf ] || continue" in script
    assert script.index("systemctl start $running") < script.index("rm -rf /run/fault-clock")


def test_the_scripts_are_shell() -> None:
    for script in (clock_wrong(UNITS, seconds=1), clock_right(UNITS)):
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)

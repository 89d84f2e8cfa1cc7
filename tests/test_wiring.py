"""Cables are planned as one script: facts in, commands out."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from lab.engine.wiring import Cable, Namespace, Tap, lay, network_file

ROUTER = {"router": "router", "router_v4": IPv4Address("198.18.0.1")}
PIDS = {"router": "10", "oslo": "20", "mirror": "30"}
ENDS = {name: Namespace(pid=pid) for name, pid in PIDS.items()}
OSLO = Cable(machine="oslo", v4=IPv4Address("198.18.10.10"), v6=IPv6Address("fd18:0:10::10"))


def plan(*cables: Cable) -> str:
    return lay(
        cables,
        router="router",
        router_v4=IPv4Address("198.18.0.1"),
        router_v6=IPv6Address("fd18::1"),
        ends=ENDS,
    )


def test_a_cable_goes_straight_from_the_router_to_the_machine() -> None:
    assert "link add to-oslo netns 10 type veth peer name eth0 netns 20" in plan(OSLO)


def test_a_machine_gets_single_addresses_and_everything_goes_through_the_router() -> None:
    lines = plan(OSLO).splitlines()
    at_machine = lines[lines.index("nsenter -t 20 -n ip -batch - <<'END'") :]
    assert "addr add 198.18.10.10/32 dev eth0" in at_machine
    assert "addr add fd18:0:10::10/128 dev eth0 nodad" in at_machine
    assert "route add 0.0.0.0/0 via 198.18.0.1 dev eth0 src 198.18.10.10" in at_machine
    assert "route add ::/0 via fe80::1 dev eth0 src fd18:0:10::10" in at_machine


def test_a_machine_with_an_uplink_takes_only_the_labs_traffic_through_its_cable() -> None:
    mirror = Cable(
        machine="mirror",
        v4=IPv4Address("198.18.0.40"),
        v6=IPv6Address("fd18::40"),
        interface="lab0",
        only=(IPv4Network("198.18.0.0/18"), IPv6Network("fd18::/32")),
    )
    script = plan(mirror)
    assert "route add 198.18.0.0/18 via 198.18.0.1 dev lab0 src 198.18.0.40" in script
    assert "0.0.0.0/0" not in script


def test_old_ends_are_removed_first_and_only_there_failure_is_fine() -> None:
    lines = plan(OSLO).splitlines()
    assert lines[0].endswith("ip -force -batch - <<'END' 2>/dev/null || true")
    assert lines[1] == "link del to-oslo"
    assert sum("|| true" in line for line in lines) == 1


def test_a_cable_counts_as_laid_only_when_both_its_ends_are() -> None:
    *_, enter, laid, end = plan(OSLO).splitlines()
    assert (enter, end) == ("nsenter -t 10 -n ip -batch - <<'END'", "END")
    assert laid == "link set to-oslo alias laid"


def test_the_routers_ends_fit_into_the_kernels_names() -> None:
    long = Cable(machine="a-very-long-machine-name", v4=OSLO.v4, v6=OSLO.v6)
    assert len(long.router_end) <= 15


def test_a_machine_with_devices_of_its_own_hands_one_to_the_router() -> None:
    script = lay(
        [OSLO],
        router="router",
        router_v4=IPv4Address("198.18.0.1"),
        router_v6=IPv6Address("fd18::1"),
        ends={"router": Namespace(pid="10"), "oslo": Tap(device="gp123", pid="1")},
    )
    lines = script.splitlines()
    assert lines[lines.index("nsenter -t 1 -n ip -batch - <<'END'") + 1] == (
        "link set dev gp123 netns 10 name to-oslo"
    )
    assert "veth" not in script
    assert "route replace 198.18.10.10/32 dev to-oslo src 198.18.0.1" in script
    assert "dev eth0" not in script


def test_a_machine_with_devices_of_its_own_configures_its_end_as_the_others_are() -> None:
    text = network_file(OSLO, gateway=IPv4Address("198.18.0.1"))
    assert "Name=eth0" in text
    assert "Address=198.18.10.10/32" in text
    assert "Address=fd18:0:10::10/128" in text
    assert "Gateway=198.18.0.1\nGatewayOnLink=yes\nPreferredSource=198.18.10.10" in text
    assert "Gateway=fe80::1\nPreferredSource=fd18:0:10::10" in text

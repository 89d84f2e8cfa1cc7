"""The distance between providers: the pump that makes it, and the plans for pump and netem."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.engine.wiring import Cable
from lab.fleet import Fleet
from lab.world import delay, latency

FLEET = Fleet.load()
SITE = FLEET.site("lab", block=1)
PLAN = latency.distances(FLEET, SITE)
MS = 1_000_000


def checksum(header: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of *header*; 0 if it contains a right one."""
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def v4_packet(ttl: int, source: int, target: int, ident: int) -> bytearray:
    """Return an IPv4 header with a right checksum, behind an empty virtio_net_hdr."""
    fields = (0x45, 0, 20, ident, 0, ttl, 17, 0, source, target)
    bare = struct.pack("!BBHHHBBHII", *fields)
    whole = struct.pack("!BBHHHBBHII", *fields[:7], checksum(bare), *fields[8:])
    return bytearray(delay.HEADER) + whole


@given(
    ttl=st.integers(1, 254),
    source=st.integers(0, 2**32 - 1),
    target=st.integers(0, 2**32 - 1),
    ident=st.integers(0, 0xFFFF),
)
def test_a_v4_packet_gets_its_hop_back_and_keeps_a_right_checksum(
    ttl: int, source: int, target: int, ident: int
) -> None:
    packet = v4_packet(ttl, source, target, ident)
    before = bytes(packet)
    delay.restore_hop(packet)
    assert packet[delay.V4_TTL] == ttl + 1
    assert checksum(packet[delay.HEADER :]) == 0
    assert packet[delay.HEADER + 12 :] == before[delay.HEADER + 12 :]


def test_a_v6_packet_gets_its_hop_back() -> None:
    packet = bytearray(delay.HEADER) + bytearray(b"\x60" + bytes(6) + b"\x3f" + bytes(32))
    delay.restore_hop(packet)
    assert packet[delay.V6_HOP_LIMIT] == 64


@pytest.mark.parametrize(
    "packet",
    [
        bytes(delay.HEADER) + b"\x60" + bytes(6) + b"\xff" + bytes(32),
        bytes(delay.HEADER) + b"\x45" + bytes(7) + b"\xff" + bytes(11),
        bytes(delay.HEADER) + b"\x00" + bytes(30),
    ],
    ids=["v6-own", "v4-own", "neither"],
)
def test_what_was_not_forwarded_is_left_alone(packet: bytes) -> None:
    changed = bytearray(packet)
    delay.restore_hop(changed)
    assert changed == packet


@pytest.fixture(name="wire")
def _wire() -> Iterator[tuple[socket.socket, delay.Line]]:
    """A line whose device is one end of a pair of datagram sockets; the test has the other."""
    ours, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.settimeout(0)
    device.settimeout(0)
    with ours, device:
        yield ours, delay.Line(fd=device.fileno(), delay_ns=9 * MS)


def test_packets_come_back_in_order_when_due_and_not_before(
    wire: tuple[socket.socket, delay.Line],
) -> None:
    ours, line = wire
    for number in range(3):
        ours.send(v4_packet(60, number, 1, 1))
        line.take(number * MS)
    line.release(9 * MS - 1)
    with pytest.raises(BlockingIOError):
        ours.recv(100)
    line.release(10 * MS)
    sources = [struct.unpack_from("!I", ours.recv(100), delay.HEADER + 12)[0] for _ in range(2)]
    assert sources == [0, 1]
    assert len(line.waiting) == 1
    assert line.held == delay.HEADER + 20


def test_a_full_line_drops_what_comes(
    wire: tuple[socket.socket, delay.Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, line = wire
    monkeypatch.setattr(delay, "ROOM_BYTES", 50)
    for _ in range(3):
        ours.send(v4_packet(60, 1, 2, 3))
    line.take(0)
    assert len(line.waiting) == 1


def test_a_packet_the_kernel_refuses_does_not_stop_the_others(
    wire: tuple[socket.socket, delay.Line], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, line = wire
    ours.send(v4_packet(60, 1, 2, 3))
    line.take(0)
    read_only = os.open(os.devnull, os.O_RDONLY)
    try:
        delay.Line(fd=read_only, delay_ns=0, waiting=line.waiting, held=line.held).release(9 * MS)
    finally:
        os.close(read_only)
    assert "lost a packet of 30 bytes" in capsys.readouterr().err
    assert not line.waiting


def test_every_direction_between_distant_hosts_is_planned() -> None:
    found = {(one.source, one.target): one.seconds for one in PLAN}
    for (source, target), seconds in found.items():
        assert found[target, source] == seconds > 0
    assert found["oslo", "bergen"] == FLEET.delay("hetzner", "ovh")
    assert PLAN[0].source_address == SITE.address(PLAN[0].source)


def test_interfaces_are_named_as_the_wiring_names_them() -> None:
    for machine in ("oslo", "a-name-that-is-too-long"):
        address = SITE.address("oslo")
        cable = Cable(machine=machine, v4=address.v4, v6=address.v6)
        assert latency.router_end(machine) == cable.router_end


def test_each_pair_is_led_to_the_device_with_its_delay() -> None:
    devices = {entry["device"]: entry["ms"] for entry in json.loads(latency.lines(PLAN))}
    assert sorted(devices.values()) == sorted({one.seconds * 1000 for one in PLAN})
    for family in (latency.IPV4, latency.IPV6):
        script = latency.detours(PLAN, family)
        table_of = {
            words[words.index("table") + 1]: words[words.index("dev") + 1]
            for words in map(str.split, script.splitlines())
            if "table" in words
        }
        for one in PLAN:
            target = one.target_address.v4 if family == latency.IPV4 else one.target_address.v6
            rule = f"rule add priority 900 iif to-{one.source} to {target} lookup "
            [table] = [
                line.removeprefix(rule) for line in script.splitlines() if line.startswith(rule)
            ]
            assert devices[table_of[table]] == one.seconds * 1000


def test_netem_delays_what_comes_from_afar_by_its_source() -> None:
    script = latency.netem(PLAN, "tromso")
    assert script.splitlines()[0] == "qdisc add dev to-tromso root handle 1: htb"
    assert "parent 1:1 netem delay 8000us" in script
    assert "parent 1:2 netem delay 3000us" in script
    assert f"match ip src {SITE.address('oslo').v4}/32 flowid 1:1" in script
    assert f"match ip6 src {SITE.address('bergen').v6}/128 flowid 1:2" in script


def test_a_near_machine_needs_no_netem() -> None:
    assert latency.netem(PLAN, "outside") == ""


def test_hosts_at_one_provider_are_near() -> None:
    host = FLEET.host("oslo")
    twin = host.model_copy(
        update={
            "name": "oslo2",
            "lab": host.lab.model_copy(update={"v4": IPv4Address("198.18.10.11")}),
        }
    )
    fleet = FLEET.model_copy(update={"hosts": {"oslo": host, "oslo2": twin}})
    assert latency.distances(fleet, fleet.site("lab")) == ()

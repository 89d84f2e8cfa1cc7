"""Hold packets back: the distance between providers, where the kernel has no netem.

Runs on the lab's router as a service of its own and needs nothing but the standard library.
The router's policy routing sends the traffic between two distant hosts into a TUN device; what
is read from the device is written back to it one delay later, and routed on to its destination.
There is one device for each delay, so packets leave a device in the order they came.

The detour makes the router forward each packet twice. The hop that this costs is given back
(time to live, and with it the checksum), so that a traceroute shows one router, not two.

Usage: ``delay.py CONFIG``, where CONFIG is JSON: ``[{"device": "delay0", "ms": 9.0}, ...]``.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

# linux/if_tun.h
TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
# With these the kernel hands over whole segments of up to 64 KiB, as between its own devices:
# one wake-up then moves what would otherwise be forty packets.
OFFLOADS = 0x01 | 0x02 | 0x04  # TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6

# struct virtio_net_hdr precedes each packet; it comes back to the kernel as it was.
HEADER = 10
LARGEST = HEADER + 65535
# Packets read at one go before others get their turn.
BURST = 64
# What one device may hold back; more is dropped, as a router's full queue would. It is what
# 5 Gbit/s fill in 50 ms.
ROOM_BYTES = 32 * 1024 * 1024

V4_TTL = HEADER + 8
V4_CHECKSUM = HEADER + 10
V6_HOP_LIMIT = HEADER + 7
# A forwarded packet has lost a hop, so this is never one: it is the router's own chatter.
FULL = 255


@dataclass(kw_only=True)
class Line:
    """One TUN device and the packets under way in it.

    Attributes:
        fd: the open device.
        delay_ns: how long it holds each packet, in nanoseconds.
        waiting: (when due on the monotonic clock in nanoseconds, packet), earliest first.
        held: bytes in *waiting*.
    """

    fd: int
    delay_ns: int
    waiting: deque[tuple[int, bytearray]] = field(default_factory=deque)
    held: int = 0

    def take(self, now: int) -> None:
        """Read what has arrived by *now* (monotonic nanoseconds)."""
        due = now + self.delay_ns
        for _ in range(BURST):
            try:
                packet = bytearray(os.read(self.fd, LARGEST))
            except BlockingIOError:
                return
            if self.held + len(packet) > ROOM_BYTES:
                continue
            restore_hop(packet)
            self.waiting.append((due, packet))
            self.held += len(packet)

    def release(self, now: int) -> None:
        """Write back what is due at *now* (monotonic nanoseconds)."""
        while self.waiting and self.waiting[0][0] <= now:
            _, packet = self.waiting.popleft()
            self.held -= len(packet)
            try:
                os.write(self.fd, packet)
            except OSError as error:
                # One packet that the kernel refuses is one packet lost; all later ones still go.
                print(f"lost a packet of {len(packet)} bytes: {error}", file=sys.stderr)


def restore_hop(packet: bytearray) -> None:
    """Give back the hop that the detour costs, in place.

    Args:
        packet: a forwarded IPv4 or IPv6 packet behind a ``virtio_net_hdr``; anything else is
            left alone.
    """
    version = packet[HEADER] >> 4
    if version == 4 and packet[V4_TTL] < FULL:  # noqa: PLR2004 - the protocol's own number
        packet[V4_TTL] += 1
        # The header's checksum falls by what the word with the TTL rises by (RFC 1624).
        checksum = int.from_bytes(packet[V4_CHECKSUM : V4_CHECKSUM + 2]) - 0x0100
        packet[V4_CHECKSUM : V4_CHECKSUM + 2] = (checksum % 0xFFFF).to_bytes(2)
    elif version == 6 and packet[V6_HOP_LIMIT] < FULL:  # noqa: PLR2004
        packet[V6_HOP_LIMIT] += 1


def open_device(name: str) -> int:
    """Make the TUN device *name* and return its descriptor; closing it removes the device."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    wanted = struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR)
    fcntl.ioctl(fd, TUNSETIFF, wanted)
    fcntl.ioctl(fd, TUNSETOFFLOAD, OFFLOADS)
    return fd


def pump(lines: list[Line]) -> None:
    """Delay packets until the process is ended."""
    by_fd = {line.fd: line for line in lines}
    while True:
        now = time.monotonic_ns()
        for line in lines:
            line.release(now)
        due = min((line.waiting[0][0] for line in lines if line.waiting), default=None)
        # select(2) sleeps to the microsecond, poll(2) only to the millisecond.
        pause = None if due is None else max(0, due - time.monotonic_ns()) / 1e9
        ready, _, _ = select.select(by_fd, (), (), pause)
        now = time.monotonic_ns()
        for fd in ready:
            by_fd[fd].take(now)


def tell_systemd() -> None:
    """Say that the devices exist (sd_notify(3)), so that routes into them can be set."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", address.replace("@", "\0", 1))


def main() -> None:
    """Read the configuration, make the devices, and delay."""
    config = json.loads(Path(sys.argv[1]).read_text())
    lines = [
        Line(fd=open_device(entry["device"]), delay_ns=round(entry["ms"] * 1e6)) for entry in config
    ]
    tell_systemd()
    pump(lines)


if __name__ == "__main__":
    main()

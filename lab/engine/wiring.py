"""Cables between the machines of a lab and its router, planned as one script.

Every machine hangs on a cable of its own, point to point, as at providers that give each
server a single address: ``address/32`` on its side, one gateway for all, no shared segment.
The plan is pure; the engine runs it where it can see all networks.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

# The gateway's link-local address, the same on every cable.
GATEWAY_V6 = IPv6Address("fe80::1")

# What the router's end of a cable is also called once the whole cable is there.
LAID = "laid"
# Prints the router's ends of the cables that are.
LOOK = f"cd /sys/class/net && grep -lx {LAID} */ifalias | cut -d/ -f1"


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A machine's end of a cable in a network namespace of this kernel.

    Attributes:
        pid: a process whose network it is.
    """

    pid: str


@dataclass(frozen=True, kw_only=True)
class Tap:
    """A machine's end of a cable behind a device of this kernel: the machine has its own.

    Attributes:
        device: the device's name.
        pid: a process in whose network the device is now.
    """

    device: str
    pid: str


End = Namespace | Tap


@dataclass(frozen=True, kw_only=True)
class Cable:
    """One machine's cable to the router.

    Attributes:
        machine: the machine's name; the router's end is called ``to-MACHINE``.
        v4: its IPv4 address.
        v6: its IPv6 address.
        interface: name of the machine's end.
        only: routed through the cable; everything when None (a machine with an uplink of its
            own takes only the lab's traffic this way).
    """

    machine: str
    v4: IPv4Address
    v6: IPv6Address
    interface: str = "eth0"
    only: tuple[IPv4Network, IPv6Network] | None = None

    @property
    def router_end(self) -> str:
        """Name of the router's interface; Linux allows 15 characters (``IFNAMSIZ``)."""
        return f"to-{self.machine}"[:15]


def lay(
    cables: Sequence[Cable],
    *,
    router: str,
    router_v4: IPv4Address,
    router_v6: IPv6Address,
    ends: Mapping[str, End],
) -> str:
    """Return the shell script that lays *cables*; running it again lays them anew.

    A machine behind a tap device configures its own end; the device itself becomes the router's.

    Args:
        cables: the cables to lay.
        router: name of the router among *ends*.
        router_v4: the router's IPv4 address, the gateway of every machine.
        router_v6: the router's IPv6 address, seen in traceroutes.
        ends: machine -> where its end is, the router's included.
    """
    hub = router_pid(ends[router])
    lines: list[str] = []
    # The old ends may be gone with their machine's network: only here failing is fine.
    lines += _batch(hub, [f"link del {cable.router_end}" for cable in cables], force=True)
    lines += _batch(
        None,
        [
            f"link add {cable.router_end} netns {hub} type veth "
            f"peer name {cable.interface} netns {end.pid}"
            for cable in cables
            if isinstance(end := ends[cable.machine], Namespace)
        ],
    )
    for cable in cables:
        if isinstance(end := ends[cable.machine], Tap):
            hand_over = f"link set dev {end.device} netns {hub} name {cable.router_end}"
            lines += _batch(end.pid, [hand_over])
    at_router = [
        "link set lo up",
        f"addr replace {router_v4}/32 dev lo",
        f"addr replace {router_v6}/128 dev lo nodad",
    ]
    for cable in cables:
        at_router += [
            f"addr add {GATEWAY_V6}/64 dev {cable.router_end} nodad",
            f"link set {cable.router_end} up",
            f"route replace {cable.v4}/32 dev {cable.router_end} src {router_v4}",
            f"route replace {cable.v6}/128 dev {cable.router_end} src {router_v6}",
        ]
    lines += _batch(hub, at_router)
    for cable in cables:
        if isinstance(end := ends[cable.machine], Namespace):
            lines += _batch(end.pid, _machine_end(cable, router_v4))
    # Whatever was interrupted before this is laid anew.
    lines += _batch(hub, [f"link set {cable.router_end} alias {LAID}" for cable in cables])
    return "\n".join(lines) + "\n"


def router_pid(end: End) -> str:
    """Return the process whose network is the router's, which is always a namespace here.

    Raises:
        TypeError: the router is a machine with devices of its own.
    """
    if isinstance(end, Namespace):
        return end.pid
    raise TypeError("the router's network cannot be entered")


def network_file(cable: Cable, *, gateway: IPv4Address) -> str:
    """Return what systemd-networkd lays a machine's own end by (systemd.network(5))."""
    return f"""\
[Match]
Name={cable.interface}

[Network]
Address={cable.v4}/32
Address={cable.v6}/128
IPv6AcceptRA=no
IPv6DuplicateAddressDetection=0

[Route]
Gateway={gateway}
GatewayOnLink=yes
PreferredSource={cable.v4}

[Route]
Gateway={GATEWAY_V6}
PreferredSource={cable.v6}
"""


def shape(scripts: Mapping[str, str], *, router_pid: str) -> str:
    """Return the shell script that gives the router's ends their delays.

    Args:
        scripts: machine -> ``tc -batch`` script for the router's end of its cable; may be empty.
        router_pid: process whose network is the router's.
    """
    lines: list[str] = []
    for script in scripts.values():
        if script:
            enter = f"nsenter -t {shlex.quote(router_pid)} -n tc -batch - <<'END'"
            lines += [enter, script.rstrip(), "END"]
    return "\n".join(lines) + "\n"


def _machine_end(cable: Cable, gateway: IPv4Address) -> list[str]:
    targets = cable.only or ("0.0.0.0/0", "::/0")
    return [
        "link set lo up",
        f"addr add {cable.v4}/32 dev {cable.interface}",
        f"addr add {cable.v6}/128 dev {cable.interface} nodad",
        f"link set {cable.interface} up",
        f"route add {gateway}/32 dev {cable.interface} src {cable.v4}",
        f"route add {targets[0]} via {gateway} dev {cable.interface} src {cable.v4}",
        f"route add {targets[1]} via {GATEWAY_V6} dev {cable.interface} src {cable.v6}",
    ]


def _batch(pid: str | None, commands: Sequence[str], *, force: bool = False) -> list[str]:
    """Return lines that feed *commands* to ``ip -batch``, in the network of *pid*."""
    if not commands:
        return []
    enter = f"nsenter -t {shlex.quote(pid)} -n " if pid else ""
    tail = " 2>/dev/null || true" if force else ""
    flag = "-force " if force else ""
    return [f"{enter}ip {flag}-batch - <<'END'{tail}", *commands, "END"]

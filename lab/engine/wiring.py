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
    pids: Mapping[str, str],
) -> str:
    """Return the shell script that lays *cables*; running it again lays them anew.

    Args:
        cables: the cables to lay.
        router: name of the router among *pids*.
        router_v4: the router's IPv4 address, the gateway of every machine.
        router_v6: the router's IPv6 address, seen in traceroutes.
        pids: machine -> process whose network it is, the router's included.
    """
    hub = pids[router]
    lines: list[str] = []
    # The old ends may be gone with their machine's network: only here failing is fine.
    lines += _batch(hub, [f"link del {cable.router_end}" for cable in cables], force=True)
    lines += _batch(
        None,
        [
            f"link add {cable.router_end} netns {hub} type veth "
            f"peer name {cable.interface} netns {pids[cable.machine]}"
            for cable in cables
        ],
    )
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
        lines += _batch(pids[cable.machine], _machine_end(cable, router_v4))
    return "\n".join(lines) + "\n"


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

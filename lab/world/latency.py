"""How far the providers are from each other, planned for either means of holding packets back.

Where the kernel has netem, the router's interfaces delay what they send (:func:`netem`);
elsewhere a program on the router does (:mod:`lab.world.delay`), and :func:`lines` and
:func:`detours` are its configuration. Only pairs of hosts with a delay are touched either way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Final, Literal

from lab.addresses import Address
from lab.fleet import Fleet, Site

# Exits with 0 where the kernel has netem. Try it in a network namespace of no importance.
NETEM_PROBE = ("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")

Family = Literal[4, 6]
IPV4: Final = 4
IPV6: Final = 6

# Before the main table (32766); one number for all rules, so that a stop finds them again.
RULE_PRIORITY = 900
FIRST_TABLE = 9000
# Packets held back before any is lost: 9 ms of full-size packets at 10 Gbit/s.
QUEUE = 10_000


@dataclass(frozen=True, kw_only=True)
class Distance:
    """One direction between two hosts at different providers.

    Attributes:
        source: name of the host that sends.
        target: name of the host that receives.
        source_address: where the packets come from.
        target_address: where they go.
        seconds: how long they are under way.
    """

    source: str
    target: str
    source_address: Address
    target_address: Address
    seconds: float


def distances(fleet: Fleet, site: Site) -> tuple[Distance, ...]:
    """Return every direction of the fleet that takes time."""
    return tuple(
        Distance(
            source=source.name,
            target=target.name,
            source_address=site.address(source),
            target_address=site.address(target),
            seconds=seconds,
        )
        for source, target in permutations(fleet.hosts.values(), 2)
        if (seconds := fleet.delay(source.provider, target.provider)) > 0
    )


def router_end(machine: str) -> str:
    """Return the name of the router's interface to *machine* (Linux allows 15 characters)."""
    return f"to-{machine}"[:15]


def lines(plan: Sequence[Distance]) -> str:
    """Return the configuration of :mod:`lab.world.delay`: one TUN device for each delay."""
    return json.dumps(
        [
            {"device": _device(number), "ms": seconds * 1000}
            for number, seconds in enumerate(_delays(plan))
        ]
    )


def detours(plan: Sequence[Distance], family: Family) -> str:
    """Return the ``ip -4|-6 -batch`` script that leads traffic through the TUN devices.

    The rules name the interface a packet came in by. A packet that has been held back comes in
    by a TUN device, so it takes no second turn; a rule for an interface that does not exist yet
    takes effect when it does.
    """
    delays = _delays(plan)
    script = []
    for number in range(len(delays)):
        device, table = _device(number), FIRST_TABLE + number
        script += [
            # No address of its own: the router has nothing to say on this link.
            f"link set dev {device} addrgenmode none",
            f"link set dev {device} txqueuelen {QUEUE} up",
            f"route replace default dev {device} table {table}",
        ]
    for one in plan:
        table = FIRST_TABLE + delays.index(one.seconds)
        target = one.target_address.v4 if family == IPV4 else one.target_address.v6
        script.append(
            f"rule add priority {RULE_PRIORITY} iif {router_end(one.source)} "
            f"to {target} lookup {table}"
        )
    return "\n".join(script) + "\n"


def netem(plan: Sequence[Distance], target: str) -> str:
    """Return the ``tc -batch`` script for the router's interface to *target*.

    Run it each time the interface has been made; it is empty where nothing is far away.
    """
    near = [one for one in plan if one.target == target]
    if not near:
        return ""
    interface = router_end(target)
    delays = _delays(near)
    # What no filter takes goes straight out: HTB's own way to treat unclassified packets.
    script = [f"qdisc add dev {interface} root handle 1: htb"]
    for number, seconds in enumerate(delays, start=1):
        held = f"delay {round(seconds * 1e6)}us limit {QUEUE}"
        script += [
            f"class add dev {interface} parent 1: classid 1:{number} htb rate 10gbit quantum 60000",
            f"qdisc add dev {interface} parent 1:{number} netem {held}",
        ]
    for one in near:
        filtered = f"filter add dev {interface} parent 1:"
        flow = f"flowid 1:{delays.index(one.seconds) + 1}"
        v4, v6 = one.source_address.v4, one.source_address.v6
        script += [
            f"{filtered} prio 4 protocol ip u32 match ip src {v4}/32 {flow}",
            f"{filtered} prio 6 protocol ipv6 u32 match ip6 src {v6}/128 {flow}",
        ]
    return "\n".join(script) + "\n"


def _device(number: int) -> str:
    return f"delay{number}"


def _delays(plan: Sequence[Distance]) -> list[float]:
    """Return each delay once, longest first."""
    return sorted({one.seconds for one in plan}, reverse=True)

"""How much memory a host's services take, each of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.lab import Lab

# A process may end between two looks at it.
_SCRIPT: Final = """
for each in /proc/[0-9]*; do
    unit=$(sed -n 's/^0:://p' "$each/cgroup" 2>/dev/null) || continue
    sed -En "s,^(Pss|SwapPss): *([0-9]*) kB,\\1 \\2 $unit,p" "$each/smaps_rollup" 2>/dev/null
done || true
"""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a host's processes take, shared pages counted once (PSS).

    Attributes:
        services: unit -> MB.
        swapped: MB that were put out.
    """

    services: Mapping[str, float]
    swapped: float

    @property
    def total(self) -> float:
        """All of them together, in MB."""
        return sum(self.services.values())

    def __str__(self) -> str:
        """Return a line a service, the largest first."""
        largest = sorted(self.services.items(), key=lambda one: -one[1])
        rows = [*largest, ("all", self.total), ("of it swapped", self.swapped)]
        return "\n".join(f"{size:8.1f} MB  {unit}" for unit, size in rows)


def footprint(lab: Lab, host: str) -> Footprint:
    """Measure a host of a lab.

    Raises:
        SshError: it cannot be reached.
    """
    return parsed(lab.ssh.run(host, _SCRIPT).stdout)


def parsed(said: str) -> Footprint:
    """Return what lines of ``Pss|SwapPss kB cgroup`` say. Pure."""
    services: Counter[str] = Counter()
    swapped = 0
    for line in said.splitlines():
        what, kilobytes, group = line.split(" ", 2)
        if what == "Pss":
            services[_unit(group)] += int(kilobytes)
        else:
            swapped += int(kilobytes)
    return Footprint(
        services={unit: size / 1000 for unit, size in services.items()}, swapped=swapped / 1000
    )


def _unit(group: str) -> str:
    """Return the unit that a control group belongs to; systemd itself is in ``init.scope``."""
    parts = [part for part in group.split("/") if part.endswith((".service", ".scope"))]
    return parts[0] if parts else group

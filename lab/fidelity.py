"""What is different on two hosts: a virtual machine and a container, a lab's Oslo and the real one.

A look at a host is one script over SSH, so it does not matter what the host is. What it said is
compared line by line; what differs on any two Debian machines (counters, addresses, identities)
is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.errors import CheckFailedError
from lab.operator.ssh import Ssh

ASPECTS = ("kernel", "sysctls", "modules", "mounts", "units", "packages", "sockets")
# Prints `== ASPECT` and then one `KEY<tab>VALUE` a line; what a host has not got it leaves out.
LOOK = r"""
export LC_ALL=C.UTF-8
echo '== kernel'
printf 'release\t%s\n' "$(uname -r)"
printf 'command line\t%s\n' "$(cat /proc/cmdline)"
printf 'virtualisation\t%s\n' "$(systemd-detect-virt || true)"
cd /sys/devices/system/clocksource/clocksource0
printf 'clock source\t%s\n' "$(cat current_clocksource)"
printf 'state\t%s\n' "$(systemctl is-system-running || true)"
for link in /sys/class/net/*; do
    device=$(readlink -f "$link/device/driver" 2>/dev/null) || device=
    printf 'interface %s\t%s\n' "${link##*/}" "${device##*/}"
done
echo '== sysctls'
sysctl -a 2>/dev/null | sed -n 's/ = /\t/p'
echo '== modules'
cut -d' ' -f1 /proc/modules | sed 's/$/\tloaded/'
echo '== mounts'
awk '{ print $2 "\t" $3 " " $4 }' /proc/mounts
echo '== units'
systemctl list-unit-files --no-legend --no-pager | awk '{ print $1 "\t" $2 }'
systemctl list-units --type=service --state=running --no-legend --no-pager --plain |
    awk '{ print $1 " (runs)\tyes" }'
echo '== packages'
dpkg-query --show --showformat '${Package}\t${Version}\n'
echo '== sockets'
ss -Hlntup | sed -E 's/users:\(\("([^"]*)".*/\1/' | awk '{ print $1 " " $5 "\t" $7 }'
"""
# Counters, identities, sizes of this very machine, and one interface's copy of a setting for all.
PASSING = re.compile(
    r"(fs\.(dentry|file|inode|aio|nr|quota|epoll|mqueue\.|fanotify|inotify)|kernel\.(random|ns_last|pid_max"
    r"|threads-max|hostname|host|pty\.nr|sched_domain|keys|perf|core|osrelease|version|domainname)"
    r"|net\.ipv[46]\.(conf|neigh)\.(?!all|default)|net\.netfilter\.nf_conntrack_(count|max|buckets)"
    r"|net\.ipv4\.(tcp_mem|udp_mem|tcp_max|tcp_[rw]mem|tcp_fastopen_key)|net\.ipv6\.route|user\.max"
    r"|vm\.(min_free|user_reserve|admin_reserve|lowmem|stat)|dev\.)"
)
SECONDS = 120.0


class FidelityCheckError(CheckFailedError):
    """A host did not say what it is."""


Portrait = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        aspect: one of :data:`ASPECTS`.
        what: what it is about, such as a package.
        one: how it is on the first host; empty when it is not there.
        other: how it is on the second.
    """

    aspect: str
    what: str
    one: str
    other: str


def look(ssh: Ssh, host: str) -> Portrait:
    """Look at a host; nothing on it is changed.

    Raises:
        SshError: it cannot be reached.
        FidelityCheckError: it answered something else.
    """
    said = ssh.run(host, LOOK, timeout=SECONDS).stdout
    found = parse(said)
    if missing := [aspect for aspect in ASPECTS if aspect not in found]:
        raise FidelityCheckError(f"it said nothing of {', '.join(missing)}", where=host)
    return found


def parse(text: str) -> dict[str, dict[str, str]]:
    """Return aspect -> what -> how, from what :data:`LOOK` printed."""
    found: dict[str, dict[str, str]] = {}
    aspect: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("== "):
            aspect = found.setdefault(line.removeprefix("== "), {})
        else:
            what, _, how = line.partition("\t")
            aspect[what.strip()] = " ".join(how.split())
    return found


def differences(one: Portrait, other: Portrait) -> list[Difference]:
    """Return what is not the same, aspect by aspect, by name."""
    return [
        Difference(aspect=aspect, what=what, one=here, other=there)
        for aspect in ASPECTS
        for what in sorted(one.get(aspect, {}).keys() | other.get(aspect, {}).keys())
        if not (aspect == "sysctls" and PASSING.match(what))
        and (here := one.get(aspect, {}).get(what, ""))
        != (there := other.get(aspect, {}).get(what, ""))
    ]


def as_json(found: Sequence[Difference]) -> list[dict[str, str]]:
    """Return plain data."""
    return [asdict(each) for each in found]


def render(found: Sequence[Difference], *, one: str, other: str, all_of: bool) -> RenderableType:
    """Return a table; what is a mere list (sysctls, modules, units) is cut short unless *all_of*.

    Args:
        found: the differences.
        one: heading of the first host.
        other: heading of the second.
        all_of: whether every line is shown.
    """
    shown = 12
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", one, other):
        table.add_column(heading, overflow="fold")
    for aspect in ASPECTS:
        lines = [each for each in found if each.aspect == aspect]
        for each in lines if all_of else lines[:shown]:
            table.add_row(aspect, each.what, each.one or "-", each.other or "-")
        if not all_of and len(lines) > shown:
            table.add_row(
                aspect, Text(f"and {len(lines) - shown} more: --all", style="dim"), "", ""
            )
    counts = ", ".join(
        f"{sum(each.aspect == aspect for each in found)} {aspect}" for aspect in ASPECTS
    )
    return Group(table, Text(f"Not the same: {counts}"))

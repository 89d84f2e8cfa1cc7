"""Faults as text: nftables rules for the router, files that give some units another clock. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from lab.engine.wiring import Cable
from lab.world.latency import router_end

Direction = Literal["from", "to"]
PREFIX: Final = "fault_"
_CLOCK: Final = "/run/fault-clock"
_DROPIN: Final = "fault-clock.conf"
_SEEN_BY_ONE_UNIT: Final = ("/etc/ld.so.preload", "/etc/faketimerc")

CLOCK_TOOL: Final = """
export DEBIAN_FRONTEND=noninteractive
dpkg-query --show libfaketime >/dev/null 2>&1 || {
    apt-get update --quiet=2
    apt-get install --quiet=2 --yes --no-install-recommends libfaketime >/dev/null
}
"""
"""Script that installs what :func:`clock_wrong` needs; :func:`clock_right` removes it."""


def dropping(name: str, matches: Sequence[str]) -> str:
    """Return an nftables file with one table that silently drops what matches.

    Args:
        name: of the fault; the table is called after it.
        matches: nftables expressions, each a rule of its own.
    """
    rules = "\n".join(f"        {match} drop" for match in matches)
    return (
        f"table inet {table(name)} {{\n"
        f"    chain forward {{\n"
        f"        type filter hook forward priority -10; policy accept;\n"
        f"{rules}\n"
        f"    }}\n"
        f"}}\n"
    )


def table(name: str) -> str:
    """Return the name of a fault's table."""
    return PREFIX + re.sub(r"[^a-z0-9]+", "_", name.lower())


def cut_matches(
    machine: str, *, directions: Sequence[Direction] = ("from", "to"), percent: int = 100
) -> list[str]:
    """Return expressions for what a machine sends (``from``) and is sent (``to``)."""
    chance = "" if percent == 100 else f"numgen random mod 100 < {percent} "  # noqa: PLR2004
    keyword = {"from": "iifname", "to": "oifname"}
    return [f'{keyword[way]} "{router_end(machine)}" {chance}'.rstrip() for way in directions]


def between_matches(one: Cable, other: Cable) -> list[str]:
    """Return expressions for all traffic between two machines, in both families."""
    return [
        f"{family} saddr {source} {family} daddr {target}"
        for family, pair in (("ip", (one.v4, other.v4)), ("ip6", (one.v6, other.v6)))
        for source, target in (pair, pair[::-1])
    ]


def clock_wrong(units: Sequence[str], *, seconds: int) -> str:
    """Return a script that stops those of some units that run, and starts them with another clock.

    All stop before one starts, or what one of them hands to the next would be put off.

    The files that make the loader and libfaketime do so are mounted over the machine's own in the
    namespace of each unit alone: variables of the environment would not do, for Dovecot and
    Postfix hand none on to their processes.

    Args:
        units: whole names of services.
        seconds: how far off; ahead when positive.
    """
    mounted = "\n".join(
        f"BindReadOnlyPaths={_CLOCK}/{path.rpartition('/')[2]}:{path}" for path in _SEEN_BY_ONE_UNIT
    )
    return f"""
mkdir -p {_CLOCK}
dpkg -L libfaketime | grep 'MT[.]so[.]1$' >{_CLOCK}/ld.so.preload
echo '{seconds:+d}' >{_CLOCK}/faketimerc
touch {" ".join(_SEEN_BY_ONE_UNIT)}
running=
for unit in {" ".join(units)}; do
    systemctl is-active --quiet $unit || continue
    running="$running $unit"
    mkdir -p /run/systemd/system/$unit.d
    cat >/run/systemd/system/$unit.d/{_DROPIN} <<'END'
[Service]
{mounted}
END
done
systemctl daemon-reload
[ -z "$running" ] || systemctl stop $running
[ -z "$running" ] || systemctl start $running
"""


def clock_right(units: Sequence[str]) -> str:
    """Return the script that undoes :func:`clock_wrong`, however far it came."""
    return f"""
running=
for unit in {" ".join(units)}; do
    [ -e /run/systemd/system/$unit.d/{_DROPIN} ] || continue
    rm /run/systemd/system/$unit.d/{_DROPIN}
    rmdir --ignore-fail-on-non-empty /run/systemd/system/$unit.d
    running="$running $unit"
done
systemctl daemon-reload
[ -z "$running" ] || systemctl stop $running
[ -z "$running" ] || systemctl start $running
# What systemd starts when a clock is set: the machine's own never was wrong.
for timer in $(grep -l '^OnClockChange=' /etc/systemd/system/*.timer); do
    systemctl start $(basename $timer .timer).service
done
rm -rf {_CLOCK}
# Empty: what they said was said to those units alone.
for file in {" ".join(_SEEN_BY_ONE_UNIT)}; do [ -s $file ] || rm -f $file; done
apt-get purge --quiet=2 --yes libfaketime >/dev/null
"""

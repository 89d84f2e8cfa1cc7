"""The keys that zones name (TLSA), after a host of the pair was made anew and has others.

Whoever verifies them (DANE, RFC 7672) turns away from a server with a key that no zone names: of a
rebuilt second server nobody notices, until the first one dies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from lab.fleet import Host
from lab.operator import Operator, zone_data
from lab.operator.tls import key_of, shown
from lab.operator.zones import RecordSet, Zone
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.mail_facts import SHOWN_KEY
from lab.steps.mail_ha_facts import SECOND
from lab.steps.mail_records import Records, with_records
from lab.steps.wipe_records import named_keys

_HTTPS: Final = 443


@dataclass(frozen=True, kw_only=True)
class Keys:
    """SHA-256 of the public keys of one service, hexadecimal.

    Attributes:
        mine: of the host that was made anew.
        theirs: of the other one; empty when it does not serve that name.
    """

    mine: str
    theirs: str = ""


def replaced(zones: Mapping[str, Zone], keys: Mapping[tuple[str, int], Keys]) -> dict[str, str]:
    """Return which keys have another in their place now: old -> new.

    Whatever a name has beside the key of the other host is the one that this host had.

    Args:
        zones: as they are.
        keys: host name and port -> what is shown there.
    """
    found: dict[str, str] = {}
    for _, records, host, port in named_keys(zones):
        if pair := keys.get((host, port)):
            known = {_key(value) for value in records.values}
            old = known - {pair.mine, pair.theirs}
            ours = not pair.theirs or pair.theirs in known
            if ours and pair.mine not in known and len(old) == 1:
                found[old.pop()] = pair.mine
    return found


def renewed(zones: Mapping[str, Zone], new: Mapping[str, str]) -> Records:
    """Return the TLSA records of *zones* with new keys in the place of old ones."""
    found: dict[str, tuple[RecordSet, ...]] = {}
    for zone, records, _, _ in named_keys(zones):
        values = tuple(_with(value, new) for value in records.values)
        if values != records.values:
            found[zone.origin] = (
                *found.get(zone.origin, ()),
                replace(records, values=values),
            )
    return found


def publish(op: Operator, host: Host, *, peer: Host) -> bool:
    """Let the data of the zones name the keys of *host*; return whether that changed anything.

    What steps keep of records, for their way back and to see whether all is as it was, as well.

    Args:
        op: the hands.
        host: that was made anew.
        peer: the other one of the pair.
    """
    zones = zone_data.from_hiera(op.ssh.read(op.puppet.control, CONTENT_FILE))
    new = replaced(zones, _shown(op, host, peer, zones))
    if not new:
        return False
    content = with_records(zones, renewed(zones, new))
    op.ssh.write(op.puppet.control, CONTENT_FILE, zone_data.to_hiera(content.values()))
    stage = op.stage.read()
    op.stage.update({key: _within(value, new) for key, value in stage.items()})
    return True


def _shown(
    op: Operator, host: Host, peer: Host, zones: Mapping[str, Zone]
) -> dict[tuple[str, int], Keys]:
    """Return what the pair shows for each name and port that has a key in the zones."""
    domain = op.fleet.domain
    mine, theirs = (op.ssh.run(each.name, SHOWN_KEY).stdout.strip() for each in (host, peer))
    second = host != op.fleet.production
    found: dict[tuple[str, int], Keys] = {}
    for _, _, name, port in named_keys(zones):
        if port == _HTTPS:
            seen = [
                shown(op.ssh.dial, str(op.site.address(each).v4), name, port)
                for each in (host, peer)
            ]
            if all(seen):
                one, other = (key_of(each) for each in seen if each)
                found[name, port] = Keys(mine=one, theirs=other)
        elif name == f"mail.{domain}":
            found[name, port] = Keys(mine=mine, theirs=theirs)
        elif second and name == f"{SECOND}.{domain}":
            found[name, port] = Keys(mine=mine)
    return found


def _key(value: str) -> str:
    return "".join(value.split()[3:]).lower()


def _with(value: str, new: Mapping[str, str]) -> str:
    key = new.get(_key(value))
    return " ".join([*value.split()[:3], key]) if key else value


def _within(value: object, new: Mapping[str, str]) -> object:
    """Return anything that a stage holds with new keys in the place of old ones."""
    if isinstance(value, str):
        return _with(value, new)
    if isinstance(value, list):
        return [_within(each, new) for each in value]
    if isinstance(value, dict):
        return {key: _within(each, new) for key, each in value.items()}
    return value

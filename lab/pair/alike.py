"""Whether both hosts of the pair hold the same: mailboxes, zones, and what visitors have uploaded.

Asked of the hosts themselves, through the operator: it is how a rebuilt host is waited for, in
production as in a lab. What users are shown of it is judged from outside besides (``lab.watch``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from lab.errors import CheckFailedError, CouldNotError
from lab.operator import Operator, zone_data
from lab.operator.dns import DnsError
from lab.operator.mail_compare import plain
from lab.operator.ssh import SshError
from lab.operator.zones import canonical
from lab.pair.strikes import PAIR
from lab.parallel import side_by_side
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.web_ha_move import Pair

Lines = frozenset[str]
Look = Callable[[str], Lines]
"""What a host holds, line by line, without what only it knows."""

RAMP_UP_SECONDS: Final = 72
"""For so long after its start syncthing looks for its peer ever more seldom, at last after 32 s;
then every 5 s (v1.29, lib/connections/service.go, initialRampup)."""

_POLL: Final = 1.0
_TOLD: Final = 4

_MAIL: Final = """
doveadm -f tab fetch -A 'user mailbox mailbox-guid uid guid flags date.received' WHICH
doveadm -f tab mailbox status -A 'uidvalidity uidnext' '*'
doveadm -f tab mailbox list -A -s | sed 's/^/subscribed /'
"""


class AlikeError(CouldNotError):
    """The hosts could not be compared."""


class AlikeCheckError(CheckFailedError):
    """They do not hold the same.

    Attributes:
        left: what differs.
    """

    def __init__(self, what: str, *, where: str, left: frozenset[Difference]) -> None:
        super().__init__(what, where=where)
        self.left = left


@dataclass(frozen=True, kw_only=True, order=True)
class Difference:
    """A line that only one of them has.

    Attributes:
        what: of which part.
        host: who has it.
        line: which.
    """

    what: str
    host: str
    line: str

    def __str__(self) -> str:
        """Return it as people read it."""
        words = self.line.replace("\t", " ")
        return f"{self.what}: only {self.host} has {words!r}"


def differences(what: str, sides: Mapping[str, Lines]) -> frozenset[Difference]:
    """Return every line that is not on all sides.

    Args:
        what: of which part they are.
        sides: host -> lines.
    """
    everywhere = frozenset.intersection(*sides.values())
    return frozenset(
        Difference(what=what, host=host, line=line)
        for host, lines in sides.items()
        for line in lines - everywhere
    )


def some(found: frozenset[Difference]) -> str:
    """Return a few of them, and how many more there are."""
    first = sorted(found)[:_TOLD]
    more = f", and {len(found) - len(first):,} more" if len(found) > len(first) else ""
    return "; ".join(map(str, first)) + more


class Twins:
    """Compares the hosts of the pair.

    Args:
        operator: the hands.
        hosts: who is compared.
        parts: name -> how a host is looked at; all that the fleet has come to when None.
    """

    def __init__(
        self,
        *,
        operator: Operator,
        hosts: Sequence[str] = PAIR,
        parts: Mapping[str, Look] | None = None,
    ) -> None:
        self._operator = operator
        self._hosts = hosts
        self._parts = standard_parts(operator) if parts is None else parts

    def look(self) -> frozenset[Difference]:
        """Return what differs now.

        Raises:
            AlikeError: a host does not answer, or has nothing at all.
        """
        looks = [(what, host) for what in self._parts for host in self._hosts]

        def one(asked: tuple[str, str]) -> Lines:
            what, host = asked
            lines = self._parts[what](host)
            if not lines:  # two that have lost everything are not alike
                raise AlikeError(f"there is nothing of its {what}", where=host)
            return lines

        try:
            lines = dict(zip(looks, side_by_side(one, looks), strict=True))
        except (SshError, DnsError) as error:
            raise AlikeError(f"cannot be compared: {error.what}", where=error.where) from error
        found: frozenset[Difference] = frozenset()
        for what in self._parts:
            found |= differences(what, {host: lines[what, host] for host in self._hosts})
        return found

    def settle(self, *, within: float, begun: float | None = None) -> float:
        """Wait until nothing is left of what differs now, and return the seconds that it took.

        Users may go on: what they change meanwhile is not waited for.

        Args:
            within: seconds that it may take.
            begun: since when, on the monotonic clock; from now on when None.

        Raises:
            AlikeCheckError: it took longer.
        """
        return self._wait(within=within, begun=begun, moving=True)

    def wait(self, *, within: float, begun: float | None = None) -> float:
        """Wait until nothing differs, and return the seconds that it took; nobody may write.

        Args:
            within: seconds that it may take.
            begun: since when, on the monotonic clock; from now on when None.

        Raises:
            AlikeCheckError: it took longer.
        """
        return self._wait(within=within, begun=begun, moving=False)

    def _wait(self, *, within: float, begun: float | None, moving: bool) -> float:
        since = time.monotonic() if begun is None else begun
        left: frozenset[Difference] | None = None
        while True:
            asked = time.monotonic()
            error: AlikeError | None = None
            try:
                now = self.look()
            except AlikeError as told:  # a host may still be on its way back
                error = told
            else:
                left = now if left is None or not moving else left & now
                if not left:
                    # They were alike when they were asked, not only when the answer was here.
                    return max(0.0, asked - since)
            if time.monotonic() - since > within:
                if error is not None:
                    raise error
                wrong = left or frozenset()
                raise AlikeCheckError(
                    f"not alike after {within:g} s: {some(wrong)}",
                    where=" and ".join(self._hosts),
                    left=wrong,
                )
            time.sleep(_POLL)


def standard_parts(operator: Operator, *, recent: bool = False) -> dict[str, Look]:
    """Return all that the pair has to hold alike, as far as the fleet has come.

    Args:
        operator: the hands.
        recent: whether messages that came before yesterday are left out: to look at twenty
            thousand takes seconds.
    """
    reached = operator.stage.reached()
    found: dict[str, Look] = {}
    if "dns_secondary" in reached:
        found["zones"] = partial(_zones, operator)
    if "web_ha" in reached:
        found["uploads"] = partial(_uploads, operator)
    if "mail_ha" in reached:
        found["mail"] = partial(_mail, operator, "SINCE 1d" if recent else "all")
    return found


def _zones(operator: Operator, host: str) -> Lines:
    """Return every record of every zone, serial included; signatures are each server's own."""
    content = zone_data.from_hiera(operator.ssh.read(operator.puppet.control, CONTENT_FILE))
    zones = [operator.dns.axfr("127.0.0.1", name, via=host) for name in content]
    return frozenset(
        f"{zone.absolute(records.name)} {records.ttl} {records.type} {value}"
        for zone in zones
        for records in zone
        for value in canonical(records)
    )


def _uploads(operator: Operator, host: str) -> Lines:
    """Return what programs of the sites have written: lines of some files, checksums of others."""
    pair = Pair.of(operator)
    return frozenset(
        f"{site.name} {line}" + (f" {count} times" if count > 1 else "")
        for site in pair.sites
        if site.data
        for line, count in pair.written(operator.fleet.hosts[host], site).items()
    )


def _mail(operator: Operator, which: str, host: str) -> Lines:
    """Return every message with its number and flags, every folder with its numbers."""
    said = operator.ssh.run(host, _MAIL.replace("WHICH", which), timeout=300).stdout
    return frozenset(map(plain, said.splitlines()))


def wait_to_look_often(operator: Operator) -> None:
    """Wait until what carries the sites' data looks for its peer every few seconds.

    Data that is written on both hosts while they are parted, within a minute of a start, may take
    36 s afterwards (docs/decisions.md).

    Raises:
        SshError: a host cannot be asked, or it does not run at all.
    """
    pair = Pair.of(operator)
    units = " ".join(f"web-replica-{each.name}.service" for each in pair.sites if each.data)
    script = f"""
        for unit in {units}; do
            systemctl is-active --quiet "$unit"
            since=$(systemctl show -P ActiveEnterTimestampMonotonic "$unit")
            until [ $(($(cut -d. -f1 /proc/uptime) - since / 1000000)) -ge {RAMP_UP_SECONDS} ]
            do sleep 1; done
        done
    """
    for host in pair.names:
        operator.ssh.run(host, script, timeout=RAMP_UP_SECONDS + 20)

"""Planned work on a host: nobody new comes to it, and only then it is stopped.

A drained host answers health checks with no. Names stop leading to it, caches forget it, and what
is under way ends by itself; nothing is stopped here. It stays drained until it is opened again,
over restarts as well. Services hook in on the host (``profile::drain::hook``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import dns.name

from lab.errors import CheckFailedError, CouldNotError
from lab.fleet import Host
from lab.operator import Operator, lua_records, zone_data
from lab.operator.dns import DnsError, Question
from lab.operator.ssh import SshError
from lab.operator.zones import Zone
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.web_facts import as_texts
from lab.steps.web_ha_facts import DRAIN, HOSTS

_SEEN_SECONDS: Final = 30.0
"""How long the name servers may take to notice: some rounds of checks, on a busy machine."""

_POLL_SECONDS: Final = 0.5
_SPARE: Final = 1


class DrainError(CouldNotError):
    """A host could not be drained or opened."""


class DrainCheckError(CheckFailedError):
    """A host may not be drained."""


@dataclass(frozen=True, kw_only=True)
class Leading:
    """One name that leads to whichever hosts are well.

    Attributes:
        name: absolute.
        type: ``A`` or ``AAAA``.
        address: of the host in question.
        ttl: seconds for which a cache may keep it.
        preferred: whether it leads there while everybody is well, not only when nobody else is.
    """

    name: str
    type: str
    address: str
    ttl: int
    preferred: bool = True


class Drain:
    """Drains one host, and opens it again.

    Args:
        operator: the hands.
        host: which.
    """

    def __init__(self, *, operator: Operator, host: Host) -> None:
        self._op = operator
        self._host = host

    def check(self) -> None:
        """See that somebody else serves what the host does; nothing is changed.

        Raises:
            DrainCheckError: nobody does.
        """
        serving = as_texts(self._op.stage.read().get(HOSTS))
        if self._host.name not in serving:
            raise DrainCheckError(
                "it serves nothing together with another host",
                where=self._host.name,
                remedy="Step web_ha makes two hosts serve together",
            )
        fit = [name for name in serving if name != self._host.name and self._status(name) == "open"]
        if not fit:
            raise DrainCheckError(
                "no other host would serve: each is drained, or cannot be reached",
                where=self._host.name,
            )
        zones = self._content()
        own = self._addresses()
        for zone in zones.values():
            for record in zone.records:
                if record.type in own and own[record.type] in record.values:
                    name = zone.absolute(record.name)
                    self._op.report.say(f"[yellow]{name} {record.type} leads there all the same[/]")

    def tell(self) -> None:
        """Say how the host stands; nothing is changed."""
        found = self._status(self._host.name) or "not to be reached"
        self._op.report.say(f"{self._host.name} is {found}")

    def drain(self) -> None:
        """Let nobody new come, and return when no cache leads to it any more.

        Raises:
            DrainCheckError: nobody else serves.
            DrainError: names lead to it still.
        """
        self.check()
        self._tell("on")
        led = list(self.led())
        with self._op.report.task(f"Until no name leads to {self._host.name}"):
            self._wait(led, lambda address, answer: address not in answer)
        seconds = max((each.ttl for each in led), default=0) + _SPARE
        self._op.report.countdown("Until no cache remembers it", seconds)
        self._op.report.say(f"{self._host.name} is drained: nobody new comes")

    def undrain(self, *, within: float = _SEEN_SECONDS) -> None:
        """Let them come again, and return when names lead to it.

        Args:
            within: seconds that it may take; a host that has just started serves mail only when
                its mailboxes are like the other one's.

        Raises:
            DrainError: they do not.
        """
        self._tell("off")
        with self._op.report.task(f"Until names lead to {self._host.name}"):
            self.led_to(within=within)
        self._op.report.say(f"{self._host.name} is open")

    def led_to(self, *, within: float = _SEEN_SECONDS) -> None:
        """Return when names lead to it, but for those that do only when no other host is well.

        Args:
            within: seconds that it may take.

        Raises:
            DrainError: they do not.
        """
        led = [each for each in self.led() if each.preferred]
        self._wait(led, lambda address, answer: address in answer, within=within)

    def _tell(self, what: str) -> None:
        with self._op.report.task(f"{DRAIN} {what} on {self._host.name}"):
            self._op.ssh.run(self._host.name, [DRAIN, what])

    def _status(self, host: str) -> str:
        try:
            return self._op.ssh.run(host, [DRAIN, "status"]).stdout.strip()
        except SshError:
            return ""

    def _wait(
        self,
        led: list[Leading],
        right: Callable[[str, frozenset[str]], bool],
        *,
        within: float = _SEEN_SECONDS,
    ) -> None:
        """Wait until the answers of every name server that there is are *right*."""
        deadline = time.monotonic() + within
        while wrong := [each.name for each in led if not self._right(each, right)]:
            if time.monotonic() > deadline:
                raise DrainError(
                    f"not seen in the DNS after {within:.0f} s: {', '.join(dict.fromkeys(wrong))}",
                    where=self._host.name,
                    remedy="It can be run again; `host-drain status` there says how it stands",
                )
            time.sleep(_POLL_SECONDS)

    def _right(self, each: Leading, right: Callable[[str, frozenset[str]], bool]) -> bool:
        answers = list(self._answers(each))
        return bool(answers) and all(right(each.address, answer) for answer in answers)

    def _answers(self, each: Leading) -> Iterator[frozenset[str]]:
        """Yield what each name server of the fleet that can be asked says."""
        op = self._op
        for name in as_texts(op.stage.read().get(HOSTS)):
            question = Question(name=each.name, type=each.type)
            try:
                answer = op.dns.ask(str(op.site.address(name).v4), [question])[0]
            except DnsError:
                continue
            yield frozenset(rdata.to_text() for rrset in answer.answer for rdata in rrset)

    def led(self) -> Iterator[Leading]:
        """Yield every name that may lead to the host."""
        own = self._addresses()
        for zone in self._content().values():
            for record in zone.records:
                if record.type != lua_records.TYPE:
                    continue
                name = dns.name.from_text(zone.absolute(record.name))
                # An asterisk stands for any name.
                shown = name.to_text().replace("*", "any", 1)
                first = lua_records.preferred(record.values)
                for rdtype, listed in lua_records.answers(record.values).items():
                    if own.get(rdtype) in listed:
                        yield Leading(
                            name=shown,
                            type=rdtype,
                            address=own[rdtype],
                            ttl=record.ttl,
                            preferred=own[rdtype] in first[rdtype],
                        )

    def _addresses(self) -> Mapping[str, str]:
        address = self._op.site.address(self._host)
        return {"A": str(address.v4), "AAAA": str(address.v6)}

    def _content(self) -> dict[str, Zone]:
        op = self._op
        return zone_data.from_hiera(op.ssh.read(op.puppet.control, CONTENT_FILE))

"""Who still comes to a host that everybody should have left, and who still uses it.

Coming is counted by the packet filter: a table of its own that drops nothing. A scanner comes to
every port of every host in the world and uses nothing, so what counts is use: a page of a site by
its name, a message that was taken, somebody who logged in through the host at the server behind it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.errors import CouldNotError
from lab.operator.enrolment import install
from lab.operator.ssh import Ssh

PORTS: Final = (25, 53, 80, 143, 443, 465, 587, 993, 4190)
"""Of what the host served."""

SINCE: Final = "/run/generalprove-watch"
"""When the watch began; gone after a restart, as the table is."""

_TABLE: Final = "generalprove_watch"
_MOST: Final = 65_535
# Not below /var/log/apache2, where logrotate would take it away.
_LOG: Final = "/var/log/generalprove-watch.log"
_APACHE: Final = "/etc/apache2/conf-enabled/zz-generalprove-watch.conf"
# GlobalLog, because a site with a log of its own would not write to another one.
_APACHE_CONFIG: Final = f"""\
# Put here by generalprove: who still comes by the sites' names. The step `wipe` takes it away.
GlobalLog {_LOG} "%{{sec}}t %a %{{Host}}i"
"""

_TAKEN: Final = re.compile(r"^([0-9A-Za-z]+): client=[^\[]*\[([^\]]+)\](.*)$")
_LOGIN: Final = re.compile(r"^(\S+)-login: .*user=<([^>]+)>.*\brip=([0-9A-Fa-f.:]+)")
_USER: Final = re.compile(r"\bsasl_username=(\S+?)(?:,|$)")


class CallersError(CouldNotError):
    """Nobody can tell who comes."""


@dataclass(frozen=True, order=True, kw_only=True)
class Call:
    """Connections to one port from one address; questions, where it is DNS."""

    source: str
    port: int
    count: int

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.source} to port {self.port}: {self.count}"


@dataclass(frozen=True, order=True, kw_only=True)
class Use:
    """What one user of the host did.

    Attributes:
        source: the address; of those who were passed on, the name that they logged in with.
        what: they used.
        count: how often.
    """

    source: str
    what: str
    count: int = 1

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.source} used {self.what}" + (f", {self.count} times" * (self.count > 1))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a watch has seen.

    Attributes:
        since: when it began, seconds since the epoch by the host's own clock.
        until: now, by the same clock.
        calls: who came.
        uses: who used something.
    """

    since: int
    until: int
    calls: tuple[Call, ...] = ()
    uses: tuple[Use, ...] = ()


class Callers:
    """Watches one host.

    Args:
        ssh: the way to the hosts.
        host: its name.
        behind: the host that it passes on to.
        sites: host names of the sites, without the last dot; ``*.x`` stands for every name below.
        fleet: addresses of the fleet's own hosts, which do not count.
        own: those of *host* among them.
    """

    def __init__(
        self,
        *,
        ssh: Ssh,
        host: str,
        behind: str,
        sites: Sequence[str],
        fleet: Sequence[str],
        own: Sequence[str],
    ) -> None:
        self._ssh = ssh
        self._host = host
        self._behind = behind
        self._sites = tuple(sites)
        self._fleet = frozenset(fleet)
        self._own = frozenset(own)

    def begin(self) -> int:
        """Count from now on, and return since when that is."""
        install(self._ssh, self._host, ["nftables"])
        script = f"""
            nft -f -
            : >{_LOG}
            if systemctl is-active --quiet apache2.service; then
                cat >{_APACHE} <<'CONFIG'
{_APACHE_CONFIG}CONFIG
                apachectl configtest 2>/dev/null || {{ rm -f {_APACHE}; exit 1; }}
                apachectl graceful
            fi
            date +%s >{SINCE}
            cat {SINCE}
        """
        said = self._ssh.run(self._host, script, stdin=table(sorted(self._fleet))).stdout
        return int(said)

    def since(self) -> int | None:
        """Return when the watch began; None when nobody watches."""
        script = f"nft list table inet {_TABLE} >/dev/null 2>&1 && cat {SINCE} || true"
        said = self._ssh.run(self._host, script).stdout.strip()
        return int(said) if said else None

    def look(self) -> Seen:
        """Return what the watch has seen.

        Raises:
            CallersError: nobody watches.
        """
        since = self.since()
        if since is None:
            raise CallersError("nobody counts who comes", where=self._host)
        mail = f"journalctl -q -o cat --facility mail --since @{since}"
        script = f"""
            date +%s
            nft -j list table inet {_TABLE} | tr -d '\\n'
            echo
            sed 's/^/web /' {_LOG}
            {mail} | grep -F ': client=' | sed 's/^/mail /' || true
        """
        passed = f"{mail} | grep -E 'sasl_username=|-login: ' || true"
        now, calls, *lines = self._ssh.run(self._host, script, timeout=300).stdout.splitlines()
        web = [line.removeprefix("web ") for line in lines if line.startswith("web ")]
        taken = [line.removeprefix("mail ") for line in lines if line.startswith("mail ")]
        behind = self._ssh.run(self._behind, passed, timeout=300).stdout.splitlines()
        return Seen(
            since=since,
            until=int(now),
            calls=calls_in(calls),
            uses=counted(
                [
                    *of_the_web(web, since=since, sites=self._sites, without=self._fleet),
                    *of_the_mail(taken, without=self._fleet),
                    *passed_on(behind, by=self._own),
                ]
            ),
        )

    def end(self) -> None:
        """Count no more, and leave nothing behind."""
        script = f"""
            nft delete table inet {_TABLE} 2>/dev/null || true
            if [ -e {_APACHE} ]; then rm {_APACHE}; apachectl graceful; fi
            rm -f {_LOG} {SINCE}
        """
        self._ssh.run(self._host, script)


def table(fleet: Iterable[str], *, ports: Iterable[int] = PORTS) -> str:
    """Return the packet filter's table: it counts whoever is not one of the *fleet*.

    A SYN counts, and each datagram to DNS; what belongs to a connection that is there does not.
    """
    listed = ", ".join(map(str, ports))
    sides = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}
    ours = {
        family: ", ".join(each for each in fleet if (":" in each) == (family == 6))  # noqa: PLR2004
        for family in sides
    }
    sets = "".join(
        f"    set came{family} {{\n        type {kind} . inet_service\n"
        f"        flags dynamic\n        size {_MOST}\n    }}\n"
        for family, (_, kind) in sides.items()
    )
    rules = "".join(
        (f"        {word} saddr {{ {ours[family]} }} accept\n" if ours[family] else "")
        + f"        meta nfproto ipv{family} tcp flags & (syn | ack) == syn "
        f"tcp dport {{ {listed} }} update @came{family} {{ {word} saddr . tcp dport counter }}\n"
        f"        meta nfproto ipv{family} udp dport 53 "
        f"update @came{family} {{ {word} saddr . udp dport counter }}\n"
        for family, (word, _) in sides.items()
    )
    return (
        f"table inet {_TABLE}\ndelete table inet {_TABLE}\n"
        f"table inet {_TABLE} {{\n{sets}    chain input {{\n"
        "        type filter hook input priority -310; policy accept;\n"
        f'        iif "lo" accept\n{rules}    }}\n}}\n'
    )


def calls_in(listed: str) -> tuple[Call, ...]:
    """Return who came, from what ``nft -j list table`` prints."""
    sets = (each["set"] for each in json.loads(listed)["nftables"] if "set" in each)
    elements: Iterable[dict[str, Any]] = (
        each["elem"] for found in sets for each in found.get("elem", ())
    )
    return tuple(
        sorted(
            Call(
                source=each["val"]["concat"][0],
                port=each["val"]["concat"][1],
                count=each["counter"]["packets"],
            )
            for each in elements
        )
    )


def of_the_web(
    lines: Iterable[str], *, since: int, sites: Sequence[str], without: frozenset[str]
) -> Iterator[Use]:
    """Yield visits to a site by its name, from the lines of our own log.

    A browser is told the name by DNS and says it; a scanner knows an address.

    Args:
        lines: seconds since the epoch, address, what the visitor called the host.
        since: visits before do not count.
        sites: names that count; ``*.x`` stands for every name below ``x``.
        without: addresses that do not count.
    """
    for line in lines:
        seconds, source, *rest = line.split(" ", 2)
        host = re.sub(r":\d+$", "", rest[0] if rest else "").rstrip(".").lower()
        if int(seconds) < since or source in without or source in {"127.0.0.1", "::1"}:
            continue
        if any(host == each or (each[0] == "*" and host.endswith(each[1:])) for each in sites):
            yield Use(source=source, what=f"http://{host}")


def of_the_mail(lines: Iterable[str], *, without: frozenset[str]) -> Iterator[Use]:
    """Yield messages that were taken, from what Postfix's smtpd logs; each has a queue id."""
    for line in lines:
        found = _TAKEN.match(line)
        if found and found[2] not in without and found[2] not in {"127.0.0.1", "::1"}:
            yield Use(source=found[2], what="port 25, by which a message was taken")


def passed_on(lines: Iterable[str], *, by: frozenset[str]) -> Iterator[Use]:
    """Yield those who came to the server behind *by* way of a host that passes them on.

    Args:
        lines: what Dovecot and Postfix of that server log.
        by: addresses of the host.
    """
    for line in lines:
        if (login := _LOGIN.match(line)) and login[3] in by:
            yield Use(source=login[2], what=f"{login[1]} through it")
        elif (taken := _TAKEN.match(line)) and taken[2] in by and (user := _USER.search(taken[3])):
            yield Use(source=user[1], what="submission through it")


def counted(uses: Iterable[Use]) -> tuple[Use, ...]:
    """Return *uses* with equal ones added up."""
    total: Counter[tuple[str, str]] = Counter()
    for each in uses:
        total[each.source, each.what] += each.count
    return tuple(Use(source=s, what=w, count=n) for (s, w), n in sorted(total.items()))

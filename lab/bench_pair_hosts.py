"""The two mail servers while they are measured: people for a while, what the replicator says.

What is changed here is put back when the block ends. Puppet has to be held.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from lab.console import Reporter
from lab.errors import CouldNotError
from lab.operator.mailboxes import STORE
from lab.operator.ssh import Ssh
from lab.parallel import side_by_side
from lab.users.mail_plan import Account

_KEPT: Final = ".before-bench"
_SETTLED: Final = 300.0
_SWEPT: Final = 300
_SPOOL: Final = "/var/lib/dovecot/replicator"

# The files of profile::mail::users and profile::mail::addresses: who has a mailbox, who may log
# in, and what Postfix takes mail for.
_TABLES: Final = {
    "/etc/dovecot/users": "{address}:::::::\n",
    "/etc/dovecot/passwords": "{address}:{{PLAIN}}{password}::::::\n",
    "/etc/postfix/mailboxes": "{address}\there\n",
}

_DELIVER: Final = """
import smtplib, sys
lmtp = smtplib.LMTP("/var/spool/postfix/private/dovecot-lmtp")
for address in sys.stdin.read().split():
    lmtp.sendmail("", address, f"To: <{address}>\\r\\nSubject: Hei\\r\\n\\r\\nHei.\\r\\n")
lmtp.quit()
"""

_FILL: Final = """
import pathlib, sys
address, count, path = sys.argv[1:]
with pathlib.Path(path).open("w") as file:
    for each in range(int(count)):
        file.write(
            "From bench Mon Jan  1 00:00:00 2024\\n"
            f"From: <astrid@{address}>\\nTo: <{address}>\\nSubject: {each}\\n"
            "Date: Mon, 01 Jan 2024 00:00:00 +0000\\n"
            f"Message-ID: <{each}.{address}>\\n\\nHei.\\n\\n"
        )
"""

_COST: Final = """
systemctl show -P CPUUsageNSec replicator.service
awk '$1 == "VmRSS:" { print $2 }' "/proc/$(systemctl show -P MainPID replicator.service)/status"
"""


class PairError(CouldNotError):
    """The pair did not come to what is measured."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the replicator of one host has taken.

    Attributes:
        cpu: seconds of a processor since its start.
        rss: memory, in MB.
    """

    cpu: float
    rss: float

    @classmethod
    def of(cls, said: str) -> Cost:
        """Read nanoseconds and kilobytes, a line each."""
        nanoseconds, kilobytes = said.split()
        return cls(cpu=int(nanoseconds) / 1e9, rss=int(kilobytes) / 1e3)


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """Both mail servers.

    Attributes:
        ssh: the way to them.
        first: the one that is written to.
        second: the one on which everything is looked for.
        report: where progress goes.
    """

    ssh: Ssh
    first: str
    second: str
    report: Reporter

    @property
    def both(self) -> tuple[str, str]:
        """Both names."""
        return self.first, self.second

    @contextmanager
    def people(self, accounts: Sequence[Account], *, alone: bool = False) -> Iterator[None]:
        """Give these people a mailbox on both while the block runs.

        Args:
            accounts: who.
            alone: whether nobody else has one meanwhile.
        """
        homes = "\0".join(_home(account) for account in accounts)

        def come(host: str) -> None:
            for path, lines in tables(accounts).items():
                empty = f": >{path}.new" if alone else ""
                # A copy has the owner and the mode; nobody reads half a file.
                script = f"cp -p {path} {path}{_KEPT}; cp -p {path} {path}.new; {empty}\n"
                self.ssh.run(host, f"{script}cat >>{path}.new; mv {path}.new {path}", stdin=lines)
            self.ssh.run(host, "systemctl reload postfix.service")

        def go(host: str) -> None:
            put_back = "\n".join(_put_back(path) for path in _TABLES)
            script = f"{put_back}\nsystemctl reload postfix.service\nxargs -0 rm -rf"
            self.ssh.run(host, script, stdin=homes, timeout=300)

        try:
            side_by_side(come, self.both)
            yield
        finally:
            with self.report.task(f"Take {len(accounts):,} mailboxes away"):
                side_by_side(go, self.both)

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Have the first without replication and journal while the block runs."""
        said = self.ssh.run(self.first, ["postconf", "-h", "smtpd_milters"]).stdout.strip()
        milters = shlex.quote(f"smtpd_milters = {without_journal(said)}")
        config, main = "/etc/dovecot/replicator.conf", "/etc/postfix/main.cf"
        try:
            self._replicators("stop")
            self.ssh.run(
                self.first,
                f"""
                mv {config} {config}{_KEPT}
                systemctl restart dovecot.service
                cp -p {main} {main}{_KEPT}
                postconf -e {milters}
                systemctl reload postfix.service
                """,
            )
            yield
        finally:
            self.ssh.run(
                self.first,
                f"""
                {_put_back(config)}
                systemctl restart dovecot.service
                {_put_back(main)}
                systemctl reload postfix.service
                """,
            )
            self._replicators("start")

    def _replicators(self, verb: str) -> None:
        command = ["systemctl", verb, "replicator.service"]
        side_by_side(lambda host: self.ssh.run(host, command), self.both)

    def deliver(self, accounts: Sequence[Account]) -> None:
        """Deliver a message to each on the first, past Postfix."""
        names = "\n".join(account.address for account in accounts)
        self.ssh.run(self.first, ["python3", "-c", _DELIVER], stdin=names, timeout=_SETTLED)

    def fill(self, account: Account, messages: int) -> None:
        """Put so many messages into an INBOX, on both hosts the same."""
        home, aside = _home(account), "/var/tmp/generalprove-bench"  # noqa: S108 - on a lab's host
        fill = shlex.join(
            ["python3", "-c", _FILL, account.address, str(messages), f"{aside}/inbox"]
        )
        # Nobody's mail: it may be lost with the power.
        script = f"""
            install -d -o vmail -g vmail {aside}
            {fill}
            chown vmail:vmail {aside}/inbox
            doveadm -o mail_fsync=never import -u {account.address} \\
                -p mail_inbox_path={aside}/inbox mbox:{aside} '' ALL
            rm -r {aside}
            tar -C {STORE} -czf - {shlex.quote(home.removeprefix(f"{STORE}/"))} | base64 -w 0
        """
        packed = base64.b64decode(self.ssh.run(self.first, script, timeout=300).stdout)
        unpack = ["tar", "-C", STORE, "-xpzf", "-"]
        self.ssh.run(self.second, unpack, stdin=packed, timeout=300)

    def sweep(self) -> float:
        """Have everybody synced, both ways; return the seconds that it took."""
        wait = ["replicator", "wait", "--timeout", str(_SWEPT)]
        self.ssh.run(self.first, wait, timeout=_SWEPT + 30)
        return float(self._status(self.first)["sweep_seconds"])

    def settle(self) -> None:
        """Wait until no replicator has anything to do.

        Raises:
            PairError: one still has.
        """
        deadline = time.monotonic() + _SETTLED
        for host in self.both:
            while busy := self._marked(host) or left(self._status(host)):
                if time.monotonic() > deadline:
                    raise PairError(f"{busy} after {_SETTLED:.0f} s", where=host)
                time.sleep(0.5)

    def distance(self) -> float:
        """Return the milliseconds that a packet takes to the other one and back."""
        ping = ["ping", "-q", "-c", "5", "-i", "0.2", self.second]
        return round_trip(self.ssh.run(self.first, ping).stdout)

    def cost(self) -> Cost:
        """Return what the replicator of the first has taken so far."""
        return Cost.of(self.ssh.run(self.first, _COST).stdout)

    def _marked(self, host: str) -> str:
        # A marker goes when all that it stands for is on both; the replicator may not know it yet.
        markers = self.ssh.run(host, ["ls", "-A", _SPOOL]).stdout.split()
        return f"{len(markers)} marked" if markers else ""

    def _status(self, host: str) -> dict[str, Any]:
        # It exits with 1 when it is not well, which is told by what it says.
        said = self.ssh.run(host, ["replicator", "status", "--json"], check=False).stdout
        found: dict[str, Any] = json.loads(said)
        return found


def people(count: int, *, domain: str) -> list[Account]:
    """Return so many people whom nobody has ever known."""
    group = f"bench-{secrets.token_hex(3)}"
    addresses = [f"{group}-{each}@{domain}" for each in range(count)]
    return [
        Account(name=each, login=each, password=secrets.token_hex(12), address=each)
        for each in addresses
    ]


def tables(accounts: Sequence[Account]) -> dict[str, str]:
    """Return path -> the lines that give these people a mailbox."""
    return {
        path: "".join(
            line.format(address=account.address, password=account.password) for account in accounts
        )
        for path, line in _TABLES.items()
    }


def without_journal(milters: str) -> str:
    """Return ``smtpd_milters`` without the journal's.

    Raises:
        PairError: it is not there, or nothing would be left.
    """
    rest = re.sub(r"\{[^{}]*/mail-journal/[^{}]*\}", "", milters).strip()
    if rest == milters.strip() or not rest:
        raise PairError(f"not one milter besides the journal's: {milters!r}")
    return rest


def round_trip(said: str) -> float:
    """Return the average that ping(8) has found, in milliseconds.

    Raises:
        PairError: it says none.
    """
    found = re.search(r"= [\d.]+/([\d.]+)/", said)
    if not found:
        raise PairError(f"no packet came back: {said.strip()!r}")
    return float(found[1])


def left(status: dict[str, Any]) -> str:
    """Say what a replicator has still to do; nothing when it has nothing."""
    counted = {
        "waiting": status["queue"],
        "under way": len(status["running"]),
        "not swept": status["unswept"],
    }
    return ", ".join(f"{count} {what}" for what, count in counted.items() if count)


def _put_back(path: str) -> str:
    return f"[ ! -e {path}{_KEPT} ] || mv {path}{_KEPT} {path}"


def _home(account: Account) -> str:
    name, _, domain = account.address.partition("@")
    return f"{STORE}/{domain}/{name}"

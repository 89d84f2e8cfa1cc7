"""Mailboxes looked at: whether they can be carried, and whether both servers hold the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from lab.errors import CheckFailedError
from lab.operator.mail_accounts import Account
from lab.operator.mailboxes import STORE, below
from lab.operator.ssh import Ssh
from lab.parallel import side_by_side

_STILL_THERE = "! -name '*.lock' ! -name '*.tmp' -exec test -e {} ';' ! -exec test -r {} ';'"
"""For find(1): people use the mailbox meanwhile, and what has gone cannot be read either."""


class MailboxesCheckError(CheckFailedError):
    """Mailboxes are not alike."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What one mailbox holds, line by line, without what only one server knows."""

    messages: frozenset[str]
    folders: frozenset[str]
    subscriptions: frozenset[str]


class MailCompare:
    """Compares everybody's mailboxes on the old server and the new one.

    Args:
        ssh: the way to the hosts.
        old: the old server's name.
        new: the new one's.
    """

    def __init__(self, *, ssh: Ssh, old: str, new: str) -> None:
        self._ssh = ssh
        self._old = old
        self._new = new

    def compare(self, accounts: Sequence[Account]) -> int:
        """See that both servers hold the same, and return how many messages that is.

        Raises:
            MailboxesCheckError: they do not; names the first few.
        """
        wrong: list[str] = []
        total = 0
        for account in accounts:
            sides = side_by_side(partial(self._held, account), ("old", "new"))
            wrong += differences(account, *sides)
            total += len(sides[0].messages)
        if wrong:
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""  # noqa: PLR2004
            raise MailboxesCheckError("; ".join(wrong[:5]) + more, where=self._new)
        return total

    def counted(self, accounts: Sequence[Account]) -> None:
        """See that both servers count the same in every folder; quick, for people wait meanwhile.

        Raises:
            MailboxesCheckError: they do not; names the first few.
        """
        old, new = side_by_side(partial(self._counts, accounts), ("old", "new"))
        if wrong := sorted(old ^ new):
            few = "; ".join(line.replace("\t", " ") for line in wrong[:4])
            raise MailboxesCheckError(f"the servers do not count alike: {few}", where=self._new)

    def readable(self, accounts: Sequence[Account]) -> list[str]:
        """Return which mailboxes on the old server Dovecot cannot read as they are."""

        def one(account: Account) -> list[str]:
            owner = "setpriv --reuid $(stat -c %u .) --regid $(stat -c %g .) --clear-groups"
            script = f"""
                export LC_ALL=C
                cd {shlex.quote(account.maildir)} 2>&1 || exit 0
                {owner} find . ! -readable {_STILL_THERE} -printf 'not readable: %p\\n' 2>&1 |
                    grep -v ': No such file or directory$'
                find . -name cur ! -type d -printf 'not a folder: %p\\n'
                find . -name dovecot-uidlist -exec awk -F '[ :]' \\
                    'FNR > 1 && ($1 + 0 <= last[FILENAME] || $1 !~ /^[0-9]+$/) {{
                        print "not a list of numbers: " FILENAME; nextfile }}
                     {{ last[FILENAME] = FNR > 1 ? $1 + 0 : 0 }}' {{}} +
                find . -name 'mbox' -type f -printf 'an mbox within: %p\\n'
            """
            said = self._ssh.run(self._old, f"set +e\n{script}", timeout=600).stdout
            return [f"{account.login}: {line}" for line in said.splitlines()[:3]]

        return [line for found in side_by_side(one, accounts) for line in found]

    def _counts(self, accounts: Sequence[Account], side: str) -> frozenset[str]:
        """Return for every folder its owner, name, messages and numbers, a line each."""
        host, homes = self._side(accounts, side)
        script = f"""
            while IFS='\t' read -r address user home; do
                (
                    cd "$home"
                    {_as_owner('"$user"', '"$home"')} -f tab mailbox status {_lookup(side)} \\
                        'messages uidvalidity uidnext' '*' 2>/dev/null |
                        tail -n +2 | sed "s/^/$address\t/"
                ) &
            done
            wait
        """.replace("\\t", "\t")
        said = self._ssh.run(host, f"set +e\n{script}", stdin=homes).stdout
        return frozenset(said.splitlines())

    def _side(self, accounts: Sequence[Account], side: str) -> tuple[str, str]:
        """Return a side's host, and a line for each: address, name there, home there."""
        old = side == "old"
        lines = (
            (each.address, each.login, each.home)
            if old
            else (each.address, each.address, f"{STORE}/{below(each.address)}")
            for each in accounts
        )
        host = self._old if old else self._new
        return host, "".join("\t".join(line) + "\n" for line in lines)

    def _held(self, account: Account, side: str) -> Held:
        host, line = self._side([account], side)
        _, user, home = line.rstrip("\n").split("\t")
        doveadm, lookup = _as_owner(shlex.quote(user), shlex.quote(home)), _lookup(side)
        fields = "mailbox mailbox-guid uid guid flags date.received size.virtual"
        script = f"""
            cd {shlex.quote(home)}
            {doveadm} -f tab fetch {lookup} {shlex.quote(fields)} all | tail -n +2
            echo ==
            {doveadm} -f tab mailbox status {lookup} 'uidvalidity uidnext' '*' 2>/dev/null |
                tail -n +2
            echo ==
            {doveadm} mailbox list {lookup} -s
        """
        said = self._ssh.run(host, f"set +e\n{script}", timeout=600).stdout
        messages, folders, subscriptions = (part.splitlines() for part in said.split("==\n"))
        return Held(
            messages=frozenset(plain(line) for line in messages),
            folders=frozenset(folders),
            subscriptions=frozenset(subscriptions),
        )


def differences(account: Account, old: Held, new: Held) -> list[str]:
    """Return how two sides of a mailbox differ, in words."""
    found = []
    for what, one, other in (
        ("messages", old.messages, new.messages),
        ("folders", old.folders, new.folders),
        ("subscriptions", old.subscriptions, new.subscriptions),
    ):
        missing, more = one - other, other - one
        if missing or more:
            example = min(missing or more)
            found.append(
                f"{account.address}: {len(missing):,} {what} missing or changed, "
                f"{len(more):,} too many or changed, such as {example!r}"
            )
    return found


def _as_owner(user: str, home: str) -> str:
    """Return how doveadm is run as the owner of a home that is the current directory."""
    owner = "setpriv --reuid $(stat -c %u .) --regid $(stat -c %g .) --clear-groups"
    return f"{owner} env USER={user} HOME={home} doveadm -o stats_writer_socket_path="


def _lookup(side: str) -> str:
    """Return what Dovecot 2.4 has to be told when nobody is looked up."""
    return "" if side == "old" else "--no-userdb-lookup"


def plain(line: str) -> str:
    r"""Return a message's line without \Recent, which is each server's own (RFC 9051, 2.3.2)."""
    return re.sub(r" ?\\Recent ?", "", line)

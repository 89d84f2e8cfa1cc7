"""What is on a host whose services have moved, and on no other one.

Nothing is judged by a service's word: the files themselves are looked at. Whatever was written
after a service moved is on this host alone; what is older and differs was changed where it is now.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lab.errors import CouldNotError
from lab.operator import manifest
from lab.operator.carry import Place
from lab.operator.mail_accounts import Account
from lab.operator.mailboxes import STORE
from lab.operator.manifest import Entry
from lab.operator.old_mail import HOME
from lab.operator.ssh import Ssh
from lab.parallel import side_by_side

MOVED: Final = f"{HOME}/moved"
"""Touched on the old host when its mail moved (``mail_passage.sh``)."""

_SECONDS: Final = 3600.0


class LeftoversError(CouldNotError):
    """Nobody can tell what is left."""


@dataclass(frozen=True, kw_only=True)
class Late:
    """Mail that came into a directory after the mail had moved.

    Attributes:
        directory: a maildir, or a file with many messages.
        count: how many files.
        example: one of them.
    """

    directory: str
    count: int
    example: str


@dataclass(frozen=True, kw_only=True)
class Copied:
    """How a copy of a directory compares.

    Attributes:
        alike: how many files are.
        late: files that were written on the old host after it had moved; they are nowhere else.
        since: how many differ because they were changed or removed where they are now.
    """

    alike: int = 0
    late: tuple[str, ...] = ()
    since: int = 0


class Leftovers:
    """Looks at what is left on one host.

    Args:
        ssh: the way to the hosts.
        host: its name.
    """

    def __init__(self, *, ssh: Ssh, host: str) -> None:
        self._ssh = ssh
        self._host = host

    def jobs(self) -> list[str]:
        """Return what people let run here at certain times, ``file: command`` each.

        Files that belong to a package are left out.
        """
        script = r"""
            for file in /etc/cron.d/* /etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* \
                /etc/cron.monthly/* /var/spool/cron/crontabs/* /etc/systemd/system/*.timer; do
                [ -f "$file" ] && [ ! -h "$file" ] || continue
                dpkg -S "$file" >/dev/null 2>&1 && continue
                case $file in
                    *cron.d/* | *crontabs/*)
                        grep -vE '^[[:space:]]*(#|$|[A-Za-z_]+[[:space:]]*=)' "$file" |
                            sed "s|^|$file: |" ;;
                    *) echo "$file" ;;
                esac
            done
        """
        return self._ssh.run(self._host, f"set +e\n{script}true").stdout.splitlines()

    def late_mail(self, accounts: Iterable[Account]) -> list[Late]:
        """Return the mail that was delivered here after the mail had moved.

        Raises:
            LeftoversError: nobody knows when that was.
        """
        places = "".join(f"{each.maildir}\n" for each in accounts) + "/var/mail\n"
        script = f"""
            [ -e {MOVED} ] || exit 9
            while IFS= read -r place; do
                [ -d "$place" ] || continue
                case $place in
                    /var/mail) find "$place/" -type f -size +0 -newer {MOVED} -printf '%P\\n' ;;
                    *) find "$place" -type f '(' -path '*/cur/*' -o -path '*/new/*' ')' \
                        -newer {MOVED} -printf '%P\\n' ;;
                esac | sort | awk -v place="$place" \
                    'NR == 1 {{ first = $0 }} END {{ if (NR) print place "\\t" NR "\\t" first }}'
            done
        """
        done = self._ssh.run(self._host, script, stdin=places, timeout=_SECONDS, check=False)
        if not done.ok:
            raise LeftoversError(
                f"nobody knows when the mail moved: {MOVED} is not there",
                where=self._host,
                remedy="`./invoke step mail` makes it when it moves the mail",
            )
        found = (line.split("\t") for line in done.stdout.splitlines())
        return [Late(directory=d, count=int(n), example=e) for d, n, e in found]

    def gone(self, accounts: Iterable[Account], new: str) -> int:
        """Return how many messages here are not on the new server any more.

        Their owners may have deleted them since, or moved them, which makes a new one of each.

        Args:
            accounts: of the mailboxes.
            new: the new server.
        """

        def one(account: Account) -> int:
            local, _, domain = account.address.partition("@")
            here = self._guids(self._host, account.login, account.home)
            there = self._guids(
                new, account.address, f"{STORE}/{domain}/{local}", "--no-userdb-lookup "
            )
            return len(here - there)

        return sum(side_by_side(one, list(accounts)))

    def _guids(self, host: str, user: str, home: str, lookup: str = "") -> frozenset[str]:
        """Return what tells the messages of a mailbox from all others, wherever they are."""
        script = f"""
            cd {shlex.quote(home)}
            setpriv --reuid $(stat -c %u .) --regid $(stat -c %g .) --clear-groups env \
                USER={shlex.quote(user)} HOME={shlex.quote(home)} \
                doveadm -o stats_writer_socket_path= -f tab fetch {lookup}guid all
        """
        return frozenset(self._ssh.run(host, script, timeout=_SECONDS).stdout.splitlines()[1:])

    def compare(self, old: Place, new: Place, *, moved: str, without: str = "") -> Copied:
        """Compare a directory with its copy on the new host.

        Args:
            old: where it was.
            new: where it is.
            moved: a path on the new host that was written when it moved; links are not followed.
            without: a directory in there that is left out.
        """
        command = ["stat", "--format", "%Y", moved]
        moment = int(self._ssh.run(new.host, command).stdout)
        return compared(self._files(old, without), self._files(new, without), moment=moment)

    def _files(self, place: Place, without: str) -> dict[str, Entry]:
        """Return the files below a place, by name; links are not followed."""
        skip = [f"/{without}"] if without else []
        found = manifest.listing(self._ssh, place.host, place.path, without=skip)
        return {name: each for name, each in found.items() if each.kind == "f"}


def compared(old: Mapping[str, Entry], new: Mapping[str, Entry], *, moment: int) -> Copied:
    """Return how the files of a directory compare with those of its copy.

    Args:
        old: by name, on the host that they left.
        new: by name, where they are now.
        moment: when they moved, seconds since the epoch.
    """
    differing = {
        name: each
        for name, each in old.items()
        if name not in new or new[name].digest != each.digest
    }
    # Somebody's nightly copy of a file that moved is no news.
    moved = {each.digest for each in old.values() if each.written <= moment}
    late = sorted(
        name
        for name, each in differing.items()
        if each.written > moment and each.digest not in moved
    )
    return Copied(
        alike=len(old) - len(differing), late=tuple(late), since=len(differing) - len(late)
    )

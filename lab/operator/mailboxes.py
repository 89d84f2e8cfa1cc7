"""Mailboxes carried between the old server and the new one, by Dovecot's own tool.

``doveadm backup`` (doveadm-sync(1)) makes one mailbox what the other is: messages with their
numbers, dates, flags and keywords, folders with their UIDVALIDITY, subscriptions. It runs on the
new server and reaches the old one over SSH with a key that can do nothing else there.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from lab.errors import CouldNotError
from lab.operator.mail_accounts import Account
from lab.operator.ssh import Ssh

HOME: Final = "/var/lib/generalprove-mail"
STORE: Final = "/srv/vmail"
_OURS: Final = "generalprove-mail"
_DSYNC: Final = "/usr/local/sbin/generalprove-dsync"
_SECONDS: Final = 4 * 3600.0
_AT_ONCE: Final = 4
_OVERDUE: Final = 124  # timeout(1)
_CHANGED_WHILE: Final = 2
_TRY_AGAIN: Final = 75
"""Exit codes of doveadm-sync(1): somebody changed the mailbox meanwhile; and EX_TEMPFAIL."""

# Run by the old server's sshd, whatever the new one asks for. Dovecot need not run: what a
# person's mailbox is follows from who they are there.
_SERVER: Final = r"""#!/bin/sh
set -eu
asked=${SSH_ORIGINAL_COMMAND:-}
login=${asked%% *}
way=${asked#"$login" } way=${way%% *} # doveadm adds what it thinks it starts
home=$(awk -F '\t' -v login="$login" '$1 == login { print $2 }' HOMES)
[ -n "$home" ] || { echo "no such mailbox" >&2; exit 67; }
owner=$(stat -c %u "$home/Maildir")
group=$(stat -c %g "$home/Maildir")
cd "$home"
code=0
setpriv --reuid "$owner" --regid "$group" --clear-groups \
    env -i PATH="$PATH" USER="$login" HOME="$home" \
    doveadm -o stats_writer_socket_path= dsync-server || code=$?
# Dovecot 2.3 would show folders that are only names in the paths of others as if they held mail:
# it believes its index of them, which this makes it write anew.
[ "$way" != back ] || rm -f Maildir/dovecot.list.index*
exit $code
"""

_CLIENT: Final = r"""#!/bin/sh
# Usage: dsync forth|back ADDRESS LOGIN
set -eu
address=$2 login=$3
home=STORE/${address#*@}/${address%@*}
case $1 in forth) from=-R ;; *) from= ;; esac
mkdir -p "$home"
cd "$home"
# In full (-f): two changes on one side and one on the other can leave a folder with the same
# numbers, and a quick look passes it by.
# shellcheck disable=SC2086 # a word or none
exec env USER="$address" HOME="$home" doveadm -o stats_writer_socket_path= backup \
    --no-userdb-lookup -f $from -T 60 ssh -F HERE/ssh_config old "$login" "$1"
"""

# What lies in a home beside the mail: one line each, empty where there is nothing.
_PACK: Final = """
    while read -r home; do
        set --
        for it in sieve .dovecot.sieve; do
            if [ -e "$home/$it" ] || [ -h "$home/$it" ]; then set -- "$@" "$it"; fi
        done
        [ $# -eq 0 ] || tar -C "$home" --exclude '*.svbin' -cf - "$@" | base64 -w 0
        echo
    done
"""
_UNPACK: Final = """
    while read -r home packed; do
        mkdir -p "$home"
        cd "$home"
        like=$(stat -c %u:%g .)
        if [ "$like" = 0:0 ]; then like=vmail:vmail; chown "$like" . ..; fi
        rm -rf sieve .dovecot.sieve .dovecot.svbin
        [ -n "$packed" ] || continue
        echo "$packed" | base64 -d | tar --no-same-owner -xpf -
        for it in sieve .dovecot.sieve; do
            if [ -e "$it" ] || [ -h "$it" ]; then chown -Rh "$like" "$it"; fi
        done
    done
"""

_SSH_CONFIG: Final = """\
Host old
    HostName TARGET
    User root
    IdentityFile HERE/key
    IdentitiesOnly yes
    UserKnownHostsFile HERE/known_hosts
    StrictHostKeyChecking yes
    BatchMode yes
    ControlMaster auto
    ControlPath HERE/%C
    ControlPersist 60
    ConnectTimeout 5
    ServerAliveInterval 3
    ServerAliveCountMax 2
"""


class MailboxesError(CouldNotError):
    """Mailboxes could not be carried."""


class Mailboxes:
    """Everybody's mailboxes on both servers.

    Args:
        ssh: the way to the hosts.
        old: the old server's name.
        new: the new one's.
    """

    def __init__(self, *, ssh: Ssh, old: str, new: str) -> None:
        self._ssh = ssh
        self._old = old
        self._new = new

    def prepare(self, accounts: Sequence[Account], *, target: str, sources: Sequence[str]) -> None:
        """Let the new server reach the old one's mailboxes, and nothing else there.

        Args:
            accounts: the mailboxes.
            target: the old server's address.
            sources: the new server's addresses.
        """
        told = self._ssh.run(self._old, "cat /etc/ssh/ssh_host_ed25519_key.pub").stdout.split()
        client = _CLIENT.replace("STORE", STORE).replace("HERE", HOME)
        config = _SSH_CONFIG.replace("TARGET", target).replace("HERE", HOME)
        script = f"""
            install -d -m 700 -o vmail -g vmail {HOME}
            [ -e {HOME}/key ] || ssh-keygen -q -t ed25519 -N '' -C {_OURS} -f {HOME}/key
            echo {target} {told[0]} {told[1]} >{HOME}/known_hosts
            cat >{HOME}/ssh_config
            chown vmail:vmail {HOME}/*
            cat {HOME}/key.pub
        """
        key = self._ssh.run(self._new, script, stdin=config).stdout.strip()
        self._ssh.write(self._new, f"{HOME}/dsync", client, mode=0o755)
        homes = "".join(f"{each.login}\t{each.home}\n" for each in accounts)
        self._ssh.write(self._old, f"{_DSYNC}.homes", homes, mode=0o600)
        server = _SERVER.replace("HOMES", f"{_DSYNC}.homes")
        self._ssh.write(self._old, _DSYNC, server, mode=0o755)
        line = f'restrict,from="{",".join(sources)}",command="{_DSYNC}" {key}\n'
        self._ssh.run(self._old, self._without_key(f"cat >>{_KEYS}"), stdin=line)

    def remove(self) -> None:
        """Take the way between the servers away."""
        self._ssh.run(self._old, self._without_key("true") + f"\nrm -f {_DSYNC} {_DSYNC}.homes")
        self._ssh.run(self._new, ["rm", "-rf", HOME])

    def forth(self, accounts: Sequence[Account], *, seconds: float = _SECONDS) -> dict[str, str]:
        """Make the new server's mailboxes what the old one's are.

        Args:
            accounts: which.
            seconds: that it may take.

        Returns:
            Address -> what Dovecot said, of those it did not finish because somebody changed them
            meanwhile, or so it seemed to it: they want to be carried again.

        Raises:
            MailboxesError: one could not be carried, and why.
        """
        return self._dsync("forth", accounts, seconds)

    def back(self, accounts: Sequence[Account], *, seconds: float = _SECONDS) -> dict[str, str]:
        """Make the old server's mailboxes what the new one's are, as :meth:`forth` does."""
        return self._dsync("back", accounts, seconds)

    def filters(self, accounts: Sequence[Account], *, back: bool = False) -> None:
        """Carry everybody's own filters (sieve), and which of them is in force."""
        there = [f"{STORE}/{below(each.address)}" for each in accounts]
        here = [each.home for each in accounts]
        ends = [(self._old, here), (self._new, there)]
        (source, homes), (target, into) = reversed(ends) if back else ends
        packed = self._ssh.run(source, _PACK, stdin="".join(f"{each}\n" for each in homes)).stdout
        pairs = zip(into, packed.splitlines(), strict=True)
        self._ssh.run(target, _UNPACK, stdin="".join(f"{home} {line}\n" for home, line in pairs))

    def _dsync(self, way: str, accounts: Sequence[Account], seconds: float) -> dict[str, str]:
        run = f"setpriv --reuid vmail --regid vmail --init-groups {HOME}/dsync {way}"
        pairs = "".join(f"{each.address}\n{each.login}\n" for each in accounts)
        one = f"""
            said=$({run} "$1" "$2" 2>&1) && exit
            code=$?
            case $said in
                *'returned error 255'*) echo "the servers do not reach each other" >&2; exit 255 ;;
            esac
            why=$(echo "$said" | grep -v 'Remote command returned' | tail -n 3 | tr '\\n' ' ')
            [ $code -eq {_CHANGED_WHILE} ] || [ $code -eq {_TRY_AGAIN} ] ||
                {{ echo "$1: $why" >&2; exit 1; }}
            echo "$1 $why"
        """
        # Whatever an operator who is gone left running would undo what is done from now on.
        script = f"""
            pkill -KILL -u vmail -x doveadm && while pgrep -u vmail -x doveadm; do sleep 0.1; done
            timeout --kill-after 1 {seconds:.0f} \\
                xargs -d '\\n' -n 2 -P {_AT_ONCE} sh -c {shlex.quote(one)} dsync
        """
        done = self._ssh.run(
            self._new, f"set +e\n{script}", stdin=pairs, timeout=seconds + 5, check=False
        )
        if done.code == _OVERDUE:
            raise MailboxesError(f"mailboxes were not carried within {seconds:.0f} s")
        if not done.ok:
            said = "; ".join(done.stderr.splitlines()[:2])
            raise MailboxesError(f"mailboxes were not carried: {said}", where=self._new)
        pairs_of_words = (line.partition(" ") for line in done.stdout.splitlines())
        return {address: why for address, _, why in pairs_of_words}

    def _without_key(self, then: str) -> str:
        return f"""
            touch {_KEYS}
            grep -v ' {_OURS}$' {_KEYS} >{_KEYS}.new || true
            chmod 600 {_KEYS}.new; mv {_KEYS}.new {_KEYS}
            {then}
        """


_KEYS: Final = "/root/.ssh/authorized_keys"


def below(address: str) -> str:
    """Return where a mailbox is on the new server, below everybody's."""
    local, _, domain = address.partition("@")
    return f"{domain}/{local}"

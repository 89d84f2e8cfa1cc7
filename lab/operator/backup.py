"""A whole host, kept on another one by restic(1): taken, read back, compared.

The host sends its files by SFTP with a key that is made for this one backup, lies in its memory
only, and can do nothing else where they are kept (``puppet/site/profile/manifests/backup.pp``).
What is kept is encrypted with a password that is among the operator's secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.errors import CheckFailedError, CouldNotError
from lab.operator import manifest
from lab.operator.enrolment import install
from lab.operator.manifest import Comparison, Entry
from lab.operator.ssh import Ssh

USER: Final = "restic"
STORE: Final = "/srv/backup"
"""Who keeps backups, and where (``profile::backup``)."""

LEFT_OUT: Final = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp"),  # noqa: S108 - on the host
    *("/var/cache/apt", "/var/lib/apt/lists", "/lost+found"),
)
"""What is made anew by itself."""

_HERE: Final = "/run/generalprove-backup"
_CACHE: Final = "/var/tmp/generalprove-backup"  # noqa: S108 - left out of the backup
"""What was sent already: without it a second backup reads all of the first one's lists again."""

_SCRATCH: Final = f"{STORE}/read-back"
_SECONDS: Final = 24 * 3600.0
_AT_ONCE: Final = 16
"""Files that are sent at once: each waits for an answer after every 32 kB of it."""

# Whatever vanished while it was read: the comparison knows what to think of it.
_INCOMPLETE: Final = 3
_ROOM: Final = 2.2
"""How much more room than the files take there has to be: for them packed, and read back."""

_SSH_CONFIG: Final = """\
Host store
    HostName TARGET
    User USER
    IdentityFile HERE/key
    IdentitiesOnly yes
    UserKnownHostsFile HERE/known_hosts
    StrictHostKeyChecking yes
    BatchMode yes
    ServerAliveInterval 15
"""


class BackupError(CouldNotError):
    """A backup could not be taken or read back."""


class BackupCheckError(CheckFailedError):
    """What was read back is not what was backed up."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One backup.

    Attributes:
        snapshot: its name in the repository.
        begun: when it began, seconds since the epoch by the host's own clock.
        files: how many it has.
        size: of them, bytes.
        new: bytes of them that had not been sent before.
        seconds: that it took.
    """

    snapshot: str
    begun: int
    files: int
    size: int
    new: int
    seconds: float

    def __str__(self) -> str:
        """Return it as one line."""
        return (
            f"{self.files:,} files, {self.size / 1e6:,.0f} MB, "
            f"{self.new / 1e6:,.0f} MB of it sent anew, in {self.seconds:.0f} s"
        )


class Backup:
    """The backup of one host on another one.

    Args:
        ssh: the way to the hosts.
        host: which.
        store: where it is kept.
        password: that it is encrypted with.
    """

    def __init__(self, *, ssh: Ssh, host: str, store: str, password: str) -> None:
        self._ssh = ssh
        self._host = host
        self._store = store
        self._password = password

    @property
    def repository(self) -> str:
        """Where it is kept, a directory on the store."""
        return f"{STORE}/{self._host}"

    def needed(self) -> tuple[int, int]:
        """Return how many bytes the store must have free, and how many it has."""
        skip = " ".join(f"--exclude={each}" for each in LEFT_OUT)
        used = self._ssh.run(
            self._host, f"du -sk {skip} / 2>/dev/null | cut -f 1", timeout=_SECONDS
        )
        free = self._ssh.run(self._store, "df -k --output=avail /srv | tail -n 1")
        return int(int(used.stdout) * 1024 * _ROOM), int(free.stdout) * 1024

    def key(self) -> str:
        """Return the public key that the host sends with; it is made when there is none."""
        install(self._ssh, self._host, ["restic"])
        script = f"""
            install -d -m 700 {_HERE}
            [ -e {_HERE}/key ] ||
                ssh-keygen -q -t ed25519 -N '' -C '{self._host} backup' -f {_HERE}/key
            cut -d ' ' -f 1,2 {_HERE}/key.pub
        """
        return self._ssh.run(self._host, script).stdout.strip()

    def take(self, *, target: str) -> Taken:
        """Back everything up; what was sent before is not sent again.

        Args:
            target: address of the store.

        Raises:
            BackupError: it did not end well.
        """
        told = self._ssh.run(self._store, "cat /etc/ssh/ssh_host_ed25519_key.pub").stdout.split()
        config = _SSH_CONFIG.replace("TARGET", target).replace("USER", USER).replace("HERE", _HERE)
        self._ssh.write(self._host, f"{_HERE}/ssh_config", config)
        self._ssh.write(self._host, f"{_HERE}/known_hosts", f"{target} {told[0]} {told[1]}\n")
        skip = " ".join(f"--exclude {each}" for each in LEFT_OUT)
        # An operator who was interrupted may have left one running, which holds the lock.
        script = f"""
            RESTIC_PASSWORD=$(cat); export RESTIC_PASSWORD
            pkill -x restic && while pgrep -x restic >/dev/null; do sleep 0.1; done
            restic() {{
                command restic --cache-dir {_CACHE} --repo sftp:store:{self.repository} \\
                    -o sftp.command='ssh -F {_HERE}/ssh_config store -s sftp' \\
                    -o sftp.connections={_AT_ONCE} "$@"
            }}
            restic cat config >/dev/null 2>&1 || restic init >/dev/null || exit 1
            restic unlock >/dev/null || exit 1
            date +%s
            restic backup --json --host {self._host} {skip} / | grep '"summary"'
        """
        done = self._ssh.run(
            self._host,
            ["bash", "-c", f"set -o pipefail\n{script}"],
            stdin=self._password,
            timeout=_SECONDS,
            check=False,
        )
        if done.code not in {0, _INCOMPLETE}:
            said = next(reversed(done.stderr.splitlines()), "it said nothing")
            raise BackupError(f"restic failed: {said}", where=self._host)
        begun, summary = done.stdout.splitlines()[-2:]
        return taken(summary, begun=int(begun))

    def read_back(self, snapshot: str) -> None:
        """Bring a backup back to disk, on the store, beside everything else there."""
        self._restic(
            f"""
            pkill -x restic && while pgrep -x restic >/dev/null; do sleep 0.1; done || true
            rm -rf {_SCRATCH}
            install -d -m 700 {_SCRATCH}
            restic restore {snapshot} --target {_SCRATCH} >/dev/null
            """
        )

    def listed(self) -> dict[str, Entry]:
        """Return what is on the host, every file of it; what is left out is not."""
        return manifest.listing(self._ssh, self._host, "/", without=LEFT_OUT)

    def compare(self, own: Mapping[str, Entry], *, begun: int) -> Comparison:
        """Compare what was brought back with the host, file by file.

        Args:
            own: what is on the host.
            begun: when the backup began; what has changed since may be otherwise.

        Raises:
            BackupCheckError: something else is.
        """
        copy = manifest.listing(self._ssh, self._store, _SCRATCH, without=LEFT_OUT)
        found = manifest.compare(own, copy, begun=begun)
        if found.wrong:
            more = f"; and {len(found.wrong) - 5} more" if len(found.wrong) > 5 else ""  # noqa: PLR2004
            raise BackupCheckError(
                f"{len(found.wrong)} of {len(own)} files came back otherwise: "
                + "; ".join(found.wrong[:5])
                + more,
                where=f"{self._store}:{self.repository}",
            )
        return found

    def clear(self) -> None:
        """Remove what was brought back."""
        self._ssh.run(self._store, ["rm", "-rf", _SCRATCH], timeout=_SECONDS)

    def forget_key(self) -> None:
        """Let the host send nothing any more."""
        self._ssh.run(self._host, ["rm", "-rf", _HERE, _CACHE])

    def _restic(self, script: str) -> None:
        """Run a script on the store, in which restic knows its repository and takes no lock."""
        head = f"""
            RESTIC_PASSWORD=$(cat); export RESTIC_PASSWORD
            restic() {{ command restic --no-cache --no-lock --repo {self.repository} "$@"; }}
        """
        self._ssh.run(self._store, head + script, stdin=self._password, timeout=_SECONDS)


def taken(summary: str, *, begun: int) -> Taken:
    """Return a backup from what restic says at its end (``--json``)."""
    said = json.loads(summary)
    return Taken(
        snapshot=said["snapshot_id"],
        begun=begun,
        files=said["total_files_processed"],
        size=said["total_bytes_processed"],
        new=said["data_added"],
        seconds=said["total_duration"],
    )


def how_to_restore(*, host: str, store: str, snapshot: str, left_out: Sequence[str] = ()) -> str:
    """Return how a person reads a backup, as one sentence."""
    without = f" (without {', '.join(left_out)})" if left_out else ""
    return (
        f"everything that was on {host}{without} is on {store}: `restic --repo {STORE}/{host} "
        f"restore {snapshot} --target /somewhere` there, with the password backup/{host} from the "
        "operator's secrets"
    )

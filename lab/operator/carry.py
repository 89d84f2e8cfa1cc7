"""Content carried from one host to another, as it is: names, times, modes."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from typing import Final

from lab.errors import CheckFailedError
from lab.operator.ssh import Ssh, SshError
from lab.parallel import side_by_side
from lab.text import last_line

_SECONDS: Final = 3600.0


class CarryCheckError(CheckFailedError):
    """What arrived is not what was sent."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A directory on a host."""

    host: str
    path: str


class Carrier:
    """Carries directories through the operator's own connections; the hosts need not meet.

    Args:
        ssh: the way to the hosts.
    """

    def __init__(self, *, ssh: Ssh) -> None:
        self._ssh = ssh

    def version(self, place: Place, *, without: str = "") -> str:
        """Return a name for the state of a directory: names, sizes and times of its files.

        Args:
            place: the directory.
            without: a directory in it that is left out.
        """
        script = f"""
            cd {shlex.quote(place.path)}
            find . {_prune(without)} -type f -printf '%P %s %T@\\n' -o -type l -printf '%P %l\\n' |
                LC_ALL=C sort | sha256sum | cut -c 1-12
        """
        return self._ssh.run(place.host, script, timeout=_SECONDS).stdout.strip()

    def content(self, place: Place) -> str:
        """Return a checksum of everything in a directory, by name; empty when there is none."""
        script = f"""
            cd {shlex.quote(place.path)} 2>/dev/null || exit 0
            find . -type f -exec sha256sum {{}} + | LC_ALL=C sort -k 2 | sha256sum | cut -c 1-64
        """
        return self._ssh.run(place.host, script, timeout=_SECONDS).stdout.strip()

    def carry(
        self,
        source: Place,
        target: Place,
        *,
        without: str = "",
        like: str = "",
        in_use: bool = False,
    ) -> None:
        """Make *target* a copy of *source*, in one step where there was none.

        Args:
            source: what is copied.
            target: what it becomes; what was there is replaced.
            without: a directory in it that is left out.
            like: a path on the target whose owner the copy gets; root's if empty.
            in_use: whether somebody may write meanwhile; otherwise a file that changes while it
                is read is an error.

        Raises:
            SshError: a host could not be reached, or a command there failed.
        """
        exclude = f"--exclude=./{shlex.quote(without)}" if without else ""
        pack = f"tar -C {shlex.quote(source.path)} {exclude} -cf - ."
        if in_use:
            pack += " || test $? -eq 1"  # that is all that this code of tar's means
        path = shlex.quote(target.path)
        owner = f"chown -R --reference={shlex.quote(like)} {path}.new" if like else ":"
        unpack = f"""
            rm -rf {path}.new {path}.old; mkdir -p {path}.new
            tar -C {path}.new --no-same-owner -xpf -
            {owner}
            test ! -e {path} || mv -T {path} {path}.old
            mv -T {path}.new {path}
            rm -rf {path}.old
        """
        self._pipe(source.host, pack, target.host, unpack)

    def move(self, source: Place, target: Place, *, like: str) -> None:
        """Copy *source* to *target* and see that every byte has arrived.

        Raises:
            CarryCheckError: it has not; *target* is not to be used.
        """
        self.carry(source, target, like=like)
        sent, arrived = side_by_side(self.content, (source, target))
        if sent != arrived:
            raise CarryCheckError(
                f"{target.path} is not what {source.path} on {source.host} is", where=target.host
            )

    def _pipe(self, source: str, pack: str, target: str, unpack: str) -> None:
        # Both fail loudly: half an archive would otherwise look like a small one.
        with subprocess.Popen(
            [*self._ssh.argv(source), f"sh -ec {shlex.quote(pack)}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as packing:
            unpacking = subprocess.run(
                [*self._ssh.argv(target), f"sh -ec {shlex.quote(unpack)}"],
                stdin=packing.stdout,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
            said = packing.stderr.read() if packing.stderr else b""
        for host, code, words in (
            (source, packing.returncode, said),
            (target, unpacking.returncode, unpacking.stderr),
        ):
            if code:
                raise SshError(f"copying failed: {last_line(words.decode())}", where=host)


def _prune(without: str) -> str:
    return f"-path {shlex.quote(f'./{without}')} -prune -o" if without else ""

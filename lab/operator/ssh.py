"""OpenSSH to the fleet's hosts: the same program, options and trust in lab and production.

The user's own configuration, jump hosts and agents apply in production; the lab hands in a
configuration file of its own. One connection per host is opened and reused (``ControlMaster``
in ssh_config(5)), so that a command costs milliseconds and not a handshake.
"""

from __future__ import annotations

import io
import shlex
import socket
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import CouldNotError
from lab.text import brief, last_line

# ssh(1) exits with 255 when the connection itself failed.
CONNECTION_FAILED = 255


class SshError(CouldNotError):
    """A host could not be reached, or a command on it failed."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one command on one host answered."""

    host: str
    command: str
    code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether the command exited with 0."""
        return self.code == 0


class Ssh:
    """Runs commands on hosts and carries files to them.

    Args:
        config: an ssh_config(5) file used instead of the user's; None for the user's own.
        control_dir: directory for the sockets of connections kept open; created if missing.
            Its path must be short: a socket's address holds about 100 bytes (unix(7)).
        aliases: host -> its name in the configuration, where the two differ.
        vantage: host through which :meth:`dial` leaves; None to connect from this machine.
        timeout: seconds that a command may take unless it says otherwise.
    """

    def __init__(
        self,
        *,
        config: Path | None,
        control_dir: Path,
        aliases: Mapping[str, str] | None = None,
        vantage: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._aliases = aliases or {}
        control_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._control_dir = control_dir
        self._vantage = vantage
        self._timeout = timeout
        self._dialled: list[subprocess.Popen[bytes]] = []
        self._base = ["ssh"] + (["-F", str(config)] if config else [])
        self._base += [
            *("-o", "BatchMode=yes"),
            # Whatever the user's own configuration says: a host whose key is not known, or not
            # the one that is, is not talked to.
            *("-o", "StrictHostKeyChecking=yes"),
            *("-o", "ConnectTimeout=15"),
            *("-o", "ServerAliveInterval=5"),
            *("-o", "ServerAliveCountMax=3"),
            *("-o", "ControlMaster=auto"),
            *("-o", f"ControlPath={control_dir}/%C"),
            *("-o", "ControlPersist=300"),
        ]

    @property
    def options(self) -> list[str]:
        """What every call of ssh(1) is given, for other programs that speak through it."""
        return self._base[1:]

    def alias(self, host: str) -> str:
        """Return what *host* is called in the configuration."""
        return self._aliases.get(host, host)

    def argv(self, host: str, *, tty: bool = False) -> list[str]:
        """Return the command line that opens a session on *host* (for ``lab-ssh``)."""
        return [*self._base, *(["-t"] if tty else []), self.alias(host)]

    def run(
        self,
        host: str,
        command: str | Sequence[str],
        *,
        stdin: str | bytes | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Result:
        """Run *command* on *host* and wait for it.

        Args:
            host: name of the host in the configuration.
            command: a string is a script for ``sh -e``; a sequence is one command, quoted.
            stdin: what the command reads.
            timeout: seconds until it is given up.
            check: raise when the command exits with anything but 0.

        Raises:
            SshError: the host could not be reached, the time is over or (with *check*) the
                command failed.
        """
        remote = (
            f"sh -ec {shlex.quote(command)}" if isinstance(command, str) else shlex.join(command)
        )
        data = stdin.encode() if isinstance(stdin, str) else stdin
        limit = self._timeout if timeout is None else timeout
        try:
            done = subprocess.run(
                [*self.argv(host), remote],
                input=data if data is not None else b"",
                capture_output=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SshError(
                f"`{brief(remote)}` did not end within {limit:.0f} s", where=host
            ) from None
        result = Result(
            host=host,
            command=remote,
            code=done.returncode,
            stdout=done.stdout.decode(errors="replace"),
            stderr=done.stderr.decode(errors="replace"),
        )
        if result.code == CONNECTION_FAILED:
            raise SshError(
                f"no SSH connection: {last_line(result.stderr)}",
                where=host,
                remedy=f"Try `ssh {host}` by hand",
            )
        if check and not result.ok:
            said = last_line(result.stderr) or last_line(result.stdout) or "it said nothing"
            raise SshError(f"`{brief(remote)}` exited with {result.code}: {said}", where=host)
        return result

    def write(self, host: str, path: str, content: str | bytes, *, mode: int = 0o644) -> None:
        """Put *content* into the file *path* on *host* in one step (write aside, rename)."""
        quoted = shlex.quote(path)
        self.run(
            host,
            f'mkdir -p "$(dirname {quoted})"; umask 077; t=$(mktemp {quoted}.XXXXXX); '
            f'cat >"$t"; chmod {mode:o} "$t"; mv -T "$t" {quoted}',
            stdin=content,
        )

    def read(self, host: str, path: str) -> str:
        """Return the content of the file *path* on *host*."""
        return self.run(host, ["cat", path]).stdout

    def put(self, host: str, source: Path, target: str, *, timeout: float = 300.0) -> None:
        """Copy a file or a directory's content to *target* on *host*; nothing is deleted there."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=1) as tar:
            tar.add(source, arcname="." if source.is_dir() else Path(target).name, filter=_as_root)
        into = target if source.is_dir() else str(Path(target).parent)
        self.run(
            host,
            f"mkdir -p {shlex.quote(into)}; tar -xzf - --no-same-owner -C {shlex.quote(into)}",
            stdin=archive.getvalue(),
            timeout=timeout,
        )

    def dial(self, address: str, port: int, *, via: str | None = None) -> socket.socket:
        """Open a TCP connection to *address* as somebody outside the fleet would.

        Args:
            address: where to, an IPv4 or IPv6 address.
            port: the port there.
            via: host from which the connection leaves instead; ``127.0.0.1`` is then that host.

        Raises:
            SshError: the connection could not be opened.
        """
        leaves_from = via or self._vantage
        if leaves_from is None:
            try:
                return socket.create_connection((address, port), timeout=self._timeout)
            except OSError as error:
                raise SshError(str(error), where=f"{address} port {port}") from error
        near, far = socket.socketpair()
        forward = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        # Ends by itself when either side closes; asked after here, so that none stays a zombie.
        self._dialled = [process for process in self._dialled if process.poll() is None]
        with far:
            self._dialled.append(
                subprocess.Popen(
                    [*self._base, "-W", forward, leaves_from],
                    stdin=far.fileno(),
                    stdout=far.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
        near.settimeout(self._timeout)
        return near

    def forget(self, host: str) -> None:
        """Drop the connection kept open to *host*, because the host has been restarted."""
        subprocess.run(
            [*self._base, "-O", "exit", self.alias(host)],
            capture_output=True,
            check=False,
        )

    def close(self) -> None:
        """End the connections kept open."""
        for process in self._dialled:
            process.terminate()
            process.wait()
        for path in self._control_dir.iterdir():
            subprocess.run(
                ["ssh", "-o", f"ControlPath={path}", "-O", "exit", "any"],
                capture_output=True,
                check=False,
            )
            path.unlink(missing_ok=True)


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry

"""Signatures by an SSH key: made and judged by ssh-keygen(1), here as on the control host.

Who may sign is a list in the repository (ALLOWED SIGNERS in ssh-keygen(1)); it is installed on
the control host with the release, and a release is judged by the list of the one before.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import os
import re
import socket
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from lab.errors import CouldNotError
from lab.store import exclusive, root
from lab.text import last_line

NAMESPACE: Final = "generalprove"
"""What a signature is for: one made for mail or git with the same key counts for nothing."""

ALLOWED: Final = "puppet/site/profile/files/promotion/allowed_signers"
"""Where the repository has the list of those who may sign."""

KEY_VARIABLE: Final = "GENERALPROVE_SIGNING_KEY"

_SECONDS: Final = 60.0
_MAGIC: Final = b"SSHSIG"


class SigningError(CouldNotError):
    """Nothing could be signed."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What to think of a signature.

    Attributes:
        signer: name of who made it, as the list has it; empty when it is not good.
        key: the public key that it claims, as in authorized_keys(5); empty when unreadable.
        wrong: why it counts for nothing; empty when it is good.
    """

    signer: str = ""
    key: str = ""
    wrong: str = ""

    @property
    def good(self) -> bool:
        """Whether somebody who may has signed exactly this."""
        return not self.wrong


UNKNOWN: Final = "signed by nobody who may"
CHANGED: Final = "changed after it was signed"
UNREADABLE: Final = "its signature is unreadable"
UNSIGNED: Final = "not signed"


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A key to sign with.

    Attributes:
        key: the file; a public key when an agent holds the private one.
    """

    key: Path

    @classmethod
    def own(cls, directory: Path | None = None) -> Self:
        """Return the user's: the one in the environment, or one made at first use.

        Args:
            directory: where the one is made; below the user's state unless given.

        Raises:
            SigningError: none can be made.
        """
        if named := os.environ.get(KEY_VARIABLE):
            return cls(key=Path(named).expanduser())
        here = directory or root() / "signing"
        key = here / "id_ed25519"
        here.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(here / "lock", wait=True):
            if not key.exists():
                name = re.sub(r"[^\w.@-]", "-", f"{getpass.getuser()}@{socket.gethostname()}")
                _keygen(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)])
        return cls(key=key)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of *data*.

        Raises:
            SigningError: the key is not there, or cannot be used.
        """
        return _keygen(["-Y", "sign", "-n", NAMESPACE, "-f", str(self.key)], data)

    def public(self) -> str:
        """Return the public key: its type, itself, and whose it is, where that is known.

        Raises:
            SigningError: it cannot be read.
        """
        beside = self.key if self.key.suffix == ".pub" else Path(f"{self.key}.pub")
        try:
            return beside.read_text().strip()
        except OSError:
            return _keygen(["-y", "-f", str(self.key)]).decode().strip()

    def line(self) -> str:
        """Return the line that lets this key sign.

        Raises:
            SigningError: the key cannot be read.
        """
        kind, key, *whose = self.public().split()
        return f'{whose[0] if whose else "operator"} namespaces="{NAMESPACE}" {kind} {key}'

    def is_listed(self, allowed: str) -> bool:
        """Whether a list of those who may sign has this key.

        Args:
            allowed: the list.

        Raises:
            SigningError: the key cannot be read.
        """
        kind, key = self.public().split()[:2]
        lines = (line for line in allowed.splitlines() if not line.startswith("#"))
        return any(line.split()[-2:] == [kind, key] or f" {kind} {key} " in line for line in lines)


def verify(data: bytes, signature: bytes, *, allowed: Path) -> Signature:
    """Judge a signature.

    Args:
        data: what is said to be signed.
        signature: as ``ssh-keygen -Y sign`` writes it.
        allowed: the list of those who may sign.

    Raises:
        SigningError: ssh-keygen does not run.
    """
    key = claimed_key(signature)
    if not key:
        return Signature(wrong=UNREADABLE)
    with tempfile.TemporaryDirectory(prefix="generalprove-") as scratch:
        file = Path(scratch) / "sig"
        file.write_bytes(signature)
        who = _run(["-Y", "find-principals", "-s", str(file), "-f", str(allowed)])
        if who.returncode or not who.stdout.strip():
            return Signature(key=key, wrong=UNKNOWN)
        signer = who.stdout.decode().splitlines()[0]
        options = ["-I", signer, "-n", NAMESPACE, "-s", str(file), "-f", str(allowed)]
        good = _run(["-Y", "verify", *options], data).returncode == 0
    return Signature(signer=signer, key=key) if good else Signature(key=key, wrong=CHANGED)


def claimed_key(signature: bytes) -> str:
    """Return the public key that a signature says it was made with; empty when unreadable."""
    lines = signature.decode(errors="replace").split("\n")
    try:
        blob = base64.b64decode("".join(line for line in lines if not line.startswith("-")))
        if not blob.startswith(_MAGIC):
            return ""
        key = _string(blob, len(_MAGIC) + 4)
        return f"{_string(key, 0).decode()} {base64.b64encode(key).decode()}"
    except (binascii.Error, struct.error, UnicodeDecodeError, ValueError):
        return ""


def _string(blob: bytes, at: int) -> bytes:
    """Return the string at an offset: its length in four bytes, and itself (RFC 4251)."""
    (length,) = struct.unpack_from(">I", blob, at)
    found = blob[at + 4 : at + 4 + length]
    if len(found) != length:
        raise ValueError("cut short")
    return found


def _keygen(arguments: Sequence[str], data: bytes = b"") -> bytes:
    done = _run(arguments, data)
    if done.returncode:
        said = last_line(done.stderr.decode(errors="replace")) or f"exit code {done.returncode}"
        raise SigningError(f"ssh-keygen: {said}")
    return done.stdout


def _run(arguments: Sequence[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=data,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SigningError(f"ssh-keygen: {error}") from error

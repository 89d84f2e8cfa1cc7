"""What Puppet has written about this host: one JSON file, and the password beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from replicator.doveadm import Doveadm, Endpoint
from replicator.gossip import Gossip

DIRECTORY: Final = Path("/etc/replicator")
CONTROL: Final = Path("/run/replicator/control")


class SettingsError(Exception):
    """The settings cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How this host replicates.

    Attributes:
        address: this host's own in the mesh, where metrics are.
        peer: the peer's address in the mesh.
        dsync_port: where Dovecot takes syncs, on both.
        http_port: where Dovecot has its HTTP API, on the loopback.
        metrics_port: where this has its metrics, and hears of the peer's syncs; the peer the same.
        spool: where Dovecot leaves its markers.
        state: where the service itself writes down what it must not forget.
        parallel: syncs at a time.
        sweep_interval: seconds between sweeps.
        empty: there is such a file as long as this host has never had the mailboxes.
    """

    address: str
    peer: str
    dsync_port: int
    http_port: int
    metrics_port: int
    spool: str
    state: str
    parallel: int
    sweep_interval: int
    empty: str

    @classmethod
    def load(cls, directory: Path = DIRECTORY) -> Self:
        """Read them.

        Raises:
            SettingsError: they cannot be read.
        """
        path = directory / "settings.json"
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise SettingsError(f"{path}: {error}") from error

    @property
    def peer_dovecot(self) -> Endpoint:
        """Where the peer takes syncs."""
        return Endpoint(host=self.peer, port=self.dsync_port)

    @property
    def api(self) -> Endpoint:
        """Where this host's Dovecot can be asked."""
        return Endpoint(host="127.0.0.1", port=self.http_port)

    def doveadm(self, directory: Path = DIRECTORY) -> Doveadm:
        """Return this host's Dovecot.

        Raises:
            SettingsError: its password cannot be read.
        """
        return Doveadm(api=self.api, password=_password(directory), peer=self.peer_dovecot)

    def gossip(self, directory: Path = DIRECTORY) -> Gossip:
        """Return who tells the peer's replicator, and knows it again.

        Raises:
            SettingsError: the password cannot be read.
        """
        peer = Endpoint(host=self.peer, port=self.metrics_port)
        return Gossip(peer=peer, password=_password(directory))


def _password(directory: Path) -> str:
    path = directory / "password"
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error

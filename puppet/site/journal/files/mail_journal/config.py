"""What the journal is told, by Puppet."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

from mail_journal.auth import SHORTEST
from mail_journal.errors import CouldNotError

FILE: Final = Path("/etc/mail-journal/config.json")


class ConfigError(CouldNotError):
    """The configuration cannot be read, or says nonsense."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the journal is told.

    Attributes:
        listen: this node's address on the mesh.
        peer: the other node's.
        port: where the stores listen, for the peer alone.
        metrics_port: where Prometheus asks.
        reinject_port: where Postfix takes what is replayed, on the loopback interface.
        secret: what the two nodes share.
        doveadm_url: Dovecot's HTTP API.
        doveadm_password: its password.
        postfix: directory of Postfix's tables.
        queue: directory of Postfix's queue.
        mail: directory of the mailboxes.
        spool: directory of the journal itself.
        run: directory of what lasts until the next start.
        recipient_delimiter: what stands between a name and what its owner added to it.
        message_size: how large a message may be, in bytes.
        max_bytes: how much the journal may take.
        min_free: how many bytes of its disk are left to others.
        max_age: seconds after which somebody shall look at an entry.
        timeout: seconds that a small message waits for the peer at most.
    """

    listen: str
    peer: str
    secret: str = field(repr=False)
    doveadm_password: str = field(repr=False)
    port: int = 8725
    metrics_port: int = 9725
    reinject_port: int = 10026
    doveadm_url: str = "http://127.0.0.1:8083/doveadm/v1"
    postfix: Path = Path("/etc/postfix")
    queue: Path = Path("/var/spool/postfix")
    mail: Path = Path("/srv/vmail")
    spool: Path = Path("/var/lib/mail-journal")
    run: Path = Path("/run/mail-journal")
    recipient_delimiter: str = "+"
    message_size: int = 52428800
    max_bytes: int = 4 * 1024**3
    min_free: int = 512 * 1024**2
    max_age: float = 86400.0
    timeout: float = 1.0

    @property
    def entries(self) -> Path:
        """The directory of what the peer accepted."""
        return self.spool / "entries"

    @property
    def replayed(self) -> Path:
        """The directory of what was done for a peer that died."""
        return self.spool / "replayed"

    @property
    def socket(self) -> Path:
        """Where Postfix finds the milter."""
        return self.run / "milter.sock"

    @property
    def counts(self) -> Path:
        """Where the milter writes what it has counted."""
        return self.run / "milter.json"

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """Read the configuration.

        Raises:
            ConfigError: it cannot be read, or a value is none.
        """
        try:
            document = json.loads(path.read_text())
            known = {one.name: str(one.type) for one in fields(cls)}
            if strange := sorted(set(document) - set(known)):
                raise ConfigError(f"has no setting {strange[0]}", where=str(path))
            values: dict[str, Any] = {
                name: Path(value) if known[name] == "Path" else value
                for name, value in document.items()
            }
            config = cls(**values)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"cannot be read: {error}", where=str(path), remedy="Puppet writes it"
            ) from error
        if len(config.secret) < SHORTEST:
            raise ConfigError(f"the secret has less than {SHORTEST} characters", where=str(path))
        return config

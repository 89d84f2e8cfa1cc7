"""What the replicators of both servers tell each other: what a sync left, and what somebody has.

What the last sync of a user left is told to the peer, so that whoever syncs next starts from it.
Each server knows what its own syncs left. From an older one a sync takes messages for new that the
other server has thrown away since, and brings them back. Whoever is not there is not told: after a
cut both know what was before it.
"""

from __future__ import annotations

import hmac
import http.client
import json
import logging
from base64 import b64encode
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

if TYPE_CHECKING:
    from replicator.doveadm import Endpoint

LOG = logging.getLogger("replicator")

PATH: Final = "/state"
HELD: Final = "/held"
LARGEST: Final = 1 << 20
_SECONDS: Final = 2.0
_HELD_SECONDS: Final = 20.0
"""It reads 20,000 messages in about one."""


class GossipError(Exception):
    """The peer does not say.

    Attributes:
        reached: whether it was there at all.
    """

    def __init__(self, why: str, *, reached: bool) -> None:
        """Say why."""
        super().__init__(why)
        self.reached = reached


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a sync left.

    Attributes:
        user: whose it was.
        seconds: how long a full one takes.
        state: what Dovecot may start the next from.
    """

    user: str
    seconds: float
    state: str

    @classmethod
    def of(cls, user: str, note: Any) -> Self:  # noqa: ANN401 - JSON
        """Return what is written down of a user.

        Raises:
            ValueError: it makes no sense.
        """
        match note:
            case [int() | float() as seconds, str(state)]:
                return cls(user=user, seconds=float(seconds), state=state)
        raise ValueError(f"not what a sync leaves: {note!r:.80}")

    def note(self) -> list[Any]:
        """Return what is written down."""
        return [self.seconds, self.state]


class Gossip:
    """Tells the peer, and knows it again."""

    def __init__(self, *, peer: Endpoint, password: str) -> None:
        """Make one.

        Args:
            peer: where the peer's replicator listens.
            password: what both know.
        """
        self._peer = peer
        self._auth = "Basic " + b64encode(f"replicator:{password}".encode()).decode()
        self._headers = {"Authorization": self._auth}

    def tell(self, lesson: Lesson) -> None:
        """Tell the peer; whoever is not there is not told."""
        try:
            with closing(self._connect(_SECONDS)) as connection:
                body = json.dumps([lesson.user, lesson.note()])
                connection.request("POST", PATH, body, self._headers)
                connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            LOG.debug("the peer is not told: %r", error)

    def held(self, user: str) -> dict[str, str]:
        """Return what a user has on the peer: a checksum for each folder.

        Raises:
            GossipError: it does not say.
        """
        why = f"the peer does not say what {user} has"
        try:
            with closing(self._connect(_HELD_SECONDS)) as connection:
                connection.request("GET", f"{HELD}?{quote(user)}", headers=self._headers)
                answer = connection.getresponse()
                body = answer.read(LARGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            raise GossipError(f"{why}: {error!r}", reached=False) from error
        if answer.status != http.HTTPStatus.OK:
            raise GossipError(f"{why}: {answer.status}", reached=True)
        try:
            said = json.loads(body)
        except ValueError as error:
            raise GossipError(f"{why}: {body[:80]!r}", reached=True) from error
        if not isinstance(said, dict):
            raise GossipError(f"{why}: {body[:80]!r}", reached=True)
        return {str(folder): str(checksum) for folder, checksum in said.items()}

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._peer.host, self._peer.port, timeout=seconds)

    def is_peer(self, authorization: str) -> bool:
        """Say whether it is the peer who has come."""
        return hmac.compare_digest(authorization.encode(), self._auth.encode())

    @staticmethod
    def heard(body: bytes) -> Lesson:
        """Return what the peer has told.

        Raises:
            ValueError: it makes no sense.
        """
        match json.loads(body):
            case [str(user), note]:
                return Lesson.of(user, note)
        raise ValueError("not what a sync leaves")

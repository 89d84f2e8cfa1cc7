"""What Dovecot is asked to do: its HTTP API, on this host, and whether the peer's Dovecot is there.

The API answers 200 whatever happens; what happened is an exit code as of sysexits.h
(https://doc.dovecot.org/2.4.1/core/admin/doveadm_http_api.html).
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from replicator.relay import Relay

CHANGED: Final = 2
NO_USER: Final = 67

_LARGEST: Final = 16 << 20
_LOCK_SECONDS: Final = 10
_STALL_SECONDS: Final = 30
_ANSWER_SECONDS: Final = 900
"""The first sync of a mailbox of 100,000 messages took 82 s on two slow cores."""

_HELLO: Final = b"VERSION\tdoveadm-server\t1\t0\n"
_GREETINGS: Final = (b"-\n", b"+\n")


class DoveadmError(Exception):
    """Dovecot could not do it.

    Attributes:
        code: the exit code, if it came to one.
    """

    def __init__(self, why: str, *, code: int | None = None) -> None:
        """Say why."""
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a Dovecot listens."""

    host: str
    port: int


class Doveadm:
    """This host's Dovecot, as the replicator uses it."""

    def __init__(self, *, api: Endpoint, password: str, peer: Endpoint) -> None:
        """Make one; nothing is asked yet."""
        self._api = api
        self._auth = b64encode(f"doveadm:{password}".encode()).decode()
        self._peer = peer

    def sync(self, user: str, *, state: str = "") -> str:
        """Sync a user with the peer, both ways.

        Args:
            user: whose mail.
            state: what an earlier sync left; without it the sync is full.

        Returns:
            What a later sync may start from.

        Raises:
            DoveadmError: it did not work, or something changed meanwhile.
        """
        # A false one would be taken for true.
        more = {"state": state} | ({} if state else {"fullSync": True})
        answer = self._ask("sync", self._with_peer(user, self._peer) | more)
        rows = answer if isinstance(answer, list) else []
        return str(rows[0].get("state", "")) if rows and isinstance(rows[0], dict) else ""

    def receive(self, user: str) -> None:
        """Make a user's mail what the peer's is; what only this host has is thrown away.

        Raises:
            DoveadmError: it did not work, or something changed meanwhile: it is not what the
                peer's is.
        """
        with Relay(peer=self._peer) as relay:
            way = Endpoint(host="127.0.0.1", port=relay.port)
            one_way = self._with_peer(user, way) | {"fullSync": True, "reverseSync": True}
            try:
                self._ask("backup", one_way)
            except DoveadmError as error:
                if relay.cut:
                    raise DoveadmError("a message has left meanwhile", code=CHANGED) from error
                raise

    def folders(self, user: str) -> dict[str, str]:
        """Return the names of a user's folders, by their GUIDs.

        Raises:
            DoveadmError: Dovecot does not say.
        """
        return {str(row.get("guid")): str(row.get("mailbox")) for row in self.status(user)}

    def throw_away(self, user: str, *, name: str, guid: str) -> None:
        """Take away a folder with what is in it, unless it is another one by now.

        Raises:
            DoveadmError: it did not work, or somebody has just put something into it.
        """
        self._ask("expunge", {"user": user, "query": ["mailbox-guid", guid, "all"]})
        self._ask("mailboxDelete", {"user": user, "mailbox": [name], "requireEmpty": True})

    def subscriptions(self, user: str) -> frozenset[str]:
        """Return the names of the folders that a user subscribes to, be they there or not.

        Raises:
            DoveadmError: Dovecot does not say.
        """
        asked = {"user": user, "subscriptions": True, "mailboxMask": ["*"]}
        rows = self._listed("mailboxList", asked)
        return frozenset(str(row.get("mailbox")) for row in rows)

    def unsubscribe(self, user: str, *, name: str) -> None:
        """Take away a subscription.

        Raises:
            DoveadmError: it did not work.
        """
        self._ask("mailboxUnsubscribe", {"user": user, "mailbox": [name]})

    def status(self, user: str) -> list[dict[str, Any]]:
        """Return name, GUID and UIDVALIDITY of a user's folders.

        Raises:
            DoveadmError: Dovecot does not say.
        """
        asked = {"user": user, "field": ["guid", "uidvalidity"], "mailboxMask": ["*"]}
        return self._listed("mailboxStatus", asked)

    def messages(self, user: str) -> list[dict[str, Any]]:
        """Return folder, UID, GUID and flags of all of a user's messages.

        Raises:
            DoveadmError: Dovecot does not say, or there are too many for one answer.
        """
        asked = {"user": user, "field": ["mailbox", "uid", "guid", "flags"], "query": ["ALL"]}
        return self._listed("fetch", asked)

    def scripts(self, user: str) -> list[Any]:
        """Return a user's Sieve scripts: their names, which is active, what is in them.

        Raises:
            DoveadmError: Dovecot does not say.
        """
        listed = self._listed("sieveList", {"user": user})
        names = sorted(str(row.get("script")) for row in listed)
        asked = [{"user": user, "scriptname": name} for name in names]
        return [listed, *(self._listed("sieveGet", each) for each in asked)]

    @staticmethod
    def _with_peer(user: str, peer: Endpoint) -> dict[str, Any]:
        return {
            "user": user,
            "destination": [f"tcp:{peer.host}:{peer.port}"],
            "lockTimeout": _LOCK_SECONDS,
            "timeout": _STALL_SECONDS,
        }

    def users(self, mask: str = "*") -> list[str]:
        """Return the users of this host whose names match.

        Raises:
            DoveadmError: Dovecot does not say.
        """
        try:
            answer = self._ask("user", {"userMask": [mask]})
        except DoveadmError as error:
            if error.code == NO_USER:
                return []
            raise
        if not isinstance(answer, dict) or not isinstance(answer.get("userList"), list):
            raise DoveadmError("doveadm user: not a list of users")
        return [str(user) for user in answer["userList"]]

    def _listed(self, command: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Ask for something of which there may be many."""
        answer = self._ask(command, parameters)
        if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
            raise DoveadmError(f"doveadm {command}: not a list")
        return answer

    def _ask(self, command: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        connection = http.client.HTTPConnection(
            self._api.host, self._api.port, timeout=_ANSWER_SECONDS
        )
        try:
            connection.request(
                "POST",
                "/doveadm/v1",
                json.dumps([[command, parameters, "1"]]),
                {"Authorization": f"Basic {self._auth}", "Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            body = answer.read(_LARGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            raise DoveadmError(f"doveadm {command}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise DoveadmError(f"doveadm {command}: HTTP {answer.status} {answer.reason}")
        return _result(command, body)


def reachable(peer: Endpoint, *, seconds: float) -> bool:
    """Say whether a Dovecot answers there, within so many seconds whatever it sends."""
    deadline = time.monotonic() + seconds
    try:
        with socket.create_connection((peer.host, peer.port), timeout=seconds) as connection:
            connection.sendall(_HELLO)
            said = b""
            while len(said) < len(_GREETINGS[0]):
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                more = connection.recv(16)
                if not more:
                    return False
                said += more
            return said.startswith(_GREETINGS)
    except OSError:
        return False


def _result(command: str, body: bytes) -> Any:  # noqa: ANN401 - JSON
    if len(body) > _LARGEST:
        raise DoveadmError(f"doveadm {command}: its answer has no end")
    try:
        ((kind, value, _),) = json.loads(body)
    except (ValueError, TypeError) as error:
        raise DoveadmError(f"doveadm {command}: not an answer: {body[:80]!r}") from error
    if kind == "doveadmResponse":
        return value
    code = value.get("exitCode") if isinstance(value, dict) else None
    why = f"{value}" if code is None else f"exit code {code}; Dovecot's log says more"
    raise DoveadmError(f"doveadm {command}: {why}", code=code)

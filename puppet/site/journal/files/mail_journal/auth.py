"""How the two nodes know each other's requests and answers: by a secret that neither ever sends.

WireGuard hides what they say and keeps strangers out. This keeps out everybody else on the mesh and
on the nodes themselves, and it covers answers as well: a program that listens where the store
should be cannot say that it has stored anything.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

SCHEME: Final = "Mail-Journal"
SHORTEST: Final = 32
"""Characters that a secret must have."""


class Seal:
    """Makes and checks the marks of requests and answers.

    Args:
        secret: what the two nodes share.
    """

    def __init__(self, *, secret: str) -> None:
        self._key = hashlib.sha256(b"mail-journal\0" + secret.encode()).digest()

    def request(self, *, method: str, path: str, nonce: str, digest: str) -> str:
        """Return the mark of a request.

        Args:
            method: of HTTP.
            path: what is asked for.
            nonce: what tells this request from every other.
            digest: SHA-256 of the body, in hexadecimal.
        """
        return self._mark("request", method, path, nonce, digest)

    def answer(self, *, status: int, path: str, nonce: str, digest: str) -> str:
        """Return the mark of an answer to the request with that path and nonce."""
        return self._mark("answer", str(status), path, nonce, digest)

    def _mark(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two marks in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def new_nonce() -> str:
    """Return what tells a request from every other."""
    return secrets.token_hex(8)

"""Who issues the certificates of the sites (ACME, RFC 8555), as the operator knows them."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"


def nobody() -> str:
    """Return no certificates: the system's own are believed."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Acme:
    """An authority.

    Attributes:
        directory: URL of its directory.
        issuer: how CAA records call it (RFC 8659).
        authority: root certificates for that URL, PEM; empty for those of the system.
        roots: returns what visitors of a site believe, PEM; empty for what the system does.
    """

    directory: str = LETS_ENCRYPT
    issuer: str = "letsencrypt.org"
    authority: str = ""
    roots: Callable[[], str] = nobody

    def trust(self) -> ssl.SSLContext:
        """Return how whoever asks for a certificate verifies the authority."""
        return ssl.create_default_context(cadata=self.authority or None)

    def believing(self) -> ssl.SSLContext:
        """Return how visitors verify the sites."""
        return ssl.create_default_context(cadata=self.roots() or None)


def thumbprint(key: str) -> str:
    """Return the thumbprint (RFC 7638) of an RSA key, PEM: half of every answer to a challenge."""
    private = serialization.load_pem_private_key(key.encode(), password=None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("not an RSA key")
    return thumbprint_of(private.public_key().public_numbers())


def thumbprint_of(numbers: rsa.RSAPublicNumbers) -> str:
    """Return the thumbprint of a public key."""
    members = {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _text(hashlib.sha256(text.encode()).digest())


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

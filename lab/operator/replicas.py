"""How hosts that replicate with syncthing know each other: by their certificates, and nothing else.

A host's name among the others (its *device*) is the SHA-256 of its certificate in base32, with a
check character after every thirteenth, in groups of seven (syncthing's documentation has it as
"Device IDs").
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

NAME: Final = "syncthing"
"""What syncthing wants a certificate to be issued to."""

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PART, _GROUP = 13, 7


def device(certificate: str) -> str:
    """Return what a host with that certificate, PEM, is called."""
    der = x509.load_pem_x509_certificate(certificate.encode()).public_bytes(Encoding.DER)
    return device_of(hashlib.sha256(der).digest())


def device_of(digest: bytes) -> str:
    """Return the same for the SHA-256 of a certificate."""
    plain = base64.b32encode(digest).decode().rstrip("=")
    parts = [plain[at : at + _PART] for at in range(0, len(plain), _PART)]
    checked = "".join(part + _check(part) for part in parts)
    return "-".join(checked[at : at + _GROUP] for at in range(0, len(checked), _GROUP))


def _check(part: str) -> str:
    """Return Luhn's check character, modulo 32, as syncthing counts it: from the left."""
    base = len(_ALPHABET)
    total = 0
    for place, letter in enumerate(part):
        addend = _ALPHABET.index(letter) * (1 + place % 2)
        total += addend // base + addend % base
    return _ALPHABET[-total % base]

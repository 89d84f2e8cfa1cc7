"""The secrets of one site: made on first use, kept by the operator, never committed.

Each is a file in one directory that only its owner may read. What a host needs reaches it
encrypted to the site's own key (hiera-eyaml): a lab's key opens nothing of production's.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import pkcs7

from lab.errors import CouldNotError
from lab.fleet import Host
from lab.operator import replicas
from lab.zone_key import ZoneKey

_SECRET_BYTES: Final = 32
_PASSWORD_BYTES: Final = 18
_EYAML_BITS: Final = 3072
_DKIM_BITS: Final = 2048
"""Not more: larger keys are not verified everywhere (RFC 8301, section 3.2)."""
# The certificate is only a form that the public key has; nobody asks how old it is.
_EYAML_DAYS: Final = 36500


class SecretsError(CouldNotError):
    """A secret could not be read or kept."""


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A secret in two halves.

    Attributes:
        public: the half that others may know.
        private: the half that they may not.
    """

    public: str
    private: str = field(repr=False)


class Secrets:
    """The secrets of one site.

    Args:
        directory: where they are kept, one directory for each site.
    """

    def __init__(self, *, directory: Path) -> None:
        self._directory = directory

    @property
    def enrolment_key(self) -> str:
        """What a host shows Puppet's certificate authority to be let in."""
        return self._kept("enrolment_key", _random_text)

    def session_key(self, name: str) -> str:
        """Return what the web service *name* signs its cookies with."""
        return self._kept(f"session/{name}", _random_text)

    def password(self, name: str) -> str:
        """Return a person's password for the service *name*, in letters that can be typed."""
        return self._kept(f"password/{name}", lambda: secrets.token_urlsafe(_PASSWORD_BYTES))

    def shared(self, name: str) -> str:
        """Return what programs on two hosts show each other: letters and digits only."""
        return self._kept(f"shared/{name}", lambda: secrets.token_hex(_SECRET_BYTES))

    def tsig(self, name: str) -> str:
        """Return the shared key *name* for signing DNS messages (RFC 8945), in base64."""
        return self._kept(f"tsig/{name}", _random_base64)

    def zone_key(self, zone: str) -> ZoneKey:
        """Return the key that every server of *zone* signs it with."""
        name = f"{zone.rstrip('.')}."
        return ZoneKey(
            zone=name, private=self._kept(f"zone/{name}", lambda: ZoneKey.make(name).private)
        )

    @property
    def acme_account(self) -> str:
        """The key of the account that certificates are issued to, PEM."""
        return self._kept("acme/account.pem", _rsa_key)

    @property
    def dkim(self) -> KeyPair:
        """What mail is signed with (RFC 6376): the public half as in DNS, the private one PEM."""
        private = self._kept("dkim/key.pem", lambda: _rsa_key(bits=_DKIM_BITS))
        key = serialization.load_pem_private_key(private.encode(), password=None)
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return KeyPair(public=base64.b64encode(public).decode(), private=private)

    @property
    def passage(self) -> KeyPair:
        """What the old and the new web server show each other: a certificate and its key, PEM."""
        private = self._kept("passage/key.pem", _rsa_key)
        return KeyPair(
            public=self._kept("passage/certificate.pem", lambda: _certificate(private)),
            private=private,
        )

    def replica(self, host: str) -> KeyPair:
        """Return what a host shows those it replicates files with: a certificate and its key, PEM.

        Args:
            host: its name.
        """
        private = self._kept(f"replica/{host}.key.pem", _rsa_key)
        made = self._kept(
            f"replica/{host}.certificate.pem", lambda: _certificate(private, name=replicas.NAME)
        )
        return KeyPair(public=made, private=private)

    def wireguard(self, host: Host | str) -> KeyPair:
        """Return a host's keys for the mesh, as wg(8) prints them."""
        name = host if isinstance(host, str) else host.name
        private = self._kept(f"wireguard/{name}", _wireguard_key)
        key = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
        return KeyPair(
            public=base64.b64encode(key.public_key().public_bytes_raw()).decode(), private=private
        )

    @property
    def eyaml(self) -> KeyPair:
        """The site's key for hiera-eyaml: a certificate and its private key, both PEM."""
        private = self._kept("eyaml/private_key.pkcs7.pem", _rsa_key)
        return KeyPair(
            public=self._kept("eyaml/public_key.pkcs7.pem", lambda: _certificate(private)),
            private=private,
        )

    def encrypt(self, value: str) -> str:
        """Return *value* as hiera-eyaml has it in a file: PKCS #7, readable by the site's key."""
        certificate = x509.load_pem_x509_certificate(self.eyaml.public.encode())
        sealed = (
            pkcs7.PKCS7EnvelopeBuilder()
            .set_data(value.encode())
            .add_recipient(certificate)
            .set_content_encryption_algorithm(algorithms.AES256)
            .encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
        )
        return f"ENC[PKCS7,{base64.b64encode(sealed).decode()}]"

    def operators(self, current: Callable[[], str]) -> list[str]:
        """Return the public SSH keys that root lets in, lines of authorized_keys(5).

        The file ``authorized_keys`` among the secrets has them, for people to edit.

        Args:
            current: returns the file of a host as it is now, which the list begins with.
        """
        lines = self._kept("authorized_keys", current).splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        """Return the secret *name*; made, and kept for ever, when there is none."""
        path = self._directory / name
        try:
            if not path.exists():
                _create(path, make())
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise SecretsError(str(error.strerror), where=str(path)) from error


def password_hash(password: str, *, salt: bytes | None = None) -> str:
    """Return what a web server's password file has for *password* (RFC 2307, salted SHA-1).

    nginx knows this one whatever libc it was built with. It is weak for what people make up;
    ours are random and longer than the hash can be searched.
    """
    grain = secrets.token_bytes(8) if salt is None else salt
    digest = hashlib.sha1(password.encode() + grain, usedforsecurity=False).digest()
    return "{SSHA}" + base64.b64encode(digest + grain).decode()


def mailbox_hash(password: str) -> str:
    """Return what Dovecot has for *password*, the same every time (salted SHA-512).

    The salt follows from the password, which is ours: random, and nobody else's.
    """
    grain = hashlib.sha256(password.encode()).digest()[:8]
    digest = hashlib.sha512(password.encode() + grain).digest()
    return "{SSHA512}" + base64.b64encode(digest + grain).decode()


def _create(path: Path, content: str) -> None:
    """Write a file that only its owner reads; one that is there already stays.

    A link to the finished file is made in one step: of two who try, one is first.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        Path(path).hardlink_to(aside)
    except FileExistsError:
        pass
    finally:
        Path(aside).unlink()


def _random_text() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def _random_base64() -> str:
    return base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _wireguard_key() -> str:
    return base64.b64encode(X25519PrivateKey.generate().private_bytes_raw()).decode()


def _rsa_key(*, bits: int = _EYAML_BITS) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def _certificate(private: str, *, name: str = "") -> str:
    key = serialization.load_pem_private_key(private.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101 - made above
    attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else []
    subject = x509.Name(attributes)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_EYAML_DAYS))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()

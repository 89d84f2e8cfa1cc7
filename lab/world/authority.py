"""The lab's certificate authority: what every machine outside believes, as browsers do.

It is made on the laptop, once for each lab, and issues what must be there before anything can
ask for a certificate: the old server's own, and that of the ACME authority's address. What the
ACME authority itself issues comes from a root of its own, new at each of its starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_YEARS: Final = timedelta(days=3650)
_DAYS: Final = timedelta(days=397)
# Machines whose clocks are wrong on purpose must not find a certificate of tomorrow.
_EARLIER: Final = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate and its key, both as PEM.

    Attributes:
        chain: the certificate, and above it whoever issued it.
        key: its private key.
    """

    chain: str
    key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A root that issues.

    Attributes:
        root: its certificate as PEM; what those who believe in it are given.
        key: its private key as PEM.
    """

    root: str
    key: str = field(repr=False)

    @classmethod
    def make(cls, name: str) -> Self:
        """Make an authority of that name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + _YEARS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        return cls(root=_pem(made), key=_key_pem(key))

    def issue(self, names: Sequence[str]) -> Certificate:
        """Issue a server's certificate.

        Args:
            names: what it is asked for by, without final dots; the first is its common name.
        """
        root = x509.load_pem_x509_certificate(self.root.encode())
        root_key = serialization.load_pem_private_key(self.key.encode(), password=None)
        if not isinstance(root_key, ec.EllipticCurvePrivateKey):
            raise TypeError("not a key on an elliptic curve")
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now - _EARLIER + _DAYS)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
                critical=False,
            )
            .sign(root_key, hashes.SHA256())
        )
        return Certificate(chain=_pem(made) + self.root, key=_key_pem(key))


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()

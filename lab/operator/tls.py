"""The certificate that a server shows, and what zones say of it (TLSA)."""

from __future__ import annotations

import base64
import hashlib
import ssl
from contextlib import suppress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab.operator.dns import Dial
from lab.operator.ssh import SshError


def shown(dial: Dial, address: str, host: str, port: int) -> x509.Certificate | None:
    """Return the certificate that a server shows for a name; None without an answer.

    Args:
        dial: opens connections.
        address: of the server.
        host: the name that is asked for.
        port: of a service that begins with TLS.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        suppress(OSError, SshError),
        dial(address, port) as plain,
        context.wrap_socket(plain, server_hostname=host) as sealed,
    ):
        if found := sealed.getpeercert(binary_form=True):
            return x509.load_der_x509_certificate(found)
    return None


def key_of(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of its public key, hexadecimal: a TLSA record 3 1 1 ends with it."""
    public = certificate.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def matches(value: str, certificate: x509.Certificate) -> bool:
    """Return whether a TLSA record (RFC 6698, section 2.1) is for a certificate.

    Records for a certificate of somebody above are taken to be right.
    """
    usage, selector, kind, *data = value.split()
    if usage not in {"1", "3"}:
        return True
    der = (
        certificate.public_bytes(Encoding.DER)
        if selector == "0"
        else certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    hashed = {"0": der, "1": hashlib.sha256(der).digest(), "2": hashlib.sha512(der).digest()}
    return hashed[kind] == base64.b16decode("".join(data).upper())

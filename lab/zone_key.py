"""The key that signs a zone: made on the operator's machine, so that every server can have it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final, Self

import dns.dnssec
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.dnskeybase import Flag

_ALGORITHM: Final = Algorithm.ECDSAP256SHA256
_CURVE: Final = ec.SECP256R1()
_BYTES: Final = 32


@dataclass(frozen=True, kw_only=True)
class ZoneKey:
    """The one key that signs a zone: a combined signing key, ECDSA P-256 with SHA-256.

    Attributes:
        zone: absolute name.
        private: the private number, in base64.
    """

    zone: str
    private: str = field(repr=False)

    @classmethod
    def make(cls, zone: str) -> Self:
        """Make a fresh key."""
        number = ec.generate_private_key(_CURVE).private_numbers().private_value
        return cls(zone=zone, private=base64.b64encode(number.to_bytes(_BYTES)).decode())

    @property
    def dnskey(self) -> str:
        """Return the rdata of its DNSKEY record (RFC 6605)."""
        return self._rdata.to_text()

    @property
    def ds(self) -> str:
        """Return the rdata of the DS record that the parent has, or a validator trusts."""
        return dns.dnssec.make_ds(self.zone, self._rdata, "SHA256").to_text()

    @property
    def private_text(self) -> str:
        """Return the private key in the format of BIND's files, which PowerDNS reads as well."""
        algorithm = f"{_ALGORITHM:d} ({_ALGORITHM.name})"
        return f"Private-key-format: v1.2\nAlgorithm: {algorithm}\nPrivateKey: {self.private}\n"

    @property
    def basename(self) -> str:
        """Return the name that BIND gives to the key's files, without suffix."""
        return f"K{self.zone}+{_ALGORITHM:03d}+{dns.dnssec.key_id(self._rdata):05d}"

    @property
    def _rdata(self) -> DNSKEY:
        number = int.from_bytes(base64.b64decode(self.private))
        public = ec.derive_private_key(number, _CURVE).public_key()
        return dns.dnssec.make_dnskey(public, _ALGORITHM, flags=Flag.ZONE | Flag.SEP)

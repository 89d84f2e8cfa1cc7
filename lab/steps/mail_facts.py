"""What the step ``mail`` decides by: both servers, what was carried, the zones, the way back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lab.operator.old_mail import SERVING, OldMailState
from lab.steps.moving import Recorded

SERVED: Final = "profile::mail::served"
OPEN: Final = "profile::mail::open"
PEERS: Final = "profile::mail::peers"
SELECTOR: Final = "profile::mail::dkim_selector"
POLICY: Final = "profile::mail::mta_sts_mode"
TESTING, ENFORCE = "testing", "enforce"
"""What other servers do about a connection that is not sealed: tell us, or send nothing over it."""
BEFORE: Final = "mail::before"
"""Keys of the stage."""

DATA_FILE: Final = "/var/lib/generalprove/mail.yaml"
SECRETS_FILE: Final = "/var/lib/generalprove/mail.eyaml"
CERTIFICATE: Final = "/etc/ssl/fleet/mail.pem"
SHOWN_KEY: Final = (
    f"openssl x509 -noout -pubkey -in {CERTIFICATE} | "
    "openssl pkey -pubin -outform DER | sha256sum | cut -c 1-64"
)
"""Shell, on a mail server: SHA-256 of the public key in it, hexadecimal."""

COPIED: Final = "/var/lib/generalprove-mail/copied"
"""On the new host: whose mailbox is there, as far as it was when it was copied."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What the new server has.

    Attributes:
        serves: whether Postfix and Dovecot run there.
        certified: whether it has a certificate that others believe.
        key: SHA-256 of the public key in it, hexadecimal.
        copied: addresses whose mailbox has been copied.
    """

    serves: bool = False
    certified: bool = False
    key: str = ""
    copied: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Facts(Recorded):
    """Everything that the phases of the step decide by.

    Attributes:
        old: how the old server stands.
        reachable: whether the new host can be asked at all.
        new: what the new server has.
        served: whether the stage gives it the mail.
        open: whether the stage lets the world come to it.
        policy: what the stage says of MTA-STS; empty for nothing.
    """

    old: OldMailState = field(
        default_factory=lambda: OldMailState(mode=SERVING, postfix=True, dovecot=True)
    )
    reachable: bool = True
    new: Installed = Installed()
    served: bool = False
    open: bool = False
    policy: str = ""

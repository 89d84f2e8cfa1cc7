"""What the step ``mail_ha`` decides by: both servers, the stage, the zones, the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.steps.moving import Recorded

HOSTS: Final = "profile::mail::hosts"
POLICY_MORE: Final = "profile::mail::mta_sts_more"
BEFORE: Final = "mail_ha::before"
"""Keys of the stage."""

SECRETS_FILE: Final = "/var/lib/generalprove/mail_ha.eyaml"
SECOND: Final = "mail2"
"""What the standby is called as a mail server; ``profile::mail::second`` says the same."""

HEALTH_PORT: Final = 8025
"""Where the name servers ask whether people may be led to a host."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """How one of the two mail servers stands.

    Attributes:
        serves: whether Postfix and Dovecot run there.
        paired: whether what keeps it like the other one runs there.
        open: whether it lets people in: its mailboxes have been like the other one's.
        certified: whether it has a certificate that others believe, for every name it is known by.
        key: SHA-256 of the public key in it, hexadecimal.
    """

    serves: bool = False
    paired: bool = False
    open: bool = False
    certified: bool = False
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts(Recorded):
    """Everything that the phases of the step decide by.

    Attributes:
        first: production's server; None when it cannot be asked.
        second: the standby's; None when it cannot be asked.
        together: whether the stage gives the mail to both.
        policy: further lines of the policy for other servers, as the stage has them.
    """

    first: Server | None = None
    second: Server | None = None
    together: bool = False
    policy: str = ""

"""The words ``fleet.yaml`` is written in: names, and what each may look like."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator


def as_tuple(value: object) -> object:
    """Take a list where a frozen value wants a tuple; strict mode would refuse it."""
    return tuple(value) if isinstance(value, list) else value


def _spelt(pattern: str, what: str) -> Callable[[str], str]:
    """Return a validator that says what a text is not, where a pattern would say nothing."""

    def validate(text: str) -> str:
        if re.fullmatch(pattern, text):
            return text
        raise ValueError(f"{text!r} is not {what}")

    return validate


StepName = Literal[
    "control", "dns", "web", "mail", "wipe", "dns_secondary", "web_ha", "mail_ha", "watch"
]
"""The steps of the migration, in their order (``lab/steps`` has one file for each)."""

RoleName = Literal["base", "control", "production", "standby"]
"""What a host is for; each is a role class in ``puppet/``."""

SiteName = Literal["production", "lab"]
"""The two places where the fleet exists."""

Label = Annotated[str, AfterValidator(_spelt(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", "a plain name"))]
"""Usable as host name, alias and file name alike: lower case, digits, hyphens, 32 at most."""

DomainName = Annotated[str, AfterValidator(_spelt(r"([a-z0-9][a-z0-9-]*\.)+[a-z]+", "a domain"))]
"""At least two labels, in lower case, without the final dot."""

MailAddress = Annotated[str, AfterValidator(_spelt(r"[^@\s]+@[^@\s]+\.[^@\s]+", "a mail address"))]
"""An address people read."""

WebAddress = Annotated[str, AfterValidator(_spelt(r"https?://[^\s\"]+", "an address on the web"))]
"""What a program is told to call."""

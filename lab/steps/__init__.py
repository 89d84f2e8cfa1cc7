"""The steps of the migration, in their order."""

from __future__ import annotations

from typing import Final

from lab.errors import CouldNotError
from lab.steps.base import Step, StepCheckError, StepError
from lab.steps.control import Control
from lab.steps.dns import Dns
from lab.steps.dns_secondary import DnsSecondary
from lab.steps.mail import Mail
from lab.steps.mail_ha import MailHa
from lab.steps.watch import Watch
from lab.steps.web import Web
from lab.steps.web_ha import WebHa
from lab.steps.wipe import Wipe

STEPS: Final[tuple[type[Step], ...]] = (
    Control,
    Dns,
    Web,
    Mail,
    Wipe,
    DnsSecondary,
    WebHa,
    MailHa,
    Watch,
)


class NoStepError(CouldNotError):
    """There is no step of that name."""


def step_class(name: str) -> type[Step]:
    """Return the step called *name*.

    Raises:
        NoStepError: there is none.
    """
    for step in STEPS:
        if step.name == name:
            return step
    known = ", ".join(step.name for step in STEPS)
    raise NoStepError(f"there is no step {name!r}", remedy=f"There are {known}")


__all__ = ["STEPS", "NoStepError", "Step", "StepCheckError", "StepError", "step_class"]

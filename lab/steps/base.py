"""What a step of the migration is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from lab.errors import CheckFailedError, CouldNotError

if TYPE_CHECKING:
    from lab.operator import Operator


class StepError(CouldNotError):
    """A step could not be made or undone."""


class StepCheckError(CheckFailedError):
    """A step may not start, or did not do what it should."""


class Step(ABC):
    """One step of the migration, the same on the real servers as in a lab.

    It acts through the operator and nothing else. What has been done already is found out from
    the servers, not remembered here: every method may be interrupted and called again.

    Attributes:
        name: what it is called on the command line and in the stage.
        title: what it does, for people.
        needs: names of the steps that come before it.

    Args:
        operator: the hands.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, operator: Operator) -> None:
        self.operator = operator

    @abstractmethod
    def check(self) -> None:
        """Find out whether it may start; nothing is changed.

        Raises:
            StepCheckError: it may not, and why.
        """

    @abstractmethod
    def apply(self) -> None:
        """Make the step, or what is left of it."""

    @abstractmethod
    def verify(self) -> None:
        """Find out from outside whether it worked.

        Raises:
            StepCheckError: it did not, and what is wrong.
        """

    @abstractmethod
    def rollback(self) -> None:
        """Undo the step, however far it had come."""

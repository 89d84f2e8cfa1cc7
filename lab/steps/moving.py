"""A service moves: from where, whereto, and what all phases of that have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from lab.fleet import Host
from lab.operator import Operator
from lab.operator.ssh import SshError
from lab.operator.zones import RecordSet, Zone
from lab.steps.phases import Facts, Phase


@dataclass(frozen=True, kw_only=True)
class Moving:
    """The host that something moves from, and the one that takes over.

    Attributes:
        op: the operator.
        old: the host that was set up by hand.
        new: the host that takes over.
    """

    op: Operator
    old: Host
    new: Host

    @classmethod
    def of(cls, operator: Operator) -> Self:
        """Return the move from today's production to the new one."""
        return cls(op=operator, old=operator.fleet.legacy, new=operator.fleet.production)

    @property
    def old_addresses(self) -> tuple[str, str]:
        """Addresses of the old host, IPv4 and IPv6."""
        return self.addresses(self.old)

    @property
    def new_addresses(self) -> tuple[str, str]:
        """Addresses of the new one, IPv4 and IPv6."""
        return self.addresses(self.new)

    def addresses(self, host: Host) -> tuple[str, str]:
        """Return the addresses of *host*, IPv4 and IPv6."""
        address = self.op.site.address(host)
        return (str(address.v4), str(address.v6))


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What is known of the zones when something moves.

    Attributes:
        ttl_limit: longest time to live that the stage allows; None for no limit.
        before: zone -> records that the step changes, as they were; empty before it began.
        content: the zones as data for Puppet.
        zones: as they are served now.
    """

    ttl_limit: int | None = None
    before: Mapping[str, tuple[RecordSet, ...]] = field(default_factory=dict)
    content: Mapping[str, Zone] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)


Way = TypeVar("Way", bound=Moving)


class MovePhase(Phase[Facts], Generic[Facts, Way]):
    """A phase of a move.

    Args:
        move: from where, whereto, and with which hands.
    """

    def __init__(self, *, move: Way) -> None:
        self.move = move

    def puppet(self, *, undo: bool = False) -> None:
        """Let Puppet make the new host what the stage says.

        A new host that cannot be reached must not keep anybody from going back: Puppet will find
        what the stage says as soon as the host is there again.

        Args:
            undo: whether somebody goes back.
        """
        op, host = self.move.op, self.move.new.name
        try:
            with op.report.task(f"Puppet on {host}"):
                op.puppet.agent(host)
        except SshError as error:
            if not undo:
                raise
            op.report.say(f"[yellow]{error}: left to its next run of Puppet[/]")

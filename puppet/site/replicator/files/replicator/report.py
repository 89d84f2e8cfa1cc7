"""How it stands: a value, as data for programs and as text for people."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from replicator.breaker import Breaker, State
from replicator.machine import Machine

WORST = 10
HEALTHY_LAG = 30.0


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody whose mail is not alike on both, as far as is known.

    Attributes:
        user: who.
        lag: how old the oldest change is that has not been synced, in seconds.
        failures: how often it has failed in a row.
        error: why, the last time.
    """

    user: str
    lag: float
    failures: int
    error: str


@dataclass(frozen=True, kw_only=True)
class Running:
    """A sync under way."""

    user: str
    kind: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """How it stands at one moment.

    Attributes:
        peer: its address.
        breaker: closed, open or half-open.
        breaker_seconds: for how long.
        opened: how often it has opened since the start.
        queue: how many users wait.
        running: what is under way.
        lag: how old the oldest change is that has not been synced, in seconds.
        worst: the users who are worst off.
        failures: how many syncs have failed since the start.
        unswept: how many users the sweep under way has still to reach.
        sweeps: how many have been done since the start.
        sweep_seconds: how long the last one took.
        sweep_ended: when, in seconds since 1970; 0 before the first.
    """

    peer: str
    breaker: str
    breaker_seconds: float
    opened: int
    queue: int
    running: Sequence[Running]
    lag: float
    worst: Sequence[User]
    failures: int
    unswept: int
    sweeps: int
    sweep_seconds: float
    sweep_ended: float

    @property
    def healthy(self) -> bool:
        """Whether mail is replicated as it should be."""
        return (
            self.breaker == State.CLOSED
            and self.sweeps > 0
            and self.lag < HEALTHY_LAG
            and not any(user.failures for user in self.worst)
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as data."""
        return {"healthy": self.healthy} | asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read it back."""
        plain = {name: value for name, value in data.items() if name != "healthy"}
        return cls(
            **plain
            | {
                "running": [Running(**each) for each in plain["running"]],
                "worst": [User(**each) for each in plain["worst"]],
            }
        )

    def as_text(self) -> str:
        """Return it as people read it."""
        ended = (
            f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(self.sweep_ended))}"
            f" ({self.sweep_seconds:.1f} s)"
            if self.sweeps
            else "never"
        )
        under_way = f", {self.unswept} users of the next left" if self.unswept else ""
        lines = [
            f"{'healthy' if self.healthy else 'NOT HEALTHY'}: peer {self.peer}",
            f"breaker     {self.breaker} for {self.breaker_seconds:.0f} s, {self.opened}x open",
            f"queue       {self.queue} waiting, {len(self.running)} under way",
            f"lag         {self.lag:.1f} s",
            f"failures    {self.failures} since the start",
            f"last sweep  {ended}{under_way}",
        ]
        if self.worst:
            lines += ["", f"{'user':<40} {'lag':>8} {'failures':>8}  last error"]
            lines += [
                f"{user.user:<40} {user.lag:>6.1f} s {user.failures:>8}  {user.error}".rstrip()
                for user in self.worst
            ]
        return "\n".join(lines)


def take(
    *,
    peer: str,
    machine: Machine,
    breaker: Breaker,
    errors: Mapping[str, str],
    failures: int,
    sweep_seconds: float,
    sweep_ended: float,
    now: float,
) -> Report:
    """Say how it stands."""
    behind = [
        User(
            user=name,
            lag=now - debt.since if debt.since is not None else 0.0,
            failures=debt.failures,
            error=errors.get(name, ""),
        )
        for name, debt in machine.debts()
        if debt.since is not None or debt.failures
    ]
    behind.sort(key=lambda user: (-user.lag, -user.failures, user.user))
    return Report(
        peer=peer,
        breaker=breaker.state,
        breaker_seconds=now - breaker.since,
        opened=breaker.opened,
        queue=machine.queue,
        running=[
            Running(user=job.user, kind=job.kind, seconds=now - job.started)
            for job in machine.running()
        ],
        lag=max((user.lag for user in behind), default=0.0),
        worst=behind[:WORST],
        failures=failures,
        unswept=machine.unswept,
        sweeps=machine.sweeps_done,
        sweep_seconds=sweep_seconds,
        sweep_ended=sweep_ended,
    )

"""What the step ``wipe`` decides by: the old host, what the stage keeps, the zones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lab.operator.zones import RecordSet, Zone

ENROLLED: Final = "fleet::enrolled"
CLIENTS: Final = "profile::backup::clients"
BEFORE: Final = "wipe::before"
AFTER: Final = "wipe::after"
WATCHED: Final = "wipe::watched"
BACKUP: Final = "wipe::backup"
WIPING: Final = "wipe::wiping"
IGNORED: Final = "wipe::ignored"
"""Keys of the stage."""

OLD, GONE, BARE, FOREIGN = "old", "gone", "bare", "foreign"
"""What the host is: as it was, not to be reached, made anew, or made anew as something else."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the phases of the step decide by.

    Attributes:
        host: what the old host is, :data:`OLD` and so on.
        system: what it runs.
        identity: of the installation there; empty when it cannot be reached.
        before: zone -> records that the step takes out or changes, as they were.
        after: the same, as they are to be; None before the step has begun.
        content: the zones as data for Puppet.
        zones: as they are served now.
        watching: since when the host is watched, by its own clock; None when it is not.
        watched: since when it was watched for long enough, as the stage says; None if never.
        backup: what the stage says of the backup that was read back and compared.
        clients: hosts that may send backups.
        wiping: identity of the installation that is to go, as the stage says; empty before.
        enrolled: hosts that Puppet knows, as the stage says.
        signed: whether the host has a certificate of Puppet's, and its last run went well.
    """

    host: str = OLD
    system: str = ""
    identity: str = ""
    before: Mapping[str, tuple[RecordSet, ...]] = field(default_factory=dict)
    after: Mapping[str, tuple[RecordSet, ...]] | None = None
    content: Mapping[str, Zone] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)
    watching: int | None = None
    watched: int | None = None
    backup: Mapping[str, object] = field(default_factory=dict)
    clients: frozenset[str] = frozenset()
    wiping: str = ""
    enrolled: tuple[str, ...] = ()
    signed: bool = False


def state_of(*, identity: str, wiping: str, system: str, wanted: str) -> str:
    """Return what the host is.

    Args:
        identity: of the installation that answers; empty when none does.
        wiping: of the one that is to go; empty before anything was to go.
        system: that answers.
        wanted: that a bare host runs.
    """
    if not identity:
        return GONE
    if not wiping or identity == wiping:
        return OLD
    return BARE if system == wanted else FOREIGN

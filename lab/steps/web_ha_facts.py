"""What the step ``web_ha`` decides by: both servers, the zones, what the stage says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lab.operator.zones import Zone
from lab.steps.mail_records import Records

HOSTS: Final = "profile::web::hosts"
REPLICAS: Final = "profile::web::replicas"
BEFORE: Final = "web_ha::before"
AFTER: Final = "web_ha::after"
"""Keys of the stage."""

NODE_FILE: Final = "/var/lib/generalprove/nodes/{host}/web.eyaml"
"""Where hiera.yaml has what only one host may know, on the control host."""

DRAIN: Final = "/usr/local/sbin/host-drain"
"""What a host is told with that nobody new shall come to it."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What one of the two servers has.

    Attributes:
        serves: whether HAProxy runs there.
        together: whether it knows the other one.
        replicates: whether what programs write is exchanged.
        releases: name of the site -> version of its content in force.
        certified: names of the sites whose certificate is good for another week.
        drained: whether it wants nobody.
    """

    serves: bool = False
    together: bool = False
    replicates: bool = False
    releases: Mapping[str, str] = field(default_factory=dict)
    certified: frozenset[str] = frozenset()
    drained: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the phases of the step decide by.

    Attributes:
        first: what the server that serves alone has; None when it cannot be asked.
        second: the same of the one that joins it.
        hosts: who serves, as the stage says; nobody before the step.
        before: zone -> records that the step changes, as they were.
        after: the same, as they are to be; None before the step has come to them.
        content: the zones as data for Puppet.
        zones: host -> the zones as it serves them.
        ttl_limit: longest time to live that the stage allows; None for no limit.
    """

    first: Serving | None = None
    second: Serving | None = None
    hosts: tuple[str, ...] = ()
    before: Records = field(default_factory=dict)
    after: Records | None = None
    content: Mapping[str, Zone] = field(default_factory=dict)
    zones: Mapping[str, Mapping[str, Zone]] = field(default_factory=dict)
    ttl_limit: int | None = None

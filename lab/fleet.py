"""The fleet as ``fleet.yaml`` describes it: loaded, validated, frozen.

Everything else derives from it: the lab, the Vagrantfile, Puppet's data, the operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from lab.addresses import V4, Address, shifted
from lab.fleet_check import problems_between_parts, problems_in_shape
from lab.fleet_file import FleetCheckError, FleetError, FleetFile
from lab.fleet_types import (
    DomainName,
    Label,
    MailAddress,
    RoleName,
    SiteName,
    StepName,
    WebAddress,
    as_tuple,
)

DEFAULT_PATH = Path(__file__).resolve().parent.parent / "fleet.yaml"
"""The description beside the code, where a clone has it."""


class _Part(BaseModel):
    """What every part of the file has in common: frozen, strict, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Hardware(_Part):
    """The real machine's size, which the lab gives to its stand-in where it can.

    Attributes:
        cores: hardware threads.
        memory_mb: main memory in MiB.
        disk_gb: disk in GB.
    """

    cores: int = Field(ge=1, le=512)
    memory_mb: int = Field(ge=512, le=4 * 1024 * 1024)
    disk_gb: int = Field(ge=8, le=1_000_000)


class Host(_Part):
    """One server of the fleet.

    Attributes:
        name: its key in the file; host name, SSH alias and container name derive from it.
        provider: key of the provider it hangs on.
        role: what it is for.
        hardware: its size.
        production: its real addresses.
        lab: its addresses in a lab of block 0; ask :meth:`Site.address` instead.
        wireguard: its address in the mesh between the hosts, the same at every site.
        legacy: whether it is today's production, made by hand.
        enrols: the step in which Puppet takes it over.
        promotion_order: its turn in a promotion, lowest first.
        ssh: its alias in the user's own SSH configuration, for production; its name if not given.
    """

    name: str
    provider: str
    role: RoleName
    hardware: Hardware
    production: Address
    lab: Address
    wireguard: V4
    legacy: bool = False
    enrols: StepName
    promotion_order: int = Field(ge=1)
    ssh: str = Field(min_length=1)


class Latency(_Part):
    """The delay between two providers.

    Attributes:
        between: their keys, in either order.
        ms: one-way delay in milliseconds.
    """

    between: Annotated[tuple[str, str], BeforeValidator(as_tuple)]
    ms: float = Field(gt=0, le=2000)


class LabTtl(_Part):
    """Times to live that the lab scales down, in seconds.

    Attributes:
        zone: of records in the fleet's own zones.
        parent: of NS, glue and DS at the registry.
    """

    zone: int = Field(ge=1, le=3600)
    parent: int = Field(ge=1, le=3600)


class LabMail(_Part):
    """How much mail the old server of a lab has.

    Attributes:
        messages: in its largest mailbox; the others together have about a fifth of it.
    """

    messages: int = Field(ge=100, le=1_000_000)


class SiteEntry(_Part):
    """What the file says of a site.

    Attributes:
        domain: where the host names live.
        watchdog: what is told every minute that the monitoring runs, and complains when it hears
            nothing; nobody when empty.
    """

    domain: DomainName
    watchdog: WebAddress = ""


class Sites(_Part):
    """The real servers, and their rehearsal.

    Attributes:
        production: the real ones.
        lab: the rehearsal.
    """

    production: SiteEntry
    lab: SiteEntry


class Fleet(_Part):
    """The whole description.

    Attributes:
        name: of the fleet.
        domain: what the users know: web, mail and DNS live there.
        contact: who answers for it.
        alerts: where alerts go; of another domain, whose mail works when the fleet's does not.
        sites: where the fleet exists.
        providers: key to description.
        latency: delays between providers; a pair not listed has none.
        lab_ttl: times to live in the lab.
        lab_mail: how much mail the old server of a lab has.
        hosts: by name, in the file's order.
    """

    name: Label
    domain: DomainName
    contact: MailAddress
    alerts: MailAddress
    sites: Sites
    providers: dict[Label, str]
    latency: Annotated[tuple[Latency, ...], BeforeValidator(as_tuple)] = ()
    lab_ttl: LabTtl
    lab_mail: LabMail
    hosts: dict[Label, Host]

    @field_validator("hosts", mode="before")
    @classmethod
    def _name_hosts(cls, hosts: Any) -> Any:  # noqa: ANN401 - not validated yet
        """Tell each host its key, which is its SSH alias as well unless it says otherwise."""
        if not isinstance(hosts, Mapping):
            return hosts
        return {
            name: {"name": name, "ssh": name, **host} if isinstance(host, Mapping) else host
            for name, host in hosts.items()
        }

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read and validate the description.

        Args:
            path: the file; the one beside the code by default.

        Raises:
            FleetError: it cannot be read.
            FleetCheckError: it is wrong. Every reason has a line of its own,
                ``fleet.yaml:LINE: key.path: reason``. What the parts say of each other is
                looked at once every part is right in itself.
        """
        file = FleetFile.read(path or DEFAULT_PATH)
        try:
            fleet = cls.model_validate(file.data)
        except ValidationError as error:
            raise FleetCheckError(file.complaint(problems_in_shape(error))) from None
        if complaint := file.complaint(problems_between_parts(fleet)):
            raise FleetCheckError(complaint)
        return fleet

    @property
    def control(self) -> Host:
        """The host that runs Puppet Server."""
        return next(host for host in self.hosts.values() if host.role == "control")

    @property
    def production(self) -> Host:
        """The host that production moves to."""
        return next(host for host in self.hosts.values() if host.role == "production")

    @property
    def legacy(self) -> Host:
        """Today's production, made by hand."""
        return next(host for host in self.hosts.values() if host.legacy)

    def with_role(self, role: RoleName) -> tuple[Host, ...]:
        """Return the hosts of a role, in order of promotion."""
        found = (host for host in self.hosts.values() if host.role == role)
        return tuple(sorted(found, key=lambda host: host.promotion_order))

    def host(self, name: str) -> Host:
        """Return one host.

        Raises:
            FleetError: there is none of that name.
        """
        return _known(self.hosts, name)

    def delay(self, provider_a: str, provider_b: str) -> float:
        """Return the one-way delay between two providers in seconds, 0 if none is listed."""
        pair = {provider_a, provider_b}
        return next((entry.ms / 1000 for entry in self.latency if set(entry.between) == pair), 0.0)

    def site(self, name: SiteName, *, block: int = 0) -> Site:
        """Return the fleet as it stands at one site.

        Args:
            name: ``production`` or ``lab``.
            block: the lab's block; production has none but 0.

        Raises:
            ValueError: no such block.
        """
        entry = self.sites.lab if name == "lab" else self.sites.production
        if name == "production" and block:
            raise ValueError("production has no blocks")
        return Site(
            name=name,
            domain=entry.domain,
            block=block,
            hosts=self.hosts,
            watchdog=entry.watchdog,
        )


@dataclass(frozen=True, kw_only=True)
class Site:
    """One place where the fleet exists: its names and addresses there.

    Attributes:
        name: ``production`` or ``lab``.
        domain: where the host names live.
        block: the lab's address block, 0 in production.
        hosts: the fleet's hosts by name.
        watchdog: URL that is told that the monitoring runs; empty for none.
    """

    name: SiteName
    domain: str
    block: int = 0
    hosts: Mapping[str, Host]
    watchdog: str = ""

    def address(self, host: Host | str) -> Address:
        """Return the addresses a host has at this site.

        Raises:
            FleetError: there is no host of that name.
        """
        found = host if isinstance(host, Host) else _known(self.hosts, host)
        if self.name == "production":
            return found.production
        return shifted(found.lab, block=self.block)

    def certname(self, host: Host | str) -> str:
        """Return a host's full name at this site, which is also Puppet's name for it.

        Raises:
            FleetError: there is no host of that name.
        """
        found = host if isinstance(host, Host) else _known(self.hosts, host)
        return f"{found.name}.{self.domain}"


def _known(hosts: Mapping[str, Host], name: str) -> Host:
    try:
        return hosts[name]
    except KeyError:
        remedy = f"Known are {', '.join(hosts)}"
        raise FleetError(f"there is no host {name!r}", where="fleet", remedy=remedy) from None

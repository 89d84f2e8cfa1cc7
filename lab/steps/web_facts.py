"""What the step ``web`` finds: the sites, the old server, the new one, the zones, the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from lab.fleet import Host
from lab.operator import Operator, web_data, zone_data
from lab.operator.acme import thumbprint
from lab.operator.apache import LOOPBACK, Apache, ApacheState
from lab.operator.carry import Carrier, Place
from lab.operator.dns import DnsError
from lab.operator.site_files import as_yaml
from lab.operator.ssh import SshError
from lab.operator.web_client import Server
from lab.operator.web_data import Site
from lab.operator.zones import RecordSet, Zone, record_set
from lab.steps.dns_facts import CONTENT_FILE, TTL_LIMIT

SERVED: Final = "profile::web::served"
PASSAGE: Final = "profile::web::passage"
ACME: Final = "profile::web::acme"
MAX_AGE: Final = "profile::web::max_age"
BEFORE: Final = "web::before"
"""Keys of the stage."""

SECRETS_FILE: Final = "/var/lib/generalprove/web.eyaml"
ORIGIN: Final = "/usr/local/sbin/web-origin"
CERTIFICATES: Final = "/etc/haproxy/certificates"

HERE, THERE = "here", "there"
"""Where a site's programs run: on the new server, or still on the old one."""

NGINX: Final = 8080


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What the new server has.

    Attributes:
        serves: whether HAProxy runs there.
        releases: name of the site -> version of its content in force.
        certified: names of the sites whose certificate is valid.
        origins: name of the site -> where its programs run, if not on the new server.
    """

    serves: bool = False
    releases: Mapping[str, str] = field(default_factory=dict)
    certified: frozenset[str] = frozenset()
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the phases of the step decide by.

    Attributes:
        old: how the old server stands.
        versions: name of the site -> version of its content on the old server.
        reachable: whether the new host can be asked at all.
        new: what the new server has.
        served: the sites that the stage gives it.
        max_age: how long the stage lets browsers remember HTTPS.
        ttl_limit: longest time to live that the stage allows; None for no limit.
        before: zone -> records that lead to the old server, as they were before the step.
        content: the zones as data for Puppet.
        zones: as they are served now.
    """

    old: ApacheState
    versions: Mapping[str, str] = field(default_factory=dict)
    reachable: bool = True
    new: Installed = Installed()
    served: frozenset[str] = frozenset()
    max_age: int = 0
    ttl_limit: int | None = None
    before: Mapping[str, tuple[RecordSet, ...]] = field(default_factory=dict)
    content: Mapping[str, Zone] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Move:
    """From where the sites move, and whereto.

    Attributes:
        op: the operator.
        old: the host whose Apache was set up by hand.
        new: the host that takes over.
    """

    op: Operator
    old: Host
    new: Host

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """The sites."""
        return web_data.read(self.op.fleet.domain)

    @property
    def with_content(self) -> tuple[Site, ...]:
        """Those that have any."""
        return tuple(site for site in self.sites if site.source)

    @property
    def with_data(self) -> tuple[Site, ...]:
        """Those whose programs write."""
        return tuple(site for site in self.sites if site.data)

    @cached_property
    def apache(self) -> Apache:
        """The old server."""
        return Apache(ssh=self.op.ssh, host=self.old.name)

    @cached_property
    def carrier(self) -> Carrier:
        """Who carries content."""
        return Carrier(ssh=self.op.ssh)

    @property
    def new_addresses(self) -> tuple[str, ...]:
        """Addresses of the new server, IPv4 and IPv6."""
        return self._addresses(self.new)

    @property
    def old_addresses(self) -> tuple[str, ...]:
        """Addresses of the old server, IPv4 and IPv6."""
        return self._addresses(self.old)

    def at_old(self) -> Server:
        """The old server's own answers, whatever it passes on."""
        return Server(dial=self.op.ssh.dial, address=LOOPBACK, via=self.old.name)

    def at_new(self) -> Server:
        """The new server's own content, whatever its edge passes back."""
        return Server(dial=self.op.ssh.dial, address=LOOPBACK, via=self.new.name, plain=NGINX)

    def content_of(self, site: Site) -> Place:
        """Where a site's content is on the old server."""
        return Place(host=self.old.name, path=site.source)

    def data_at_old(self, site: Site) -> Place:
        """Where a site's data is on the old server."""
        return Place(host=self.old.name, path=f"{site.source}/{site.data}")

    def data_at_new(self, site: Site) -> Place:
        """Where a site's data is on the new server."""
        return Place(host=self.new.name, path=f"{site.home}/shared/{site.data}")

    def become(self, mode: str) -> None:
        """Let the old server pass on what *mode* says."""
        pair = self.op.secrets.passage
        self.apache.become(mode, new=self.new_addresses, certificate=pair.public, key=pair.private)

    def moved(self, record: RecordSet) -> RecordSet:
        """Return a record of the old server's as one of the new server's."""
        new = dict(zip(self.old_addresses, self.new_addresses, strict=True))
        values = [new.get(value, value) for value in record.values]
        return RecordSet(
            name=record.name, ttl=record.ttl, type=record.type, values=tuple(sorted(values))
        )

    def write_secrets(self) -> None:
        """Let Puppet have the key of the account, and that of the passage."""
        op = self.op
        data = {
            "profile::web::account_key": op.secrets.encrypt(op.secrets.acme_account),
            "profile::web::passage_key": op.secrets.encrypt(op.secrets.passage.private),
        }
        op.ssh.write(op.puppet.control, SECRETS_FILE, as_yaml(data))

    def stage(self) -> dict[str, object]:
        """Return what Puppet is told of the sites."""
        op = self.op
        account = thumbprint(op.secrets.acme_account)
        authority = {"authority": op.acme.authority} if op.acme.authority else {}
        return {
            SERVED: [site.name for site in self.sites],
            PASSAGE: {
                "peers": list(self.old_addresses),
                "certificate": op.secrets.passage.public,
            },
            ACME: {"directory": op.acme.directory, "thumbprint": account, **authority},
        }

    def observe(self) -> Facts:
        """Ask all who know, at once."""
        op = self.op
        stage = op.stage.read()
        with ThreadPoolExecutor() as pool:
            state = pool.submit(self.apache.state)
            versions = pool.submit(self._versions)
            new = pool.submit(self._observe_new)
            content = pool.submit(self._content)
            zones = pool.submit(self._zones)
        installed = new.result()
        return Facts(
            old=state.result(),
            versions=versions.result(),
            reachable=installed is not None,
            new=installed or Installed(),
            served=frozenset(_texts(stage.get(SERVED))),
            max_age=_number(stage.get(MAX_AGE)) or 0,
            ttl_limit=_number(stage.get(TTL_LIMIT)),
            before=_before(stage.get(BEFORE)),
            content=content.result(),
            zones=zones.result(),
        )

    def _versions(self) -> dict[str, str]:
        def one(site: Site) -> str:
            return self.carrier.version(self.content_of(site), without=site.data)

        return {site.name: one(site) for site in self.with_content}

    def _observe_new(self) -> Installed | None:
        """Return what the new server has; None when it cannot be asked."""
        week = 7 * 24 * 3600
        script = f"""
            systemctl is-active haproxy.service >/dev/null 2>&1 && echo serves yes
            for link in /srv/www/*/current; do
                site=${{link%/current}}
                [ -e "$link" ] && echo release "${{site##*/}}" "$(basename "$(readlink "$link")")"
            done
            for pem in {CERTIFICATES}/*.pem; do
                [ -e "$pem" ] && openssl x509 -noout -checkend {week} -in "$pem" >/dev/null &&
                    echo certified "$(basename "$pem" .pem)"
            done
            [ -e {ORIGIN} ] && {ORIGIN} show | sed 's/^/origin /'
            true
        """
        try:
            said = self.op.ssh.run(self.new.name, f"set +e\n{script}").stdout.splitlines()
        except SshError:
            return None
        words = [line.split() for line in said]
        return Installed(
            serves=["serves", "yes"] in words,
            releases={each[1]: each[2] for each in words if each[0] == "release"},
            certified=frozenset(each[1] for each in words if each[0] == "certified"),
            origins={each[1]: each[2] for each in words if each[0] == "origin"},
        )

    def _content(self) -> dict[str, Zone]:
        text = self.op.ssh.read(self.op.puppet.control, CONTENT_FILE)
        return zone_data.from_hiera(text)

    def _zones(self) -> dict[str, Zone]:
        """Return the zones as the new host serves them; none while it does not."""
        found = {}
        for name in self._content():
            try:
                found[name] = self.op.dns.axfr("127.0.0.1", name, via=self.new.name)
            except (DnsError, SshError):
                continue
        return found

    def _addresses(self, host: Host) -> tuple[str, ...]:
        address = self.op.site.address(host)
        return (str(address.v4), str(address.v6))


def leading(
    names: Iterable[str], zones: Iterable[Zone], addresses: Sequence[str]
) -> dict[str, tuple[RecordSet, ...]]:
    """Return the records by which *names* lead to *addresses*, by zone.

    Args:
        names: host names without the last dot.
        zones: where they are looked up; aliases are followed within them.
        addresses: what counts.
    """
    known = {
        (zone.absolute(record.name).rstrip(".").lower(), record.type): (zone.origin, record)
        for zone in zones
        for record in zone.records
    }
    found: dict[str, dict[tuple[str, str], RecordSet]] = {}
    for name in names:
        owner, seen = name.lower(), set[str]()
        while (alias := known.get((owner, "CNAME"))) and owner not in seen:
            seen.add(owner)
            owner = alias[1].values[0].rstrip(".").lower()
        for rdtype in ("A", "AAAA"):
            hit = known.get((owner, rdtype))
            if hit and set(hit[1].values) & set(addresses):
                origin, record = hit
                found.setdefault(origin, {})[(record.name, rdtype)] = record
    return {origin: tuple(records.values()) for origin, records in found.items()}


def kept(before: Mapping[str, Iterable[RecordSet]]) -> dict[str, object]:
    """Return records as the stage keeps them."""
    return {
        origin: [
            {"name": r.name, "ttl": r.ttl, "type": r.type, "values": list(r.values)}
            for r in records
        ]
        for origin, records in before.items()
    }


def _before(found: object) -> dict[str, tuple[RecordSet, ...]]:
    given: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    return {
        origin: tuple(
            record_set(origin, name=r["name"], ttl=r["ttl"], rdtype=r["type"], values=r["values"])
            for r in records
        )
        for origin, records in given.items()
    }


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None

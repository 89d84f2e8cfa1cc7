"""Two servers that shall serve the web together, and with which hands that is brought about."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, Self

from lab.fleet import Host
from lab.operator import Operator, zone_data
from lab.operator.carry import Carrier, Place
from lab.operator.dns import DnsError
from lab.operator.replicas import device
from lab.operator.secrets import KeyPair
from lab.operator.site_files import as_yaml
from lab.operator.ssh import SshError
from lab.operator.web_client import Page, Server, Url
from lab.operator.web_data import Site
from lab.operator.zones import Zone
from lab.steps.dns_facts import CONTENT_FILE, TTL_LIMIT
from lab.steps.web_content import pages_of
from lab.steps.web_facts import CERTIFICATES, NGINX, as_number, as_records, as_texts
from lab.steps.web_ha_facts import (
    AFTER,
    BEFORE,
    DRAIN,
    HOSTS,
    NODE_FILE,
    REPLICAS,
    Facts,
    Serving,
)
from lab.steps.web_move import Move as WebMove

LOOPBACK: Final = "127.0.0.1"
_POLL_SECONDS: Final = 0.5
_WEEK: Final = 7 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The server that serves alone, and the one that joins it.

    Attributes:
        op: the operator.
        first: who serves alone.
        second: who joins.
    """

    op: Operator
    first: Host
    second: Host

    @classmethod
    def of(cls, operator: Operator) -> Self:
        """Return production and its standby."""
        fleet = operator.fleet
        return cls(op=operator, first=fleet.production, second=fleet.with_role("standby")[0])

    @property
    def hosts(self) -> tuple[Host, Host]:
        """Both."""
        return (self.first, self.second)

    @property
    def names(self) -> tuple[str, str]:
        """What both are called."""
        return (self.first.name, self.second.name)

    @cached_property
    def web(self) -> WebMove:
        """The sites, and how they came to the first."""
        return WebMove.of(self.op)

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites."""
        return self.web.sites

    @cached_property
    def carrier(self) -> Carrier:
        """Who carries content."""
        return Carrier(ssh=self.op.ssh)

    def addresses(self, host: Host) -> tuple[str, str]:
        """Return the addresses of *host*, IPv4 and IPv6."""
        address = self.op.site.address(host)
        return (str(address.v4), str(address.v6))

    def inside(self, host: Host) -> Server:
        """Return what a host answers by itself, behind its edge."""
        return Server(dial=self.op.ssh.dial, address=LOOPBACK, via=host.name, plain=NGINX)

    def pages(self, host: Host) -> dict[Url, Page]:
        """Return every page that a host has, as it answers behind its edge."""
        return pages_of(self.web, self.inside(host), host.name)

    def data(self, host: Host, site: Site) -> Place:
        """Return where a site's data is on a host."""
        return Place(host=host.name, path=f"{site.home}/shared/{site.data}")

    def written(self, host: Host, site: Site) -> Counter[str]:
        """Return what a site's programs have written on a host.

        Returns:
            Every line of the files to which lines are added; of each other file SHA-256 and name.
        """
        place = self.data(host, site)
        added = " ".join(f"{place.path}/{name}" for name in site.appended)
        others = " ".join(f"! -path './{name}'" for name in site.appended)
        script = f"""
            cat {added} /dev/null 2>/dev/null || true
            cd {place.path}
            find . -path ./.stfolder -prune -o -type f ! -name '.st*' ! -name '.syncthing.*' \\
                {others} -exec sha256sum {{}} +
        """
        return Counter(self.op.ssh.run(host.name, script, timeout=300).stdout.splitlines())

    def arrived(self, source: Host, target: Host, *, seconds: float) -> list[str]:
        """Wait until all that is written on *source* now is on *target*; return what is not.

        Args:
            source: where it was written.
            target: where it shall be.
            seconds: how long to wait at most.
        """
        missing = []
        for site in (each for each in self.sites if each.data):
            wanted = self.written(source, site)
            deadline = time.monotonic() + seconds
            while left := wanted - self.written(target, site):
                if time.monotonic() > deadline:
                    missing.append(
                        f"{left.total()} of {wanted.total()} lines and files of {site.name} on "
                        f"{source.name} are not on {target.name}"
                    )
                    break
                time.sleep(_POLL_SECONDS)
        return missing

    def write_secrets(self) -> None:
        """Let each host have its key among those that replicate."""
        op = self.op
        for host in self.hosts:
            sealed = {"profile::web::replica_key": op.secrets.encrypt(self._replica(host).private)}
            path = NODE_FILE.format(host=host.name)
            op.ssh.write(op.puppet.control, path, as_yaml(sealed))

    def stage(self) -> dict[str, object]:
        """Return what Puppet is told of the two."""
        return {
            HOSTS: list(self.names),
            REPLICAS: {
                host.name: {
                    "device": device(self._replica(host).public),
                    "certificate": self._replica(host).public,
                }
                for host in self.hosts
            },
        }

    def observe(self) -> Facts:
        """Ask all who know, at once."""
        op = self.op
        stage = op.stage.read()
        after = stage.get(AFTER)
        text = op.ssh.read(op.puppet.control, CONTENT_FILE)
        content = zone_data.from_hiera(text)
        with ThreadPoolExecutor() as pool:
            serving = pool.map(self._serving, self.hosts)
            zones = pool.map(partial(self._zones, tuple(content)), self.names)
        first, second = serving
        return Facts(
            first=first,
            second=second,
            hosts=as_texts(stage.get(HOSTS)),
            before=as_records(stage.get(BEFORE)),
            after=None if after is None else as_records(after),
            content=content,
            zones=dict(zip(self.names, zones, strict=True)),
            ttl_limit=as_number(stage.get(TTL_LIMIT)),
        )

    def _replica(self, host: Host) -> KeyPair:
        return self.op.secrets.replica(host.name)

    def _serving(self, host: Host) -> Serving | None:
        """Return what a host has; None when it cannot be asked."""
        other = next(each for each in self.hosts if each != host)
        units = [f"web-replica-{site.name}.service" for site in self.sites if site.data]
        units += [f"web-lines-{site.name}.service" for site in self.sites if site.appended]
        script = f"""
            set +e
            systemctl is-active haproxy.service >/dev/null 2>&1 && echo serves
            grep -qs 'server {other.name} ' /etc/haproxy/haproxy.cfg && echo together
            [ "$(systemctl is-active {" ".join(units)} | grep -cx active)" = {len(units)} ] &&
                echo replicates
            for link in /srv/www/*/current; do
                site=${{link%/current}}
                [ -e "$link" ] && echo release "${{site##*/}}" "$(basename "$(readlink "$link")")"
            done
            for pem in {CERTIFICATES}/*.pem; do
                [ -e "$pem" ] && openssl x509 -noout -checkend {_WEEK} -in "$pem" >/dev/null &&
                    echo certified "$(basename "$pem" .pem)"
            done
            [ -e {DRAIN} ] && {DRAIN} status
            true
        """
        try:
            said = self.op.ssh.run(host.name, script).stdout.splitlines()
        except SshError:
            return None
        words = [line.split() for line in said]
        return Serving(
            serves=["serves"] in words,
            together=["together"] in words,
            replicates=["replicates"] in words,
            releases={each[1]: each[2] for each in words if each[0] == "release"},
            certified=frozenset(each[1] for each in words if each[0] == "certified"),
            drained=["drained"] in words,
        )

    def _zones(self, names: tuple[str, ...], host: str) -> dict[str, Zone]:
        """Return the zones as a host serves them; none while it does not."""
        found = {}
        for name in names:
            with suppress(DnsError, SshError):
                found[name] = self.op.dns.axfr(LOOPBACK, name, via=host)
        return found

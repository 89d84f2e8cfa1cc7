"""The move of the web: from where, whereto, with which hands, and what is found on the way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from lab.operator import web_data, zone_data
from lab.operator.acme import thumbprint
from lab.operator.apache import LOOPBACK, Apache
from lab.operator.carry import Carrier, Place
from lab.operator.dns import DnsError
from lab.operator.site_files import as_yaml
from lab.operator.ssh import SshError
from lab.operator.web_client import Server
from lab.operator.web_data import Site
from lab.operator.zones import RecordSet, Zone
from lab.steps.dns_facts import CONTENT_FILE, TTL_LIMIT
from lab.steps.moving import Moving
from lab.steps.web_facts import (
    ACME,
    BEFORE,
    CERTIFICATES,
    MAX_AGE,
    NGINX,
    ORIGIN,
    PASSAGE,
    SECRETS_FILE,
    SERVED,
    Facts,
    Installed,
    as_number,
    as_records,
    as_texts,
)


class Move(Moving):
    """From where the sites move, and whereto."""

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
        # In a lab one authority certifies both: the old server and the ACME authority's address.
        authority = {"authority": op.acme.authority} if op.acme.authority else {}
        return {
            SERVED: [site.name for site in self.sites],
            PASSAGE: {
                "peers": list(self.old_addresses),
                "certificate": op.secrets.passage.public,
                **authority,
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
            served=frozenset(as_texts(stage.get(SERVED))),
            max_age=as_number(stage.get(MAX_AGE)) or 0,
            ttl_limit=as_number(stage.get(TTL_LIMIT)),
            before=as_records(stage.get(BEFORE)),
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

"""The old host on its way out: with which hands, and what is found on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import Final

from lab.operator import reinstall, tls, zone_data
from lab.operator.backup import Backup
from lab.operator.callers import Callers
from lab.operator.dns import DnsError
from lab.operator.dns_tree import Delegation
from lab.operator.puppet import SSLDIR
from lab.operator.reinstall import RELEASE
from lab.operator.ssh import SshError
from lab.operator.zones import Zone
from lab.steps.dns_facts import BEFORE as DNS_BEFORE
from lab.steps.dns_facts import BEFORE_FILE, CONTENT_FILE
from lab.steps.mail_move import Move as MailMove
from lab.steps.moving import Moving
from lab.steps.web_facts import as_number, as_records, as_texts
from lab.steps.web_move import Move as WebMove
from lab.steps.wipe_facts import (
    AFTER,
    BACKUP,
    BARE,
    BEFORE,
    CLIENTS,
    ENROLLED,
    IGNORED,
    OLD,
    WATCHED,
    WIPING,
    Facts,
    state_of,
)
from lab.steps.wipe_records import Naming, seals
from lab.steps.wipe_remains import sites_of

_SUMMARY: Final = "/var/cache/puppet/public/last_run_summary.yaml"


class Move(Moving):
    """The host that goes, and the one that has taken over."""

    @cached_property
    def mail(self) -> MailMove:
        """The move of the mail, as it was."""
        return MailMove.of(self.op)

    @cached_property
    def web(self) -> WebMove:
        """The move of the sites, as it was."""
        return WebMove.of(self.op)

    @cached_property
    def callers(self) -> Callers:
        """Who still comes."""
        hosts = self.op.fleet.hosts.values()
        return Callers(
            ssh=self.op.ssh,
            host=self.old.name,
            behind=self.new.name,
            sites=sites_of(self.web.sites),
            fleet=[str(each) for host in hosts for each in self.addresses(host)],
            own=self.old_addresses,
        )

    @cached_property
    def backup(self) -> Backup:
        """The backup of the old host."""
        return Backup(
            ssh=self.op.ssh,
            host=self.old.name,
            store=self.new.name,
            password=self.op.secrets.password(f"backup/{self.old.name}"),
        )

    def naming(self, zones: Mapping[str, Zone]) -> Naming:
        """Return the names and addresses that records are judged by."""
        stage = self.op.stage.read()
        return Naming(
            old=self.old_addresses,
            own=f"{self.old.name}.{self.op.fleet.domain}.",
            former=frozenset(self._former(stage.get(DNS_BEFORE))),
            broken=frozenset(self._broken(zones)),
        )

    def ignored(self) -> frozenset[str]:
        """Return the addresses of which a person has said that they do not count."""
        return frozenset(as_texts(self.op.stage.read().get(IGNORED)))

    def parents(self, names: Sequence[str]) -> dict[str, Delegation]:
        """Return what the parents of the zones say."""
        return {name: self.op.registrar.delegation(name) for name in names}

    def observe(self) -> Facts:
        """Ask all who know, at once."""
        stage = self.op.stage.read()
        wiping = str(stage.get(WIPING) or "")
        with ThreadPoolExecutor() as pool:
            machine = pool.submit(self._machine)
            content = pool.submit(self._content)
            zones = pool.submit(self._zones)
        system, identity = machine.result()
        host = state_of(identity=identity, wiping=wiping, system=system, wanted=RELEASE)
        after = stage.get(AFTER)
        backup, clients = stage.get(BACKUP), stage.get(CLIENTS)
        return Facts(
            host=host,
            system=system,
            identity=identity,
            before=as_records(stage.get(BEFORE)),
            after=None if after is None else as_records(after),
            content=content.result(),
            zones=zones.result(),
            watching=self.callers.since() if host == OLD else None,
            watched=as_number(stage.get(WATCHED)),
            backup=backup if isinstance(backup, dict) else {},
            clients=frozenset(clients if isinstance(clients, dict) else ()),
            wiping=wiping,
            enrolled=as_texts(stage.get(ENROLLED)),
            signed=host == BARE and self._signed(),
        )

    def _machine(self) -> tuple[str, str]:
        """Return what runs on the old host, and its identity; nothing when it is out of reach."""
        try:
            found = reinstall.look(self.op.ssh, self.old.name)
        except SshError:
            return "", ""
        return found.system, found.identity

    def _signed(self) -> bool:
        """Whether Puppet knows the host made anew, and its last run there went well."""
        name = self.op.site.certname(self.old)
        script = f"""
            test -e {SSLDIR}/certs/{name}.pem
            grep -q '^resources:' {_SUMMARY}
            ! grep -qE '^ +(failed|failure|failed_to_restart): [1-9]' {_SUMMARY}
        """
        ran = self.op.ssh.run(self.old.name, script, check=False).ok
        return ran and self.old.name in self.op.puppet.enrolled()

    def _former(self, before: object) -> Iterator[str]:
        """Yield the names of the zones' servers before they moved, at the parents and in them."""
        for each in before.values() if isinstance(before, dict) else ():
            yield from (str(name).lower() for name in each.get("nameservers", ()))
        control = self.op.puppet.control
        text = self.op.ssh.run(control, f"cat {BEFORE_FILE} 2>/dev/null || true").stdout
        for zone in zone_data.from_hiera(text).values() if text else ():
            yield from (name.lower() for name in zone.nameservers)

    def _broken(self, zones: Mapping[str, Zone]) -> Iterator[tuple[str, str]]:
        """Yield the TLSA records of services for which the new server has another key."""
        for zone, record, host, port in seals(zones):
            found = tls.shown(self.op.ssh.dial, self.new_addresses[0], host, port)
            if found and not any(tls.matches(value, found) for value in record.values):
                yield zone.origin, record.name

    def _content(self) -> dict[str, Zone]:
        return zone_data.from_hiera(self.op.ssh.read(self.op.puppet.control, CONTENT_FILE))

    def _zones(self) -> dict[str, Zone]:
        """Return the zones as the new host serves them; none while it does not."""
        found = {}
        for name in self._content():
            with suppress(DnsError, SshError):
                found[name] = self.op.dns.axfr("127.0.0.1", name, via=self.new.name)
        return found

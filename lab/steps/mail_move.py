"""The move of the mail: from where, whereto, with which hands, and what is found on the way."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final

from lab.operator import zone_data
from lab.operator.dns import DnsError
from lab.operator.mail_accounts import Directory, directory
from lab.operator.mail_compare import MailCompare
from lab.operator.mailboxes import Mailboxes
from lab.operator.old_mail import OldMail, Settings
from lab.operator.site_files import as_yaml
from lab.operator.ssh import SshError
from lab.operator.zones import RecordSet, Zone
from lab.steps.dns_facts import CONTENT_FILE, TTL_LIMIT
from lab.steps.mail_facts import (
    BEFORE,
    CERTIFICATE,
    COPIED,
    DATA_FILE,
    OPEN,
    PEERS,
    POLICY,
    SECRETS_FILE,
    SELECTOR,
    SERVED,
    SHOWN_KEY,
    TESTING,
    Facts,
    Installed,
)
from lab.steps.mail_records import SELECTOR as SELECTED
from lab.steps.mail_records import (
    Naming,
    Sealing,
    announced,
    pointed,
    records_in,
    sealed,
    with_records,
)
from lab.steps.moving import Moving
from lab.steps.web_facts import as_number, as_records, leading

_NAMES: Final = ("mail", "imap", "smtp", "submission", "sieve", "pop", "mx")
"""Names below the domain under which people's programs know a mail server."""


class Move(Moving):
    """From where the mail moves, and whereto."""

    @cached_property
    def server(self) -> OldMail:
        """The old server."""
        return OldMail(ssh=self.op.ssh, host=self.old.name)

    @cached_property
    def mailboxes(self) -> Mailboxes:
        """The mailboxes on both."""
        return Mailboxes(ssh=self.op.ssh, old=self.old.name, new=self.new.name)

    @cached_property
    def compare(self) -> MailCompare:
        """What looks at both."""
        return MailCompare(ssh=self.op.ssh, old=self.old.name, new=self.new.name)

    @cached_property
    def directory(self) -> Directory:
        """Who has mail."""
        return directory(self.server.found())

    @cached_property
    def settings(self) -> Settings:
        """What else the new server does as the old one does."""
        return self.server.settings()

    def naming(self, zones: Mapping[str, Zone]) -> Naming:
        """Return the names that the records are made of."""
        domain = self.op.fleet.domain
        addresses = [*self.old_addresses, *self.new_addresses]
        names = tuple(
            name
            for name in (f"{label}.{domain}" for label in _NAMES)
            if leading([name], zones.values(), addresses)
        )
        return Naming(
            domain=domain,
            domains=self.directory.domains,
            names=names,
            local=self.directory.domains[-1],
            old=self.old_addresses,
            new=self.new_addresses,
            dkim=self.op.secrets.dkim.public,
        )

    def changing(self, content: Mapping[str, Zone]) -> dict[tuple[str, str], tuple[RecordSet, ...]]:
        """Return what the step changes: absolute name and type -> what the records may be.

        Nothing for those that it brings: they go with it.

        Args:
            content: the zones, as they are now.
        """
        kept = as_records(self.op.stage.read().get(BEFORE))
        before = with_records(content, kept)
        naming = self.naming(before)
        brought = sealed(naming, before, Sealing(key="0" * 64, policy="enforce"))
        return {
            (before[origin].absolute(each.name), each.type): (was, each) if was.values else ()
            for records in (brought, announced(naming, before), pointed(naming, before))
            for origin, sets in records.items()
            for each, was in zip(sets, records_in(before[origin], sets), strict=True)
        }

    def sealing(self, facts: Facts) -> Sealing:
        """Return what tells other servers to insist on a sealed connection."""
        key = facts.new.key or "0" * 64  # before there is one: only the records' names count
        return Sealing(key=key, policy=f"enforce{key[:16]}")

    def write_data(self) -> None:
        """Let Puppet know who has mail, their passwords, and what mail is signed with."""
        op, them, settings = self.op, self.directory, self.settings
        data = {
            "profile::mail::default_domain": op.fleet.domain,
            "profile::mail::domains": list(them.domains),
            "profile::mail::mailboxes": {
                each.address: {
                    **({"login": each.login} if each.login != each.address else {}),
                    **({"locked": True} if each.locked else {}),
                }
                for each in them.accounts
            },
            "profile::mail::aliases": {key: list(value) for key, value in them.aliases.items()},
            "profile::mail::discards": list(them.discards),
            "profile::mail::recipient_delimiter": settings.delimiter,
            "profile::mail::message_size": settings.message_size,
            "profile::mail::sieve_before": settings.sieve_before or "# Nothing.\n",
        }
        secrets = {
            "profile::mail::dkim_key": op.secrets.encrypt(op.secrets.dkim.private),
            "profile::mail::password_secrets": {
                each.address: op.secrets.encrypt(each.hash) for each in them.accounts if each.hash
            },
        }
        op.ssh.write(op.puppet.control, DATA_FILE, as_yaml(data))
        op.ssh.write(op.puppet.control, SECRETS_FILE, as_yaml(secrets))

    def stage(self) -> dict[str, object]:
        """Return what the stage says of the new server while nobody may come to it yet."""
        return {
            SERVED: True,
            PEERS: list(self.old_addresses),
            SELECTOR: SELECTED,
            # Nobody is told of the policy yet; but its name wants a certificate.
            POLICY: TESTING,
        }

    def observe(self) -> Facts:
        """Ask all who know, at once."""
        stage = self.op.stage.read()
        with ThreadPoolExecutor() as pool:
            old = pool.submit(self.server.state)
            new = pool.submit(self._observe_new)
            content = pool.submit(self._content)
            zones = pool.submit(self._zones)
        installed = new.result()
        return Facts(
            old=old.result(),
            reachable=installed is not None,
            new=installed or Installed(),
            served=stage.get(SERVED) is True,
            open=stage.get(OPEN) is True,
            policy=str(stage.get(POLICY) or ""),
            ttl_limit=as_number(stage.get(TTL_LIMIT)),
            before=as_records(stage.get(BEFORE)),
            content=content.result(),
            zones=zones.result(),
        )

    def _observe_new(self) -> Installed | None:
        """Return what the new server has; None when it cannot be asked."""
        week = 7 * 24 * 3600
        script = f"""
            systemctl is-active --quiet dovecot.service &&
                systemctl is-active --quiet postfix.service && echo serves yes
            if [ -e {CERTIFICATE} ]; then
                openssl x509 -noout -checkend {week} -in {CERTIFICATE} >/dev/null &&
                    [ "$(openssl x509 -noout -issuer -in {CERTIFICATE} | cut -d= -f2-)" != \\
                      "$(openssl x509 -noout -subject -in {CERTIFICATE} | cut -d= -f2-)" ] &&
                    echo certified yes
                echo key "$({SHOWN_KEY})"
            fi
            cat {COPIED} 2>/dev/null | sed 's/^/copied /'
            true
        """
        try:
            said = self.op.ssh.run(self.new.name, f"set +e\n{script}").stdout.splitlines()
        except SshError:
            return None
        words = [line.split() for line in said]
        return Installed(
            serves=["serves", "yes"] in words,
            certified=["certified", "yes"] in words,
            key=next((each[1] for each in words if each[0] == "key"), ""),
            copied=frozenset(each[1] for each in words if each[0] == "copied"),
        )

    def _content(self) -> dict[str, Zone]:
        return zone_data.from_hiera(self.op.ssh.read(self.op.puppet.control, CONTENT_FILE))

    def _zones(self) -> dict[str, Zone]:
        """Return the zones as the new host serves them; none while it does not."""
        found = {}
        for name in self._content():
            try:
                found[name] = self.op.dns.axfr("127.0.0.1", name, via=self.new.name)
            except (DnsError, SshError):
                continue
        return found

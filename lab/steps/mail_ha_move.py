"""Mail served by two: which two, with which hands, and what is found on the way."""

from __future__ import annotations

import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

from ruamel.yaml import YAML

from lab.fleet import Host
from lab.operator import Operator, lua_records, zone_data
from lab.operator.dns import DnsError
from lab.operator.site_files import as_yaml
from lab.operator.ssh import SshError
from lab.operator.zones import RecordSet, Zone
from lab.parallel import side_by_side
from lab.steps.base import StepError
from lab.steps.dns_facts import CONTENT_FILE, TTL_LIMIT
from lab.steps.mail_facts import CERTIFICATE, DATA_FILE, SHOWN_KEY
from lab.steps.mail_ha_facts import (
    BEFORE,
    HEALTH_PORT,
    HOSTS,
    POLICY_MORE,
    SECOND,
    SECRETS_FILE,
    Facts,
    Server,
)
from lab.steps.mail_ha_records import Naming, announced, exchanged, led, sealed
from lab.steps.mail_records import Records, records_in, with_records
from lab.steps.moving import Moving
from lab.steps.web_facts import as_number, as_records
from lab.steps.web_ha_records import joined

UNITS: Final = (
    "replicator.service",
    "mail-journal.service",
    "mail-journal-milter.service",
    "mail-health.service",
    "mail-gate.service",
    "mail-pair.service",
)
"""What only a server has that is one of two."""

_NO_KEY: Final = "0" * 64


@dataclass(frozen=True, kw_only=True)
class Move(Moving):
    """The two servers: production's, ``new``, and the one that joins it, ``second``.

    Attributes:
        second: the standby.
    """

    second: Host

    @classmethod
    def of(cls, operator: Operator) -> Self:
        """Return the two of a fleet.

        Raises:
            StepError: there is no standby.
        """
        fleet = operator.fleet
        found = next((each for each in fleet.hosts.values() if each.role == "standby"), None)
        if found is None:
            raise StepError("no host has the role of the standby", where="fleet.yaml")
        return cls(op=operator, old=fleet.legacy, new=fleet.production, second=found)

    @property
    def both(self) -> tuple[Host, Host]:
        """The two servers, production's first."""
        return self.new, self.second

    @property
    def second_addresses(self) -> tuple[str, str]:
        """Addresses of the standby, IPv4 and IPv6."""
        return self.addresses(self.second)

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """All that mail is taken for."""
        text = self.op.ssh.read(self.op.puppet.control, DATA_FILE)
        found = YAML(typ="safe").load(io.StringIO(text)) or {}
        return tuple(str(each) for each in found.get("profile::mail::domains", ()))

    @property
    def naming(self) -> Naming:
        """The names that the records are made of."""
        return Naming(
            domain=self.op.fleet.domain,
            domains=self.domains,
            first=self.new_addresses,
            second=self.second_addresses,
            label=SECOND,
            port=HEALTH_PORT,
        )

    def announced(self, zones: Mapping[str, Zone]) -> Records:
        """Return what the world has to know before it is led to the standby."""
        return announced(self.naming, zones, policy=f"two{self.op.fleet.name}")

    def sealed(self, zones: Mapping[str, Zone], *, key: str) -> Records:
        """Return the keys that other servers may be shown."""
        return sealed(self.naming, zones, key=key or _NO_KEY)

    def led(self, zones: Mapping[str, Zone]) -> Records:
        """Return what leads people, and other servers, to both."""
        return joined(exchanged(self.naming, zones), led(self.naming, zones))

    def changing(self, content: Mapping[str, Zone]) -> dict[tuple[str, str], tuple[RecordSet, ...]]:
        """Return what the step changes: absolute name and type -> what the records may be.

        Nothing for those that it brings, or whose values it cannot know: they come and go with it.

        Args:
            content: the zones, as they are now.
        """
        before = with_records(content, as_records(self.op.stage.read().get(BEFORE)))
        keys = self.sealed(before, key=_NO_KEY)
        return {
            (before[origin].absolute(each.name), each.type): tuple(
                one for one in (was, each) if one.values
            )
            if records is not keys and (was.values or each.type == lua_records.TYPE)
            else ()
            for records in (self.announced(before), keys, self.led(before))
            for origin, sets in records.items()
            for each, was in zip(sets, records_in(before[origin], sets), strict=True)
        }

    def write_secrets(self) -> None:
        """Let Puppet know what the two show each other."""
        op = self.op
        secrets = {
            f"profile::mail::{name}": op.secrets.encrypt(op.secrets.shared(f"mail/{name}"))
            for name in ("doveadm_password", "journal_secret")
        }
        op.ssh.write(op.puppet.control, SECRETS_FILE, as_yaml(secrets))

    def on_both(self) -> None:
        """Let Puppet make both what the stage says."""
        with self.op.report.task(f"Puppet on {self.new.name} and {self.second.name}"):
            side_by_side(self.op.puppet.agent, [each.name for each in self.both])

    def observe(self) -> Facts:
        """Ask all who know, at once."""
        stage = self.op.stage.read()
        with ThreadPoolExecutor() as pool:
            first = pool.submit(self._server, self.new)
            second = pool.submit(self._server, self.second)
            content = pool.submit(self._content)
            zones = pool.submit(self._zones)
        hosts = stage.get(HOSTS)
        return Facts(
            first=first.result(),
            second=second.result(),
            together=isinstance(hosts, list) and self.second.name in hosts,
            policy=str(stage.get(POLICY_MORE) or ""),
            ttl_limit=as_number(stage.get(TTL_LIMIT)),
            before=as_records(stage.get(BEFORE)),
            content=content.result(),
            zones=zones.result(),
        )

    def _server(self, host: Host) -> Server | None:
        """Return how the server on a host stands; None when it cannot be asked."""
        name = f"mail.{self.op.fleet.domain}"
        if host == self.second:
            name = f"{SECOND}.{self.op.fleet.domain}"
        week = 7 * 24 * 3600
        script = f"""
            all() {{ for it in "$@"; do systemctl is-active --quiet "$it" || return 1; done; }}
            all dovecot.service postfix.service && echo serves
            all {" ".join(UNITS)} && echo paired
            [ -x /usr/local/sbin/mail-pair ] && mail-pair status >/dev/null && echo open
            [ -e {CERTIFICATE} ] || exit 0
            openssl x509 -noout -checkend {week} -in {CERTIFICATE} >/dev/null &&
                openssl x509 -noout -checkhost {name} -in {CERTIFICATE} | grep -q 'does match' &&
                [ "$(openssl x509 -noout -issuer -in {CERTIFICATE} | cut -d= -f2-)" != \\
                  "$(openssl x509 -noout -subject -in {CERTIFICATE} | cut -d= -f2-)" ] &&
                echo certified
            echo key "$({SHOWN_KEY})"
        """
        try:
            said = self.op.ssh.run(host.name, f"set +e\n{script}", check=False).stdout.splitlines()
        except SshError:
            return None
        return Server(
            serves="serves" in said,
            paired="paired" in said,
            open="open" in said,
            certified="certified" in said,
            key=next((each.split()[1] for each in said if each.startswith("key ")), ""),
        )

    def _content(self) -> dict[str, Zone]:
        return zone_data.from_hiera(self.op.ssh.read(self.op.puppet.control, CONTENT_FILE))

    def _zones(self) -> dict[str, Zone]:
        """Return the zones as production serves them; none while it does not."""
        found = {}
        for name in self._content():
            with suppress(DnsError, SshError):
                found[name] = self.op.dns.axfr("127.0.0.1", name, via=self.new.name)
        return found

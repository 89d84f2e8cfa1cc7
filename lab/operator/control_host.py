"""The control host: from a bare Debian to Puppet Server, and back.

It is the one host that cannot be given anything by Puppet Server. Its first run is made by
``puppet apply`` from the same release, the same data and the same secrets as every later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.fleet import Fleet, Site
from lab.operator.enrolment import AWAIT_RUNS, STOP_RUNS, install
from lab.operator.puppet import CODE, Puppet
from lab.operator.puppet_run import Run
from lab.operator.secrets import Secrets
from lab.operator.site_files import DIRECTORY, site_files
from lab.operator.ssh import Ssh
from lab.operator.wheels import fetch

EYAML: Final = "/etc/puppet/eyaml"
STATE: Final = "/var/lib/generalprove"

_PACKAGES: Final = ("puppet-agent", "hiera-eyaml")
_REQUIREMENTS: Final = "site/profile/files/puppetboard/requirements.txt"
_AUTHORIZED_KEYS: Final = "/root/.ssh/authorized_keys"
_LOCK: Final = "/run/lock/puppet-apply"
_REMOVE_SECONDS: Final = 600.0

_REMOVE: Final = f"""
export DEBIAN_FRONTEND=noninteractive
{STOP_RUNS}
systemctl disable --now --quiet puppet-run.timer puppetboard.socket 2>/dev/null || true
systemctl stop puppet-run.service puppetboard.service puppetserver.service puppetdb.service \
    2>/dev/null || true
{AWAIT_RUNS}
# PuppetDB first: its removal asks PostgreSQL to drop the database.
for names in puppetdb 'puppetserver puppet-terminus-puppetdb hiera-eyaml-puppetserver' \
    'postgresql postgresql-17 postgresql-common nginx nginx-common hiera-eyaml puppet-agent'; do
    there=$(dpkg-query --show --showformat '${{Package}} ${{db:Status-Abbrev}}\\n' $names \
        2>/dev/null | awk '$2 !~ /^un/ {{print $1}}')
    [ -z "$there" ] || apt-get purge --quiet --yes -o DPkg::Lock::Timeout=300 $there
done
apt-get autoremove --purge --quiet --yes
cd /etc/systemd/system
rm -rf puppet-run.service puppet-run.timer puppetboard.service puppetboard.socket \
    puppetserver.service.d puppetdb.service.d
systemctl daemon-reload
systemctl reset-failed
rm -rf /etc/puppet /etc/puppetdb /etc/puppetboard /opt/puppetboard /etc/nginx {STATE} \
    /var/lib/puppet /var/lib/puppetserver /var/lib/puppetdb /var/lib/postgresql \
    /var/cache/puppet /var/cache/puppetserver /var/cache/puppetdb \
    /var/cache/clojure-aot /run/clojure-aot /usr/local/sbin/clojure-aot \
    /usr/local/sbin/puppet-autosign /usr/local/sbin/generalprove-accept /etc/generalprove
"""


@dataclass(frozen=True, kw_only=True)
class ControlHost:
    """The control host of one site.

    Attributes:
        fleet: the description.
        site: the fleet as it stands.
        ssh: the way to the hosts.
        puppet: Puppet there.
        secrets: the site's.
    """

    fleet: Fleet
    site: Site
    ssh: Ssh
    puppet: Puppet
    secrets: Secrets

    def provide(self, tree: Path) -> None:
        """Bring what Puppet needs beside its code: tools, data of the site, keys, wheels.

        Args:
            tree: the control repository.
        """
        name = self.puppet.control
        install(self.ssh, name, list(_PACKAGES))
        # Whatever lies in these is Puppet Server's to read, and nobody else's.
        self.ssh.run(name, f"install -d -m 0750 -o root -g puppet {EYAML} {STATE}")
        for half, content in (
            ("private", self.secrets.eyaml.private),
            ("public", self.secrets.eyaml.public),
        ):
            self.ssh.write(name, f"{EYAML}/{half}_key.pkcs7.pem", content)
        self.publish()
        self.ssh.put(name, fetch(tree / _REQUIREMENTS), f"{STATE}/wheels")

    def publish(self) -> None:
        """Bring the data of the site: addresses, names, and every host's secrets."""
        files = site_files(
            fleet=self.fleet,
            site=self.site,
            secrets=self.secrets,
            operators=self.secrets.operators(
                lambda: self.ssh.read(self.puppet.control, _AUTHORIZED_KEYS)
            ),
        )
        for path, content in files.items():
            self.ssh.write(self.puppet.control, f"{DIRECTORY}/{path}", content)

    def apply(self) -> Run:
        """Run Puppet without a server, from the release that is in force.

        Raises:
            PuppetError: it did not run at all.
            PuppetCheckError: it ran, and something failed; a unit that does not start is that.
        """
        manifest = f"{CODE}/environments/production/manifests/site.pp"
        with self.puppet.held([self.puppet.control], "it is being set up"):
            return self.puppet.run(
                self.puppet.control,
                [
                    # The step may be run again while what it had begun still goes on.
                    *("flock", "--close", _LOCK),
                    *("puppet", "apply", "--environment", "production"),
                    *("--verbose", "--certname", self.puppet.server, manifest),
                ],
            )

    def remove(self) -> None:
        """Take away what made it the control host, from every point; what is asked for stays.

        The base of every host stays: firewall, SSH, time. So do the site's secrets, which are
        the operator's.
        """
        self.ssh.run(self.puppet.control, _REMOVE, timeout=_REMOVE_SECONDS)

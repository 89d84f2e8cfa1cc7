"""Letting a host into Puppet, and out again.

A host shows the site's enrolment key to have its certificate signed; Puppet Server's policy
decides (``puppet/site/profile/files/puppetserver/autosign.rb``). The key does not stay there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AttributeOID, NameOID

from lab.errors import CheckFailedError, CouldNotError
from lab.fleet import Site
from lab.operator.puppet import SSLDIR, Puppet
from lab.operator.puppet_run import PuppetError, Run
from lab.operator.ssh import Ssh

ATTRIBUTES: Final = "/etc/puppet/csr_attributes.yaml"

INSTALL: Final = """
export DEBIAN_FRONTEND=noninteractive
missing=$(for package in "$@"; do
    dpkg-query --show --showformat '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
        echo "$package"
done)
[ -z "$missing" ] || {
    apt-get update --quiet
    apt-get install --quiet --yes --no-install-recommends -o DPkg::Lock::Timeout=300 $missing
}
"""
"""Script that installs the packages given as arguments, unless they are there."""

STOP_RUNS: Final = "pkill -TERM -f '(^|/)puppet (agent|apply)' || true"
"""Script that lets every run of Puppet end after the resource it is at.

A run that the operator began goes on when the operator was interrupted.
"""

AWAIT_RUNS: Final = "while pgrep -f '(^|/)puppet (agent|apply)' >/dev/null; do sleep 0.3; done"
"""Script that waits until no run of Puppet is left."""

INSTALL_SECONDS: Final = 600.0


class EnrolmentError(CouldNotError):
    """A host could not be enrolled, or let go."""


class EnrolmentCheckError(CheckFailedError):
    """A host was refused."""


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """Lets hosts into Puppet.

    Attributes:
        ssh: the way to the hosts.
        site: the fleet as it stands.
        puppet: Puppet there.
    """

    ssh: Ssh
    site: Site
    puppet: Puppet

    def prepare(self, host: str) -> None:
        """Give *host* an agent, and the name of the server; nothing runs yet."""
        install(self.ssh, host, ["puppet-agent"])
        address = self.site.address(self.puppet.control)
        lines = [f"{one} {self.puppet.server}" for one in (address.v4, address.v6)]
        script = 'for line; do grep -qxF "$line" /etc/hosts || echo "$line" >>/etc/hosts; done'
        known = f"getent hosts {self.puppet.server} >/dev/null"
        self.ssh.run(host, ["sh", "-ec", f"{known} || {{ {script}; }}", "sh", *lines])

    def enrol(self, host: str, *, key: str) -> Run:
        """Let *host* in, and return its first run; a host that is in already just runs.

        Args:
            host: its name.
            key: the site's enrolment key.

        Raises:
            EnrolmentCheckError: the certificate authority did not sign its request.
        """
        self.prepare(host)
        if self._has_certificate(host):
            return self.puppet.agent(host)
        self.forget(host)
        # An attribute stays in the request; an extension would end up in the certificate.
        oid = AttributeOID.CHALLENGE_PASSWORD.dotted_string
        attributes = f"custom_attributes:\n  {oid}: {key}\n"
        self.ssh.write(host, ATTRIBUTES, attributes, mode=0o600)
        try:
            return self.puppet.agent(host)
        except PuppetError as error:
            if self._has_certificate(host):
                raise
            self.forget(host)
            raise EnrolmentCheckError(
                "its certificate was not signed",
                where=host,
                remedy=f"Puppet Server's log on {self.puppet.control} has the reason: see autosign",
            ) from error
        finally:
            self.ssh.run(host, ["rm", "-f", ATTRIBUTES])

    def forget(self, host: str) -> None:
        """Drop *host*'s certificate, or request, on both sides."""
        self.ssh.run(host, ["rm", "-rf", SSLDIR])
        self.puppet.clean(host)

    def would_sign(self, host: str, *, key: str) -> bool:
        """Ask the policy of Puppet Server whether it would let *host* in with *key*."""
        own = ec.generate_private_key(ec.SECP256R1())
        name = self.site.certname(host)
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .add_attribute(AttributeOID.CHALLENGE_PASSWORD, key.encode())
            .sign(own, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        command = ["runuser", "-u", "puppet", "--", "/usr/local/sbin/puppet-autosign", name]
        return self.ssh.run(self.puppet.control, command, stdin=request, check=False).ok

    def expel(self, host: str) -> None:
        """Take Puppet away from *host*: what it has set up stays as it is.

        It works from every point, with or without a server.
        """
        script = f"""
            systemctl disable --now --quiet puppet-run.timer 2>/dev/null || true
            systemctl stop puppet-run.service 2>/dev/null || true
            {STOP_RUNS}
            {AWAIT_RUNS}
            export DEBIAN_FRONTEND=noninteractive
            apt-get purge --quiet --yes -o DPkg::Lock::Timeout=300 puppet-agent >/dev/null
            rm -rf /etc/puppet /var/lib/puppet /var/cache/puppet \
                /etc/systemd/system/puppet-run.service /etc/systemd/system/puppet-run.timer
            systemctl daemon-reload
            systemctl reset-failed puppet-run.service 2>/dev/null || true
        """
        self.ssh.run(host, script, timeout=INSTALL_SECONDS)
        self.puppet.clean(host)

    def _has_certificate(self, host: str) -> bool:
        """Whether *host* has a certificate that belongs to the key it has."""
        name = self.site.certname(host)
        script = f"""
            cd {SSLDIR}
            test "$(openssl x509 -in certs/{name}.pem -noout -pubkey)" = \
                "$(openssl pkey -in private_keys/{name}.pem -pubout)"
            openssl verify -CAfile certs/ca.pem certs/{name}.pem
        """
        return self.ssh.run(host, script, check=False).ok


def install(ssh: Ssh, host: str, packages: list[str]) -> None:
    """Install *packages* on *host* unless they are there."""
    ssh.run(host, ["sh", "-ec", INSTALL, "sh", *packages], timeout=INSTALL_SECONDS)

"""Which Debian and which Puppet a host has: what was rehearsed must be what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.operator.ssh import Ssh, SshError
from lab.parallel import side_by_side

# An absent package is an empty version.
_SCRIPT: Final = r"""
. /etc/os-release; echo "debian=$VERSION_ID"
for package in puppet-agent puppetserver; do
    version=$(dpkg-query --show --showformat '${db:Status-Abbrev} ${Version}\n' $package \
        2>/dev/null | sed -n 's/^ii *//p')
    echo "$package=$version"
done
"""


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What one host runs.

    Attributes:
        debian: the release (``13``); its point releases are not told apart.
        agent: of the package puppet-agent; empty when it is not installed.
        server: of the package puppetserver; likewise.
    """

    debian: str
    agent: str = ""
    server: str = ""

    def __str__(self) -> str:
        """Return it as a phrase."""
        puppet = f"puppet-agent {self.agent}" if self.agent else "no Puppet"
        server = f", puppetserver {self.server}" if self.server else ""
        return f"Debian {self.debian}, {puppet}{server}"


def read(ssh: Ssh, hosts: Sequence[str]) -> dict[str, Versions]:
    """Ask hosts; one that does not answer is left out.

    Args:
        ssh: the way to the hosts.
        hosts: their names.
    """

    def ask(host: str) -> tuple[str, Versions] | None:
        try:
            return host, parse(ssh.run(host, _SCRIPT, timeout=20.0).stdout)
        except SshError:
            return None

    return dict(found for found in side_by_side(ask, hosts) if found)


def parse(said: str) -> Versions:
    """Return what a host said, one ``NAME=VERSION`` a line."""
    pairs = (line.partition("=") for line in said.splitlines())
    found = {name: version for name, _, version in pairs}
    return Versions(
        debian=found.get("debian", ""),
        agent=found.get("puppet-agent", ""),
        server=found.get("puppetserver", ""),
    )

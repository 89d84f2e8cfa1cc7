"""Step 1: Tromsø takes control, and the hosts that may be changed already enrol.

The legacy server is left alone: it is today's production and made by hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from lab.fleet import Host
from lab.operator.control_host import ControlHost
from lab.operator.dashboard import Dashboard
from lab.operator.enrolment import Enrolment
from lab.operator.puppet import SSLDIR, TREE
from lab.operator.releases import Releases
from lab.operator.site_files import DASHBOARD_USER
from lab.parallel import side_by_side
from lab.steps.base import Step, StepCheckError

# What Puppet Server, PuppetDB and their packages need, with room for the rest of Tromsø.
_MEMORY_MB: Final = 1800
_DISK_MB: Final = 4000

_FACTS: Final = """
. /etc/os-release
echo "system=$ID-$VERSION_ID"
echo "memory_mb=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)"
echo "disk_mb=$(df --output=avail --block-size=1M / | tail -n 1)"
echo "authority=$(ls /etc/puppet/puppetserver/ca/signed 2>/dev/null | tr '\\n' ' ')"
"""


class Control(Step):
    """Puppet Server, PuppetDB and Puppetboard on the control host; every free host enrols."""

    name: ClassVar[str] = "control"
    title: ClassVar[str] = "Tromsø takes control of the hosts"

    def check(self) -> None:
        """See whether the hosts are there and fit; bare or half-way makes no difference."""
        hosts = self._hosts()
        found = side_by_side(self._facts, hosts)
        wrong = [
            f"{host.name}: {problem}"
            for host, facts in zip(hosts, found, strict=True)
            for problem in problems(facts, certname=self._certname(host), role=host.role)
        ]
        if wrong:
            raise StepCheckError("; ".join(wrong), where="step control")

    def apply(self) -> None:
        """Set up the control host, then let the others in."""
        op = self.operator
        control, enrolment = self._control_host, self._enrolment
        names = [host.name for host in self._hosts()]
        with op.report.task(f"Bring Puppet to {', '.join(names)}"):
            side_by_side(enrolment.prepare, names)
            control.provide(TREE)
            release = Releases(puppet=op.puppet).deploy(TREE)
        with op.report.task(f"Set up {op.puppet.control} from release {release}"):
            control.apply()
        for name in names:
            if name != op.puppet.control:
                with op.report.task(f"Enrol {name}"):
                    enrolment.enrol(name, key=op.secrets.enrolment_key)
        op.stage.reach(self.name)

    def verify(self) -> None:
        """See that a second run changes nothing, and that what was set up answers outside."""
        op = self.operator
        names = [host.name for host in self._hosts()]
        with op.report.task("Run Puppet again: nothing may change"):
            wrong = [
                f"a second run changed {run.changed} resources on {run.host}"
                for run in side_by_side(op.puppet.agent, names)
                if run.changed
            ]
        with op.report.task("Ask Puppetboard, PuppetDB and the timers"):
            wrong += [*self._reports(), *self._timers(names), *self._dashboard(), *self._policy()]
        if wrong:
            raise StepCheckError("; ".join(wrong), where="step control")

    def rollback(self) -> None:
        """Take Puppet from the hosts again, the control host first: then nobody is revoked."""
        op = self.operator
        with op.report.task(f"Take Puppet Server from {op.puppet.control}"):
            self._control_host.remove()
        others = [host.name for host in self._hosts() if host.name != op.puppet.control]
        with op.report.task(f"Take Puppet from {', '.join(others)}"):
            side_by_side(self._enrolment.expel, others)

    @property
    def _control_host(self) -> ControlHost:
        op = self.operator
        return ControlHost(
            fleet=op.fleet, site=op.site, ssh=op.ssh, puppet=op.puppet, secrets=op.secrets
        )

    @property
    def _enrolment(self) -> Enrolment:
        op = self.operator
        return Enrolment(ssh=op.ssh, site=op.site, puppet=op.puppet)

    def _hosts(self) -> list[Host]:
        return [host for host in self.operator.fleet.hosts.values() if host.enrols == self.name]

    def _certname(self, host: Host) -> str:
        return self.operator.site.certname(host)

    def _facts(self, host: Host) -> dict[str, str]:
        lines = self.operator.ssh.run(host.name, _FACTS).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def _reports(self) -> list[str]:
        """See that PuppetDB has a good report of every host."""
        found = {
            row["certname"]: row["latest_report_status"]
            for row in self.operator.puppet.query("nodes[certname, latest_report_status] {}")
        }
        return [
            f"PuppetDB says {found.get(name, 'nothing')!r} of {name}"
            for name in map(self._certname, self._hosts())
            if found.get(name) not in ("changed", "unchanged")
        ]

    def _timers(self, names: list[str]) -> list[str]:
        """See that Puppet will run by itself."""

        def resting(name: str) -> bool:
            command = ["systemctl", "is-active", "--quiet", "puppet-run.timer"]
            return not self.operator.ssh.run(name, command, check=False).ok

        return [f"no timer runs Puppet on {name}" for name in names if resting(name)]

    def _dashboard(self) -> list[str]:
        """See that Puppetboard shows the fleet, to whom it should and to nobody else."""
        op = self.operator
        dashboard = Dashboard(
            ssh=op.ssh,
            name=op.puppet.server,
            authority=op.ssh.read(op.puppet.control, f"{SSLDIR}/certs/ca.pem"),
            user=DASHBOARD_USER,
            password=op.secrets.password("puppetboard"),
        )
        address = op.site.address(op.puppet.control)
        certnames = [self._certname(host) for host in self._hosts()]
        return [
            problem
            for where in (address.v4, address.v6)
            for problem in dashboard.problems(str(where), path="/nodes", texts=certnames)
        ]

    def _policy(self) -> list[str]:
        """See that a host with another key would be refused, and only that."""
        op = self.operator
        host, key = op.puppet.control, op.secrets.enrolment_key
        wrong = []
        if not self._enrolment.would_sign(host, key=key):
            wrong.append("the enrolment policy refuses the right key")
        if self._enrolment.would_sign(host, key=key[::-1]):
            wrong.append("the enrolment policy takes a wrong key")
        return wrong


def problems(facts: Mapping[str, str], *, certname: str, role: str) -> list[str]:
    """Return why a host cannot take part; empty when it can.

    Args:
        facts: what the host says of itself: ``system``, ``memory_mb``, ``disk_mb`` and, for a
            host with a certificate authority, ``authority``: the names of its certificates.
        certname: the host's own certificate must be among those, or it is another fleet's.
        role: of the host; only the control host needs room.
    """
    found = []
    if facts.get("system") != "debian-13":
        found.append(f"Debian 13 is needed, not {facts.get('system', 'an unknown system')}")
    if role != "control":
        return found
    for name, least in (("memory_mb", _MEMORY_MB), ("disk_mb", _DISK_MB)):
        has = int(facts.get(name, "0"))
        if has < least:
            found.append(f"{least} {name.replace('_mb', ' in MB')} are needed, there are {has}")
    signed = re.findall(r"(\S+)\.pem", facts.get("authority", ""))
    if signed and certname not in signed:
        found.append(f"a certificate authority of others is there: {signed[0]}")
    return found

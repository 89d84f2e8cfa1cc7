"""Puppet, as the operator uses it: runs on the hosts, questions to the control host's services."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from lab.fleet import Host, Site
from lab.operator.puppet_run import RAN, PuppetError, Run, judge
from lab.operator.ssh import Result, Ssh, SshError
from lab.parallel import side_by_side

TREE: Final = Path(__file__).resolve().parents[2] / "puppet"
"""The control repository of this checkout."""

CODE: Final = "/etc/puppet/code"
CA: Final = "/etc/puppet/puppetserver/ca"
SSLDIR: Final = "/var/lib/puppet/ssl"
SERVER: Final = "puppetserver.service"

RUN_SECONDS: Final = 1800.0
"""How long a run may take: the first one installs everything."""

_SUMMARY: Final = "/var/cache/puppet/public/last_run_summary.yaml"
_STATE: Final = "/var/cache/puppet/state"
_NOT_HELD: Final = "/run/generalprove-not-held"
# Whoever holds a host leaves a word; these are ours to take back.
_OURS: Final = "generalprove: "


class Puppet:
    """Puppet at one site.

    Attributes:
        ssh: the way to the hosts.
        control: the control host's name.

    Args:
        ssh: as above.
        site: the fleet as it stands there.
    """

    def __init__(self, *, ssh: Ssh, site: Site) -> None:
        self.ssh = ssh
        self._site = site
        self.control = next(host.name for host in site.hosts.values() if host.role == "control")

    @property
    def server(self) -> str:
        """The certname of the control host."""
        return self._site.certname(self.control)

    def certname(self, host: str) -> str:
        """Return what Puppet calls *host*."""
        return self._site.certname(host)

    def enrolled(self) -> list[str]:
        """Return the names of the hosts that have a certificate; none without a server."""
        script = f"cd {CA}/signed 2>/dev/null || exit 0; ls -1"
        signed = self.ssh.run(self.control, script).stdout.split()
        return [name for name in self._site.hosts if f"{self._site.certname(name)}.pem" in signed]

    def wait_for_server(self, *, timeout: float = RUN_SECONDS) -> None:
        """Wait until Puppet Server answers; give up at once when it is not about to.

        Args:
            timeout: seconds that a start may take.

        Raises:
            PuppetError: it stands still, and systemd has nothing more to do for it.
        """
        script = f"""
            until systemctl is-active --quiet {SERVER}; do
                case $(systemctl show --property ActiveState,Job --value {SERVER}) in
                    *ing* | *[0-9]*) sleep 0.5 ;;
                    active*) ;;  # since the question before
                    *) systemctl is-active {SERVER}; exit ;;
                esac
            done
        """
        state = self.ssh.run(self.control, script, timeout=timeout, check=False).stdout.strip()
        if state:
            raise PuppetError(
                f"Puppet Server does not run: it is {state}",
                where=self.control,
                remedy=f"`journalctl --unit {SERVER}` there has the reason",
            )

    def agent(
        self,
        host: Host | str,
        *,
        noop: bool = False,
        environment: str | None = None,
        though_held: bool = False,
    ) -> Run:
        """Run Puppet on *host* once, and wait for it.

        Args:
            host: where.
            noop: only look what would be changed.
            environment: to ask for instead of the release in force.
            though_held: run even where the operator holds the host.

        Raises:
            PuppetError: it did not run at all.
            PuppetCheckError: it ran, and something failed.
        """
        name = host if isinstance(host, str) else host.name
        self.wait_for_server()
        return self.run(
            name,
            [
                *("puppet", "agent", "--onetime", "--no-daemonize", "--verbose"),
                *("--waitforcert", "0", "--waitforlock", "5", "--maxwaitforlock", "15m"),
                # A catalog that cannot be compiled is a failure, not the one of last time again.
                "--no-usecacheonfailure",
                *("--server", self.server, "--certname", self._site.certname(name)),
                *(["--noop"] if noop else []),
                *(["--environment", environment] if environment else []),
                *(["--agent_disabled_lockfile", _NOT_HELD] if though_held else []),
            ],
        )

    def run(self, host: str, command: Sequence[str]) -> Run:
        """Run one of Puppet's commands that apply a catalog, and wait for it.

        Raises:
            PuppetError: it did not run at all.
            PuppetCheckError: it ran, and something failed; a unit that does not start is that.
        """
        started = time.monotonic()
        done = self.ssh.run(
            host,
            [*command, "--detailed-exitcodes", "--color=false"],
            timeout=RUN_SECONDS,
            check=False,
        )
        summary = self._summary(host) if done.code in RAN else {}
        return judge(done, summary, seconds=time.monotonic() - started)

    def _summary(self, host: str) -> Mapping[str, Mapping[str, object]]:
        found = YAML(typ="safe").load(self.ssh.read(host, _SUMMARY))
        return found if isinstance(found, dict) else {}

    def clean(self, host: str) -> None:
        """Revoke *host*'s certificate and drop its request, if there is a server that has one."""
        name = self._site.certname(host)
        script = f"""
            cd {CA} 2>/dev/null && systemctl is-active --quiet {SERVER} || exit 0
            rm -f requests/{name}.pem
            [ ! -e signed/{name}.pem ] || puppetserver ca clean --certname {name}
        """
        self.ssh.run(self.control, script)

    def query(self, pql: str) -> list[dict[str, object]]:
        """Ask PuppetDB a question in its language PQL."""
        url = "https://localhost:8081/pdb/query/v4"
        said = self.curl(url, "--get", "--data-urlencode", f"query={pql}", output="-")
        found: list[dict[str, object]] = json.loads(said.stdout)
        return found

    def curl(self, url: str, *options: str, output: str = "/dev/null") -> Result:
        """Ask one of the control host's own services, with its own certificate."""
        return self.ssh.run(
            self.control,
            [
                *("curl", "--silent", "--show-error", "--max-time", "30", "--output", output),
                *(("--fail",) if output == "-" else ("--write-out", "%{http_code}")),
                *("--cacert", f"{SSLDIR}/certs/ca.pem"),
                *("--cert", f"{SSLDIR}/certs/{self.server}.pem"),
                *("--key", f"{SSLDIR}/private_keys/{self.server}.pem"),
                *options,
                url,
            ],
        )

    @contextmanager
    def held(self, hosts: Sequence[str], reason: str) -> Iterator[None]:
        """Keep Puppet from running on *hosts* while the block runs."""
        self.hold(hosts, reason)
        try:
            yield
        finally:
            self.release(hosts)

    def hold(self, hosts: Sequence[str], reason: str) -> None:
        """Keep Puppet from running on *hosts*, and wait until none is running there.

        The same file as from ``puppet agent --disable``, without Puppet's second to start. Who is
        held already stays so, with the reason given there.
        """
        message = json.dumps({"disabled_message": _OURS + reason})
        script = f"""
            mkdir -p {_STATE}; cd {_STATE}
            [ -e agent_disabled.lock ] || cat >agent_disabled.lock
            while kill -0 "$(cat agent_catalog_run.lock)"; do sleep 0.3; done 2>/dev/null
        """

        def one(host: str) -> None:
            # A host that is down runs nothing, and must not keep the others from going on.
            with suppress(SshError):
                self.ssh.run(host, script, stdin=message, timeout=RUN_SECONDS)

        side_by_side(one, hosts)

    def release(self, hosts: Sequence[str]) -> None:
        """Let Puppet run again on *hosts*, unless somebody else holds them."""
        lock = f"{_STATE}/agent_disabled.lock"
        script = f"""! grep -qsF '"{_OURS}' {lock} || rm -f {lock}"""

        def one(host: str) -> None:
            with suppress(SshError):
                self.ssh.run(host, script)

        side_by_side(one, hosts)

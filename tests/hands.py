"""An operator that reaches nobody: for what steps decide from facts alone."""

from __future__ import annotations

from pathlib import Path

from lab.console import SilentReporter
from lab.fleet import Fleet
from lab.operator import Operator
from lab.operator.dns import Dns
from lab.operator.dns_tree import Tree
from lab.operator.puppet import Puppet
from lab.operator.registrar import ManualRegistrar
from lab.operator.secrets import Secrets
from lab.operator.ssh import Ssh
from lab.operator.stage import Stage


def operator_in(directory: Path, *, secrets: Secrets | None = None) -> Operator:
    """Return an operator of the lab's site whose files are in *directory*."""
    fleet = Fleet.load()
    site = fleet.site("lab")
    report = SilentReporter()
    ssh = Ssh(config=None, control_dir=directory / "ssh")
    dns = Dns(dial=ssh.dial)
    tree = Tree(dns=dns)
    return Operator(
        fleet=fleet,
        site=site,
        ssh=ssh,
        puppet=Puppet(ssh=ssh, site=site),
        stage=Stage(ssh=ssh, host="tromso"),
        registrar=ManualRegistrar(tree=tree, report=report),
        dns=dns,
        tree=tree,
        secrets=secrets or Secrets(directory=directory / "secrets"),
        report=report,
    )

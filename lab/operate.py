"""The operator of each site: the same hands, led to the lab or to the real servers.

This is the only place where the two differ: whose SSH configuration, which root of the DNS,
which registrar, whose secrets, and who makes a host anew.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from lab.access import VANTAGE
from lab.console import Reporter
from lab.fleet import Fleet, Host
from lab.lab import Lab
from lab.operator import Operator
from lab.operator.dns import Dns
from lab.operator.dns_tree import Tree
from lab.operator.puppet import Puppet
from lab.operator.registrar import ManualRegistrar, UpdateRegistrar
from lab.operator.reinstall import ManualReinstaller
from lab.operator.secrets import Secrets
from lab.operator.ssh import Ssh
from lab.operator.stage import Stage
from lab.operator.vantage import Vantage
from lab.store import root
from lab.users.plan import both
from lab.world import issued
from lab.world.machines import CA, REGISTRY, RESOLVER
from lab.world.names import machine_address, machine_name
from lab.world.secrets import REGISTRAR_KEY, WorldSecrets

KEYS_OF_ROOT: Final = "/root/.ssh/authorized_keys"


class LabReinstaller:
    """Makes a lab's machines anew, as a provider does with a host.

    Args:
        lab: the lab.
    """

    def __init__(self, *, lab: Lab) -> None:
        self._lab = lab

    def reinstall(self, host: Host, *, identity: str) -> None:  # noqa: ARG002 - see the protocol
        """Make *host* anew, and let the operator in by its new key."""
        self._lab.reinstall(host.name)


def in_lab(lab: Lab) -> Operator:
    """Return the operator of a lab: everything through its jump host, nothing is a dry run."""
    ssh, site = lab.ssh, lab.site
    registry = str(machine_address(site, REGISTRY).v4)
    world = WorldSecrets.at(lab.store.secrets, lab.fleet)
    dns = Dns(dial=ssh.dial)
    acme = issued.authority(
        ssh=ssh, name=machine_name(lab.fleet, CA), root=world.authority.root, kept=lab.store.secrets
    )
    tree = Tree(dns=dns, roots=[registry], anchors=[world.anchor])
    puppet = Puppet(ssh=ssh, site=site)
    return Operator(
        fleet=lab.fleet,
        site=site,
        ssh=ssh,
        puppet=puppet,
        stage=Stage(ssh=ssh, host=puppet.control),
        registrar=UpdateRegistrar(
            dns=dns,
            tree=tree,
            server=registry,
            key_name=REGISTRAR_KEY,
            key_secret=world.registrar,
        ),
        dns=dns,
        tree=tree,
        secrets=Secrets(directory=lab.store.secrets),
        report=lab.report,
        vantage=Vantage(
            host=VANTAGE,
            resolver=both(machine_address(site, RESOLVER)),
            root=both(machine_address(site, REGISTRY)),
        ),
        dry_run=False,
        acme=acme,
        reinstaller=LabReinstaller(lab=lab),
    )


def in_production(fleet: Fleet, *, report: Reporter, dry_run: bool = True) -> Operator:
    """Return the operator of the real servers.

    SSH is the user's own, with whatever jump hosts and agents it is set up for; the DNS is
    asked from this machine; the registrar is a person.

    Args:
        fleet: the fleet.
        report: where progress and instructions go.
        dry_run: whether nothing may be changed.
    """
    site = fleet.site("production")
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    ssh = Ssh(
        config=None,
        control_dir=runtime / f"generalprove-{os.getuid()}" / "production",
        aliases={host.name: host.ssh for host in fleet.hosts.values()},
    )
    dns = Dns(dial=ssh.dial)
    tree = Tree(dns=dns)
    puppet = Puppet(ssh=ssh, site=site)
    secrets = Secrets(directory=root() / "production" / "secrets")
    return Operator(
        fleet=fleet,
        site=site,
        ssh=ssh,
        puppet=puppet,
        stage=Stage(ssh=ssh, host=puppet.control),
        registrar=ManualRegistrar(tree=tree, report=report),
        dns=dns,
        tree=tree,
        secrets=secrets,
        report=report,
        vantage=Vantage.here(),
        dry_run=dry_run,
        reinstaller=ManualReinstaller(
            ssh=ssh,
            fleet=fleet,
            site=site,
            operators=lambda: secrets.operators(lambda: ssh.read(puppet.control, KEYS_OF_ROOT)),
            report=report,
        ),
    )

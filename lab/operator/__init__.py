"""The operator: the only hands that a step has, in the lab as on the real servers.

It reaches hosts by SSH, lets Puppet run, writes down how far the fleet has come, tells the
registrar what to change and asks name servers from outside. It never touches the engine, so
what it does cannot depend on whether the machines are real.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.console import Reporter
from lab.fleet import Fleet, Site
from lab.operator.acme import Acme
from lab.operator.dns import Dns
from lab.operator.dns_tree import Tree
from lab.operator.puppet import Puppet
from lab.operator.registrar import Registrar
from lab.operator.reinstall import NoReinstaller, Reinstaller
from lab.operator.secrets import Secrets
from lab.operator.ssh import Ssh
from lab.operator.stage import Stage
from lab.operator.vantage import Vantage


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Everything that a step may act through.

    Attributes:
        fleet: what is operated.
        site: where: the real servers or a lab.
        ssh: the way to the hosts.
        puppet: releases and runs.
        stage: how far the fleet has come.
        registrar: changes delegations.
        dns: asks name servers from outside.
        tree: walks the DNS from its root.
        secrets: of this site.
        report: where progress goes.
        vantage: from where users watch.
        dry_run: whether nothing may be changed.
        acme: issues certificates.
        reinstaller: makes a host anew.
    """

    fleet: Fleet
    site: Site
    ssh: Ssh
    puppet: Puppet
    stage: Stage
    registrar: Registrar
    dns: Dns
    tree: Tree
    secrets: Secrets
    report: Reporter
    vantage: Vantage = field(default_factory=Vantage)
    dry_run: bool = True
    acme: Acme = field(default_factory=Acme)
    reinstaller: Reinstaller = field(default_factory=NoReinstaller)

"""A host of the pair from bare to full: made anew, enrolled, alike with the other again.

It acts through the operator alone, in a lab as on the real servers. What makes it possible is that
nothing is on one host only: zones and sites are data of Puppet's, mailboxes and uploads are on the
other. So whatever only the host to be rebuilt has is looked for first, as far as it answers.

Every part may be interrupted and the command given again: it looks what there is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lab import new_keys
from lab.drain import Drain
from lab.errors import CheckFailedError, CouldNotError
from lab.fleet import Host
from lab.mail_takeover import Takeover
from lab.operator import Operator, reinstall, web_data
from lab.operator.carry import Carrier, Place
from lab.operator.enrolment import Enrolment
from lab.operator.puppet import SSLDIR
from lab.operator.reinstall import RELEASE
from lab.operator.ssh import SshError
from lab.pair.alike import AlikeCheckError, AlikeError, Twins, some
from lab.pair.strikes import PAIR
from lab.steps.certificates import obtain_certificates
from lab.steps.web_ha_facts import DRAIN

NEEDED: Final = ("dns_secondary", "web_ha", "mail_ha")
"""Steps without which the other host of the pair does not have everything."""

MAKING: Final = "rebuild::making"
"""Key of the stage: host -> identity of the bare installation that is being set up."""

WITHIN: Final = 300.0
"""Seconds from bare to full."""

_BACKUPS: Final = "/srv/backup"
"""Where backups of other hosts lie (``profile::backup``)."""

_DRAINED: Final = "/var/lib/fleet/drain.map"
_CATCH_UP: Final = 15.0
_PATIENCE: Final = 3600.0
"""Seconds until both must be alike: that it takes long is told in the end, and stops nobody."""


class RebuildError(CouldNotError):
    """A host could not be rebuilt."""


class RebuildCheckError(CheckFailedError):
    """A host may not be rebuilt, or is not what it was."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a rebuild is decided by.

    Attributes:
        host: who is to be rebuilt.
        peer: who has everything meanwhile.
        reached: the steps that the fleet has made.
        identity: of the installation that answers; empty when none does.
        system: that it runs.
        known: whether that installation has a certificate of Puppet's.
        making: identity of a bare one that a rebuild of before has begun with; empty if none.
        broken: units of the peer that have failed; None when it does not answer.
        alone: what only the host has, told; empty when nothing, or when it does not answer.
    """

    host: str
    peer: str
    reached: Sequence[str]
    identity: str = ""
    system: str = ""
    known: bool = False
    making: str = ""
    broken: Sequence[str] | None = ()
    alone: str = ""

    @property
    def bare(self) -> bool:
        """Whether it has been made anew already."""
        fresh = not self.known or self.identity == self.making
        return bool(self.identity) and self.system == RELEASE and fresh


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What a rebuild took, in seconds.

    Attributes:
        bare: until the bare host answered; 0 when it did from the beginning.
        full: from then on until both hosts were alike.
    """

    bare: float
    full: float

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"bare after {self.bare:.0f} s, full {self.full:.0f} s later"


def refusals(facts: Facts) -> Iterator[str]:
    """Yield why a host may not be made anew."""
    missing = [step for step in NEEDED if step not in facts.reached]
    if missing:
        yield f"{facts.peer} does not have everything before {', '.join(missing)}"
    if facts.broken is None:
        yield f"{facts.peer} does not answer: it would have to serve, and to give everything back"
    elif facts.broken:
        yield f"on {facts.peer} has failed: {', '.join(facts.broken)}"
    if facts.alone:
        yield f"{facts.alone}: that would be lost"


def plan(facts: Facts) -> list[str]:
    """Return what is left to do, a line each."""
    first = (
        [f"{facts.host} is bare already"]
        if facts.bare
        else [f"make {facts.host} anew: everything on its disk is lost"]
    )
    return [
        *first,
        f"let {facts.peer} send what {facts.host} had accepted for people elsewhere",
        "let it enrol, and let Puppet make it what it was; nobody is led to it meanwhile",
        f"copy the sites from {facts.peer}; obtain certificates; let zones name its new keys",
        f"wait until {facts.host} and {facts.peer} hold the same",
    ]


def look(operator: Operator, host: Host) -> Facts:
    """Ask everybody who knows; nothing is changed."""
    peer = next(name for name in PAIR if name != host.name)
    stage = operator.stage.read()
    making = stage.get(MAKING)
    facts = Facts(
        host=host.name,
        peer=peer,
        reached=operator.stage.reached(),
        making=str(making.get(host.name, "")) if isinstance(making, dict) else "",
        broken=_broken(operator, peer),
    )
    try:
        found = reinstall.look(operator.ssh, host.name)
    except SshError:
        return facts
    known = operator.ssh.run(
        host.name, ["test", "-e", f"{SSLDIR}/certs/{operator.site.certname(host)}.pem"], check=False
    ).ok
    facts = replace(facts, identity=found.identity, system=found.system, known=known)
    return facts if facts.bare else replace(facts, alone=_alone(operator, host.name))


def check(operator: Operator, host: str) -> Facts:
    """Find out whether a host may be rebuilt, and say what would be done; nothing is changed.

    Raises:
        RebuildCheckError: it may not.
    """
    found = _host(operator, host)
    with operator.report.task(f"Look at {', '.join(PAIR)}"):
        facts = look(operator, found)
    if wrong := list(refusals(facts)):
        raise RebuildCheckError(
            "; ".join(wrong), where=f"rebuild {host}", remedy="Nothing was touched"
        )
    if not facts.identity:
        operator.report.say(
            f"{host} does not answer: what only it had, if anything, nobody can look for"
        )
    for line in plan(facts):
        operator.report.say(f"• {line}")
    return facts


def rebuild(operator: Operator, host: str, *, within: float = WITHIN) -> Rebuilt:
    """Make a host of the pair anew and all that it was.

    Args:
        operator: the hands.
        host: its name.
        within: seconds from bare to full.

    Raises:
        RebuildCheckError: it may not be rebuilt; nothing was touched.
        RebuildError: it took longer; it is what it was all the same.
        AlikeCheckError: it did not become like the other one.
    """
    facts = check(operator, host)
    task, puppet = operator.report.task, operator.puppet
    began = time.monotonic()
    if not facts.bare:
        if facts.identity:
            _leave(operator, host)
        with task(f"Make {host} anew"):
            operator.reinstaller.reinstall(_host(operator, host), identity=facts.identity)
    bare = time.monotonic()
    _note(operator, host, reinstall.look(operator.ssh, host).identity)
    # Now it is sure that nothing leaves what was its queue.
    Takeover(operator=operator, host=_host(operator, host)).send(facts.peer)
    # Until it has everything nobody is led to it, whatever its services say of themselves.
    operator.ssh.write(host, _DRAINED, "host drained\n")
    enrolment = Enrolment(ssh=operator.ssh, site=operator.site, puppet=puppet)
    with task(f"Enrol {host}"):
        enrolment.enrol(host, key=operator.secrets.enrolment_key)
    with task(f"Copy the sites from {facts.peer}"):
        _content(operator, facts.peer, host)
    with task("Obtain certificates"):
        obtain_certificates(operator, host)
    with task(f"Let zones name the keys that {host} has now"):
        new_keys.publish(operator, _host(operator, host), peer=_host(operator, facts.peer))
    for name in (facts.peer, host):  # whichever has the zones' content
        with task(f"Puppet on {name}"):
            puppet.agent(name)
    with task(f"Let {host} fetch its zones"):  # in the mesh it is known from now on
        operator.ssh.run(host, ["systemctl", "start", "dns-ready.service"])
    with task(f"Wait until {host} holds what {facts.peer} holds"):
        # People go on writing: it is what differs now that has to come.
        Twins(operator=operator).settle(within=_PATIENCE)
    Drain(operator=operator, host=operator.fleet.hosts[host]).undrain()
    _note(operator, host, None)
    done = Rebuilt(bare=bare - began, full=time.monotonic() - bare)
    operator.report.say(f"{host} is what it was: {done}")
    if done.full > within:
        raise RebuildError(f"it took {done.full:.0f} s, {within:.0f} s allowed", where=host)
    return done


def _leave(operator: Operator, host: str) -> None:
    """Let nobody new come to a host that lives, and whatever was written there go to the other."""
    if operator.ssh.run(host, ["test", "-x", DRAIN], check=False).ok:
        Drain(operator=operator, host=operator.fleet.hosts[host]).drain()
    with operator.report.task("Wait until the other has everything"):
        Twins(operator=operator).settle(within=_CATCH_UP)


def _content(operator: Operator, source: str, target: str) -> None:
    """Give *target* the releases of the sites that are in force on *source*."""
    carrier = Carrier(ssh=operator.ssh)
    for site in web_data.read(operator.fleet.domain):
        if not site.source:
            continue
        link = operator.ssh.run(source, ["readlink", f"{site.home}/current"]).stdout.strip()
        path = f"{site.home}/{link}"
        carrier.carry(Place(host=source, path=path), Place(host=target, path=path))
        script = f"cd {site.home}; ln -sfnT {link} current.new; mv -T current.new current"
        operator.ssh.run(target, script)


def _host(operator: Operator, name: str) -> Host:
    if name not in PAIR:
        raise RebuildError(
            f"{name!r} is none of the pair",
            remedy=f"Rebuilt can be {' and '.join(PAIR)}: what is on them is on the other as well",
        )
    return operator.fleet.hosts[name]


def _note(operator: Operator, host: str, identity: str | None) -> None:
    making = operator.stage.read().get(MAKING)
    noted = {
        **(making if isinstance(making, dict) else {}),
        host: identity,
    }
    left = {name: each for name, each in noted.items() if each is not None}
    operator.stage.update({MAKING: left or None})


def _broken(operator: Operator, peer: str) -> list[str] | None:
    """Return the failed units of the peer; None when it does not answer.

    A run of Puppet's is none that anybody is served by.
    """
    try:
        said = operator.ssh.run(
            peer, ["systemctl", "list-units", "--failed", "--plain", "--no-legend"]
        ).stdout
    except SshError:
        return None
    failed = (line.split()[0] for line in said.splitlines() if line.strip())
    return [unit for unit in failed if unit != "puppet-run.service"]


def _alone(operator: Operator, host: str) -> str:
    """Return what only *host* has, and has for a while, told; empty when nothing."""
    try:
        Twins(operator=operator).settle(within=_CATCH_UP)
    except AlikeCheckError as error:
        found = some(frozenset(each for each in error.left if each.host == host))
    except AlikeError:
        found = ""  # half a host: what is left of it cannot be compared
    kept = operator.ssh.run(host, f"ls -A {_BACKUPS} 2>/dev/null || true").stdout.split()
    backups = f"{_BACKUPS} on {host} has {', '.join(kept)}, and no other host has" if kept else ""
    return "; ".join(filter(None, (found, backups)))

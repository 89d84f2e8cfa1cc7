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

from lab.errors import CheckFailedError, CouldNotError
from lab.fleet import Host
from lab.operator import Operator, reinstall
from lab.operator.enrolment import Enrolment
from lab.operator.puppet import SSLDIR
from lab.operator.reinstall import RELEASE
from lab.operator.ssh import SshError
from lab.pair.alike import AlikeError, Twins, some
from lab.pair.strikes import PAIR

NEEDED: Final = ("dns_secondary", "web_ha", "mail_ha")
"""Steps without which the other host of the pair does not have everything."""

MAKING: Final = "rebuild::making"
"""Key of the stage: host -> identity of the bare installation that is being set up."""

WITHIN: Final = 300.0
"""Seconds from bare to full."""


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
        f"let it enrol, and let Puppet make it what it was; then Puppet on {facts.peer}",
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
        RebuildError: it was not alike with the other in time.
    """
    facts = check(operator, host)
    began = time.monotonic()
    if not facts.bare:
        with operator.report.task(f"Make {host} anew"):
            operator.reinstaller.reinstall(_host(operator, host), identity=facts.identity)
    bare = time.monotonic()
    _note(operator, host, reinstall.look(operator.ssh, host).identity)
    enrolment = Enrolment(ssh=operator.ssh, site=operator.site, puppet=operator.puppet)
    with operator.report.task(f"Enrol {host}"):
        enrolment.enrol(host, key=operator.secrets.enrolment_key)
    with operator.report.task(f"Puppet on {facts.peer}"):
        operator.puppet.agent(facts.peer)
    with operator.report.task(f"Wait until {host} holds what {facts.peer} holds"):
        # People go on writing: it is what differs now that has to come.
        Twins(operator=operator).settle(within=within, begun=bare)
    _note(operator, host, None)
    done = Rebuilt(bare=bare - began, full=time.monotonic() - bare)
    operator.report.say(f"{host} is what it was: {done}")
    if done.full > within:
        raise RebuildError(f"it took {done.full:.0f} s, {within:.0f} s allowed", where=host)
    return done


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
    """Return the failed units of the peer; None when it does not answer."""
    try:
        said = operator.ssh.run(
            peer, ["systemctl", "list-units", "--failed", "--plain", "--no-legend"]
        ).stdout
    except SshError:
        return None
    return [line.split()[0] for line in said.splitlines() if line.strip()]


def _alone(operator: Operator, host: str) -> str:
    """Return what only *host* has, told; empty when nothing."""
    try:
        found = Twins(operator=operator).look()
    except AlikeError:
        return ""  # half a host: what is left of it cannot be compared
    return some(frozenset(each for each in found if each.host == host))

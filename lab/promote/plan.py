"""The plan: what a release would change on every host, before anything is touched.

Two answers to the same question are compared. The *prediction* is the difference of two catalogs,
old and new, for the host's own facts. The *actual* is what Puppet finds when it looks at the host
itself. What it finds and nobody predicted is a change that did not come from the control
repository: drift, made by hand. A promotion would undo it without having been asked to.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from lab.console import Reporter
from lab.errors import CheckFailedError, CouldNotError, GeneralproveError
from lab.operator import Operator
from lab.operator.releases import Releases, environment
from lab.parallel import side_by_side
from lab.promote.blast import Blast, Reach, blast, reach
from lab.promote.catalog import SECRET, Catalog
from lab.promote.catalog_diff import Change, Kind, diff
from lab.promote.catalogs import Compiled, CompileError, compile_releases, facts_of
from lab.promote.noop import RESTARTED, Event, Look, look

NO_CATALOG = Catalog(resources={}, parents={})


class PlanError(CouldNotError):
    """There is nothing that a release could be compared with."""


class DriftError(CheckFailedError):
    """A host is not as the release in force says."""


class Verdict(StrEnum):
    """What a release means for one host."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class HostPlan:
    """What a release means for one host.

    Attributes:
        host: its name.
        verdict: in a word.
        changes: how the new catalog differs from the old one.
        blast: how far that reaches.
        actual: what Puppet would do on the host itself.
        predicted: resources that a run was to touch, by the catalogs alone.
        unpredicted: resources that it would touch besides: drift.
        already: predicted, but the host is so already, or the change has no effect.
        unseen: resources that could not be looked at yet -> why.
        error: why there is no answer; empty when there is.
        note: what is worth knowing of the answer.
    """

    host: str
    verdict: Verdict
    changes: tuple[Change, ...] = ()
    blast: Blast = field(default_factory=Blast)
    actual: tuple[Event, ...] = ()
    predicted: tuple[str, ...] = ()
    unpredicted: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a release means for every enrolled host.

    Attributes:
        old: the release in force.
        new: the one that is to be.
        hosts: in the order of the fleet.
        fleet: its name.
        site: where: ``production`` or ``lab``.
        made: when.
        seconds: how long it took to find out.
    """

    old: str
    new: str
    hosts: tuple[HostPlan, ...]
    fleet: str
    site: str
    made: datetime
    seconds: float

    @property
    def errors(self) -> tuple[HostPlan, ...]:
        """The hosts that there is no answer for."""
        return tuple(host for host in self.hosts if host.verdict is Verdict.ERROR)

    @property
    def unpredicted(self) -> tuple[tuple[str, str], ...]:
        """Host and resource of everything found that nobody predicted."""
        return tuple((host.host, ref) for host in self.hosts for ref in host.unpredicted)

    @property
    def changed(self) -> bool:
        """Whether anything at all would be touched."""
        return any(host.verdict is not Verdict.UNCHANGED or host.actual for host in self.hosts)

    def unaccepted(self, accepted: Collection[str]) -> tuple[tuple[str, str], ...]:
        """Return what nobody predicted and nobody named: ``File[/etc/x]``."""
        return tuple((host, ref) for host, ref in self.unpredicted if ref not in accepted)


def make(*, operator: Operator, release: str, report: Reporter) -> Plan:
    """Find out what a release would change; nothing is touched.

    Args:
        operator: of the site.
        release: that has been pushed, and is not in force.
        report: where progress goes.

    Raises:
        PlanError: no release is in force, or no host is enrolled.
        CatalogsError: the tool that compiles does not work.
    """
    start = time.monotonic()
    releases = Releases(puppet=operator.puppet)
    old, hosts = releases.in_force(), _enrolled(operator)
    if not old:
        raise PlanError("no release is in force", where=operator.puppet.control)
    try:
        with ThreadPoolExecutor(max_workers=1) as beside:
            looking = beside.submit(_looks, operator, hosts, environment(release))
            with report.task(f"Compile the catalogs of {len(hosts)} hosts, old and new"):
                facts = facts_of(operator.puppet, hosts)
                before, after = compile_releases(operator.puppet, [old, release], facts)
            with report.task("Look at the hosts themselves"):
                looks = looking.result()
    finally:
        # A release that is not in force is not to stay in the server's small memory.
        releases.flush(environment(release))
    judged = [host_plan(host, old=before, new=after, seen=looks[host]) for host in hosts]
    return _plan(operator, old, release, judged, start=start)


def look_for_drift(*, operator: Operator, report: Reporter) -> Plan:
    """Find out where hosts are not as the release in force says; nothing is touched.

    Returns:
        A plan from the release in force to itself: whatever a host has to be told is unpredicted.
    """
    start = time.monotonic()
    hosts = _enrolled(operator)
    release = Releases(puppet=operator.puppet).in_force()
    with report.task("Look at the hosts"):
        looks = _looks(operator, hosts, "production")
    nothing = Compiled(release=release, catalogs=dict.fromkeys(hosts, NO_CATALOG), errors={})
    judged = [host_plan(host, old=nothing, new=nothing, seen=looks[host]) for host in hosts]
    return _plan(operator, release, release, judged, start=start)


def _plan(
    operator: Operator, old: str, new: str, hosts: Sequence[HostPlan], *, start: float
) -> Plan:
    return Plan(
        old=old,
        new=new,
        hosts=tuple(hosts),
        fleet=operator.fleet.name,
        site=operator.site.name,
        made=datetime.now(UTC),
        seconds=time.monotonic() - start,
    )


def refuse_drift(found: Plan) -> None:
    """End in an error when hosts are not as the release in force says, or did not answer.

    Raises:
        DriftError: so it is.
    """
    hosts = list(dict.fromkeys(host for host, _ in found.unpredicted))
    if hosts:
        raise DriftError(
            f"not as release {found.new} says: {', '.join(hosts)}",
            remedy="The next run of Puppet undoes it: bring into the repository what is to stay",
        )
    if found.errors:
        raise PlanError("no answer", where=", ".join(host.host for host in found.errors))


def _enrolled(operator: Operator) -> dict[str, str]:
    """Return the certname of every host that has one."""
    hosts = {name: operator.site.certname(name) for name in operator.puppet.enrolled()}
    if not hosts:
        raise PlanError(
            "no host is enrolled",
            where=operator.puppet.control,
            remedy="The step control enrols the first ones",
        )
    return hosts


def _looks(
    operator: Operator, hosts: Mapping[str, str], wanted: str
) -> dict[str, Look | GeneralproveError]:
    def one(host: str) -> Look | GeneralproveError:
        try:
            return look(operator.puppet, host, certname=hosts[host], environment=wanted)
        except GeneralproveError as error:
            return error

    return dict(zip(hosts, side_by_side(one, list(hosts)), strict=True))


def host_plan(
    host: str, *, old: Compiled, new: Compiled, seen: Look | GeneralproveError
) -> HostPlan:
    """Judge one host.

    Args:
        host: its name.
        old: the release in force.
        new: the one that is to be.
        seen: what Puppet found on the host, or why it found nothing.
    """
    catalog = new.catalogs.get(host)
    if catalog is None:
        why = new.errors.get(host) or CompileError(
            message="PuppetDB knows no facts of it: its agent has not run for long"
        )
        return HostPlan(host=host, verdict=Verdict.ERROR, error=str(why))
    before = old.catalogs.get(host, NO_CATALOG)
    note = (
        f"the release in force does not compile: {failed}"
        if (failed := old.errors.get(host))
        else ""
    )
    changes = diff(before, catalog)
    touched = reach(catalog, changes)
    known = HostPlan(
        host=host,
        verdict=Verdict.CHANGED if changes else Verdict.UNCHANGED,
        changes=changes,
        blast=blast(before, catalog, changes, touched),
        predicted=tuple(sorted(touched.refs)),
        note=note,
    )
    if isinstance(seen, GeneralproveError):
        return _with(known, verdict=Verdict.ERROR, error=str(seen).removeprefix(f"{host}: "))
    found = {event.ref for event in seen.events} | seen.failed.keys()
    unpredicted = _unpredicted(catalog, touched, seen) | _edited(before, changes, seen)
    return _with(
        known,
        actual=seen.events,
        unpredicted=tuple(sorted(unpredicted)),
        already=tuple(sorted(ref for ref in touched.touched if ref not in found)),
        unseen={ref: why for ref, why in seen.failed.items() if touched.covers(ref)},
    )


def _with(plan: HostPlan, **changes: Any) -> HostPlan:  # noqa: ANN401 - its attributes
    return HostPlan(**{**vars(plan), **changes})


def _unpredicted(catalog: Catalog, touched: Reach, seen: Look) -> set[str]:
    """Return what was found and not predicted, without what merely follows from it.

    Accepting a file that was edited by hand is accepting the restart that comes with it.
    """
    acts = {event.ref for event in seen.events if event.property != RESTARTED} | seen.failed.keys()
    roots = {ref for ref in acts if not touched.covers(ref)}
    follows = set(catalog.refreshed(sorted(roots))) if catalog.resources else set()
    reacts = {event.ref for event in seen.events if event.property == RESTARTED}
    # Without a catalog to ask, every reaction follows from something else that was found.
    astray = {ref for ref in reacts - acts if not touched.covers(ref) and ref not in follows}
    return roots | (astray if catalog.resources or not roots else set())


def _edited(old: Catalog, changes: Sequence[Change], seen: Look) -> set[str]:
    """Return what a release changes and somebody changed by hand as well.

    A run would change it anyway, but not from what the release in force says: more of it than was
    predicted, or a file that says something else by now.
    """
    foreseen = {change.ref: change for change in changes if change.kind is Kind.CHANGED}
    found: set[str] = set()
    for event in seen.events:
        change = foreseen.get(event.ref)
        if change is None or event.property == RESTARTED or event.ref.startswith("Exec["):
            continue
        names = {parameter.name for parameter in change.parameters}
        if event.property == "content" and change.texts:
            known = old.content(old.resources[event.ref]).get("")
            is_now = event.old.removeprefix("{sha256}")
            # Of a secret, Puppet does not say what it is now.
            if known and is_now and not known.checksum.startswith(SECRET):
                found |= {event.ref} if is_now != known.checksum else set()
        elif event.property not in names:
            found.add(event.ref)
    return found


def as_json(plan: Plan) -> dict[str, object]:
    """Return a plan for a program."""
    return {
        "old": plan.old,
        "new": plan.new,
        "fleet": plan.fleet,
        "site": plan.site,
        "made": plan.made.isoformat(timespec="seconds"),
        "seconds": round(plan.seconds, 1),
        "errors": [host.host for host in plan.errors],
        "unpredicted": [{"host": host, "resource": ref} for host, ref in plan.unpredicted],
        "hosts": [asdict(host) for host in plan.hosts],
    }

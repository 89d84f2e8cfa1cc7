"""The phases by which two servers come to serve the web together.

Nobody is led to the second before it has answered every address as the first does. From then on
names lead to whichever of both are well, so there is nothing to wait for; on the way back there is.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import ClassVar, Final

from typing_extensions import override

from lab.fleet import Host
from lab.operator import web_compare, zone_data
from lab.operator.carry import Place
from lab.operator.ssh import SshError
from lab.operator.tls import key_of, shown
from lab.parallel import side_by_side
from lab.steps.base import StepCheckError, StepError
from lab.steps.certificates import obtain_certificates
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.mail_records import Records, before, lacking, longest, with_records
from lab.steps.phases import Phase
from lab.steps.web_facts import kept
from lab.steps.web_ha_facts import AFTER, BEFORE, HOSTS, REPLICAS, Facts
from lab.steps.web_ha_move import Pair
from lab.steps.web_ha_records import joined, sealed, together

ARRIVAL_SECONDS: Final = 60.0
"""How long what programs have written on one host may take to be on the other."""

_MOST_TOLD: Final = 5
_HTTPS: Final = 443
_EDGE: Final = "web-certificates.timer haproxy.service nginx.service 'php*-fpm.service'"


class PairPhase(Phase[Facts], ABC):
    """A phase of two servers' coming together.

    Args:
        pair: which, and with which hands.
    """

    def __init__(self, *, pair: Pair) -> None:
        self.pair = pair

    def puppet(self, *hosts: Host, undo: bool = False) -> None:
        """Let Puppet make hosts what the stage says, all at once.

        Args:
            hosts: which.
            undo: whether somebody goes back: a host that is not there keeps nobody from that.
        """
        op = self.pair.op

        def one(host: Host) -> None:
            try:
                op.puppet.agent(host)
            except SshError as error:
                if not undo:
                    raise
                op.report.say(f"[yellow]{error}: left to its next run of Puppet[/]")

        with op.report.task(f"Puppet on {', '.join(host.name for host in hosts)}"):
            side_by_side(one, hosts)

    def publish(self, facts: Facts, wanted: Records, *, undo: bool = False) -> None:
        """Put records into the zones."""
        op = self.pair.op
        content = with_records(facts.content, wanted)
        if content != facts.content:  # else it may hold the comments of people
            op.ssh.write(op.puppet.control, CONTENT_FILE, zone_data.to_hiera(content.values()))
        self.puppet(*self.pair.hosts, undo=undo)

    def wait_for_data(self, source: Host, target: Host) -> None:
        """Wait until what programs have written on *source* is on *target*.

        Raises:
            StepError: it does not come.
        """
        pair = self.pair
        with pair.op.report.task(f"See that the data on {source.name} is on {target.name}"):
            missing = pair.arrived(source, target, seconds=ARRIVAL_SECONDS)
        if missing:
            raise StepError(
                f"{'; '.join(missing)}, after {ARRIVAL_SECONDS:.0f} s",
                remedy="`journalctl --unit 'web-replica-*' --unit 'web-lines-*'` there says why",
            )


class Serve(PairPhase):
    """The second server has all that the first has, and both exchange what programs write."""

    name: ClassVar[str] = "serve"
    title: ClassVar[str] = "Set up the second server with every site; replicate what programs write"
    undoing: ClassVar[str] = "Let the first server serve alone"
    meanwhile: ClassVar[bool] = True

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        pair = self.pair
        wrong = [] if facts.hosts == pair.names else [f"the stage lets {facts.hosts} serve"]
        for host, has in zip(pair.hosts, (facts.first, facts.second), strict=True):
            if has is None:
                wrong.append(f"{host.name} cannot be reached")
                continue
            if not has.serves:
                wrong.append(f"HAProxy does not run on {host.name}")
            if not has.together:
                wrong.append(f"{host.name} does not know the other one")
            if not has.replicates:
                wrong.append(f"{host.name} does not replicate what programs write")
        if facts.first and facts.second:
            wrong += [
                f"{pair.second.name} has another {name}"
                for name, version in facts.first.releases.items()
                if facts.second.releases.get(name) != version
            ]
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        found = [f"the stage lets {' and '.join(facts.hosts)} serve"] if facts.hosts else []
        if facts.second and facts.second.serves:
            found.append(f"HAProxy runs on {self.pair.second.name}")
        return found

    @override
    def do(self, facts: Facts) -> None:
        pair = self.pair
        pair.write_secrets()
        pair.op.stage.update(pair.stage())
        self.puppet(pair.second)
        if facts.first:
            with pair.op.report.task(f"Copy the sites to {pair.second.name}"):
                for name, version in facts.first.releases.items():
                    self._release(f"/srv/www/{name}", version)
        self.puppet(pair.first)
        self.wait_for_data(pair.first, pair.second)

    @override
    def undo(self, facts: Facts) -> None:
        pair = self.pair
        if facts.first and facts.second and facts.first.replicates and facts.second.replicates:
            # No name leads to the second any more, so nobody writes there.
            self.wait_for_data(pair.second, pair.first)
        elif facts.hosts:
            pair.op.report.say(
                "[yellow]What programs wrote cannot be compared: should the other host have more, "
                f"it is in /srv/www/*/shared.undone on {pair.second.name}[/]"
            )
        pair.op.stage.update({HOSTS: None, REPLICAS: None})
        self.puppet(pair.first, undo=True)
        self._run(pair.first, _PART)
        self._run(pair.second, _PART + _stopped([s.name for s in pair.web.with_content]))
        self.puppet(pair.second, undo=True)

    def _release(self, home: str, version: str) -> None:
        """Put a site's content beside what is there, and make it the one in force."""
        pair, path = self.pair, f"{home}/releases/{version}"
        source = Place(host=pair.first.name, path=path)
        pair.carrier.carry(source, Place(host=pair.second.name, path=path))
        script = f"cd {home}; ln -sfnT releases/{version} current.new; mv -T current.new current"
        pair.op.ssh.run(pair.second.name, script)

    def _run(self, host: Host, script: str) -> None:
        try:
            self.pair.op.ssh.run(host.name, script, timeout=180)
        except SshError as error:
            self.pair.op.report.say(f"[yellow]{error}: it has to be cleared up by hand[/]")


class Certify(PairPhase):
    """The second server has certificates of its own before the first visitor comes."""

    name: ClassVar[str] = "certify"
    title: ClassVar[str] = "Obtain certificates for the second server; the first answers for it"
    undoing: ClassVar[str] = "Nothing: certificates stay until they expire"
    meanwhile: ClassVar[bool] = True

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        has = facts.second.certified if facts.second else frozenset()
        missing = [s.name for s in self.pair.sites if s.certified and s.name not in has]
        host = self.pair.second.name
        return [
            *Serve(pair=self.pair).lacks(facts),
            *(f"{name} has no certificate on {host}" for name in missing),
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return ()

    @override
    def do(self, facts: Facts) -> None:
        obtain_certificates(self.pair.op, self.pair.second.name)

    @override
    def undo(self, facts: Facts) -> None:
        """Do nothing."""


class Point(PairPhase):
    """Names lead to whichever of the two are well."""

    name: ClassVar[str] = "point"
    title: ClassVar[str] = "Compare every address; let the names lead to both while they are well"
    undoing: ClassVar[str] = "Let the names lead to the first server alone"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Certify(pair=self.pair).lacks(facts))
        if facts.after is None:
            return [*wrong, "no name leads to both yet"]
        return [*wrong, *self._otherwise(facts, facts.after)]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [] if facts.after is None else ["what the records were before is kept"]

    @override
    def fades(self, facts: Facts) -> int:
        return longest(facts.after or {}, facts.content)

    @override
    def do(self, facts: Facts) -> None:
        pair, after = self.pair, facts.after
        with pair.op.report.task("Compare every address with the first server's"):
            self._compare()
        if after is None:
            after = self._records(facts)
            pair.op.stage.update({BEFORE: kept(before(after, facts.content)), AFTER: kept(after)})
        self.publish(facts, after)

    @override
    def undo(self, facts: Facts) -> None:
        self.publish(facts, facts.before, undo=True)
        self.pair.op.stage.update({BEFORE: None, AFTER: None})

    def _records(self, facts: Facts) -> Records:
        pair = self.pair
        names = [name for site in pair.sites for name in site.names]
        return joined(
            together(
                facts.content,
                names=names,
                first=pair.addresses(pair.first),
                second=pair.addresses(pair.second),
            ),
            sealed(facts.content, names=set(names), keys=self._keys()),
        )

    def _keys(self) -> dict[str, tuple[str, str]]:
        """Return host name -> SHA-256 of the keys that the two show for it."""
        pair, dial = self.pair, self.pair.op.ssh.dial
        found = {}
        for name in (name for site in pair.sites for name in site.certified):
            seen = [shown(dial, pair.addresses(host)[0], name, _HTTPS) for host in pair.hosts]
            if all(seen):
                first, second = (key_of(each) for each in seen if each)
                found[name] = (first, second)
        return found

    def _compare(self) -> None:
        """See that the second has every page that the first has.

        Raises:
            StepCheckError: it has not.
        """
        pair = self.pair
        pages = pair.pages(pair.first)
        others = pair.inside(pair.second).fetch(pages)
        if wrong := web_compare.differences(pair.sites, pages, others, data=False):
            more = f" and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
            raise StepCheckError(
                f"it answers otherwise than {pair.first.name}: "
                f"{'; '.join(wrong[:_MOST_TOLD])}{more}",
                where=pair.second.name,
            )
        pair.op.report.say(f"{len(pages)} addresses answer alike")

    def _otherwise(self, facts: Facts, wanted: Records) -> list[str]:
        """Return which records are not as wanted, in the data or as they are served."""
        served = [(host, zones) for host, zones in facts.zones.items() if zones]
        places = [("the data", facts.content), *served]
        return [line for where, zones in places for line in lacking(wanted, zones, where=where)]


_PART: Final = """
    cd /etc/systemd/system
    for unit in web-replica-*.service web-lines-*.service; do
        [ -e "$unit" ] || continue
        systemctl disable --now "$unit" 2>/dev/null
        rm -f "$unit"
    done
    systemctl daemon-reload
    rm -rf /etc/web-replica /var/lib/web-replica /var/lib/web-lines
"""


def _stopped(sites: Sequence[str]) -> str:
    """Return what stops a web server, and keeps what programs have written there."""
    return f"""
        systemctl disable --now {_EDGE} 2>/dev/null || true
        for site in {" ".join(sites)}; do
            cd "/srv/www/$site" 2>/dev/null || continue
            rm -rf current releases shared.undone
            test ! -e shared || mv -T shared shared.undone
        done
    """


def phases(pair: Pair) -> tuple[PairPhase, ...]:
    """Return all phases, in their order."""
    return tuple(each(pair=pair) for each in _PHASES)


_PHASES: Final = (Serve, Certify, Point)

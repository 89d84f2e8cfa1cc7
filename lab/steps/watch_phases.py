"""The phases of the step ``watch``: alerts get a sender that is believed, then all are watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from typing_extensions import override

from lab.operator import zone_data
from lab.operator.control_host import ControlHost
from lab.operator.ssh import SshError
from lab.parallel import side_by_side
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.mail_records import Records, before, lacking, with_records
from lab.steps.phases import Phase
from lab.steps.watch_facts import AUTHORITY, BEFORE, CENTRAL, EVERYWHERE, WATCHED, Facts, Watching
from lab.steps.web_facts import kept

_PURGE_SECONDS: Final = 600.0
_OURS: Final = ("fleet-metrics", "fleet-look", "fleet-letter")
_PACKAGES: Final = (*EVERYWHERE, *CENTRAL, "prometheus-nginx-exporter", "libjs-dygraphs")

_REMOVE: Final = f"""
export DEBIAN_FRONTEND=noninteractive
for name in {" ".join(_OURS)}; do
    systemctl disable --now --quiet $name.timer 2>/dev/null || true
    systemctl stop $name.service 2>/dev/null || true
    rm -f /etc/systemd/system/$name.service /etc/systemd/system/$name.timer \
        /usr/local/sbin/$name /etc/$name.json /etc/$name.password
    rm -rf /var/lib/$name
done
there=$(dpkg-query --show --showformat '${{Package}} ${{db:Status-Abbrev}}\\n' "$@" 2>/dev/null |
    awk '$2 !~ /^un/ {{print $1}}')
[ -z "$there" ] || apt-get purge --quiet --yes -o DPkg::Lock::Timeout=300 $there >/dev/null
for name in "$@"; do rm -rf /etc/systemd/system/$name.service.d /etc/default/$name; done
rm -rf /etc/fleet-metrics.d /var/lib/prometheus /etc/prometheus /usr/local/share/fleet-pictures
systemctl daemon-reload
systemctl reset-failed
"""


class WatchPhase(Phase[Facts]):
    """A phase of the step.

    Args:
        watching: who watches whom, and with which hands.
    """

    def __init__(self, *, watching: Watching) -> None:
        self.watching = watching

    def puppet(self, host: str, *, undo: bool = False) -> None:
        """Let Puppet make a host what the stage says.

        Args:
            host: which.
            undo: whether somebody goes back: a host that is out of reach keeps nobody from it.
        """
        op = self.watching.op
        try:
            with op.report.task(f"Puppet on {host}"):
                op.puppet.agent(host)
        except SshError as error:
            if not undo:
                raise
            op.report.say(f"[yellow]{error}: left to its next run of Puppet[/]")


class Announce(WatchPhase):
    """Whoever gets an alert can see that it is from the fleet."""

    name: ClassVar[str] = "announce"
    title: ClassVar[str] = "Give the sender of alerts a name in the zone"
    undoing: ClassVar[str] = "Take the name of the sender of alerts from the zone"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wanted = self.watching.sender(facts.content)
        if facts.before is None:
            return ["it is not written down how the records were"]
        return [
            *lacking(wanted, facts.content, where="the data"),
            *lacking(wanted, facts.zones, where=self.watching.op.fleet.production.name),
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [] if facts.before is None else ["what the records were before is kept"]

    @override
    def do(self, facts: Facts) -> None:
        wanted = self.watching.sender(facts.content)
        if facts.before is None:
            was = before(wanted, facts.content)
            self.watching.op.stage.update({BEFORE: kept(was)})
        self._publish(facts, wanted)

    @override
    def undo(self, facts: Facts) -> None:
        self._publish(facts, facts.before or {}, undo=True)
        self.watching.op.stage.update({BEFORE: None})

    def _publish(self, facts: Facts, wanted: Records, *, undo: bool = False) -> None:
        op = self.watching.op
        content = with_records(facts.content, wanted)
        if content != facts.content:  # else it may hold the comments of people
            op.ssh.write(op.puppet.control, CONTENT_FILE, zone_data.to_hiera(content.values()))
        self.puppet(op.fleet.production.name, undo=undo)


class Watch(WatchPhase):
    """Every host tells of itself, and the control host listens."""

    name: ClassVar[str] = "watch"
    title: ClassVar[str] = "Let the control host watch every host"
    undoing: ClassVar[str] = "Watch nobody any more"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Announce(watching=self.watching).lacks(facts))
        if not facts.watched:
            wrong.append("the stage does not say that the fleet is watched")
        wrong += [f"{host} cannot be reached" for host in sorted(facts.unreachable)]
        return wrong + [
            f"{service} does not run on {host}"
            for host, services in facts.resting.items()
            for service in services
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        found = ["the stage says that the fleet is watched"] if facts.watched else []
        return found + [
            f"{host} has {package}"
            for host, packages in facts.installed.items()
            for package in packages
        ]

    @override
    def do(self, facts: Facts) -> None:
        op, control = self.watching.op, self.watching.control.name
        # Passwords and addresses that a site lacks which was set up before there was this step.
        ControlHost(
            fleet=op.fleet, site=op.site, ssh=op.ssh, puppet=op.puppet, secrets=op.secrets
        ).publish()
        op.stage.update({AUTHORITY: op.acme.roots() or None, WATCHED: True})
        # All at once, with nothing said by several of them in between.
        others = [host for host in self.watching.hosts if host != control]
        with op.report.task(f"Puppet on {', '.join(others)}"):
            side_by_side(op.puppet.agent, others)
        self.puppet(control)

    @override
    def undo(self, facts: Facts) -> None:
        op, control = self.watching.op, self.watching.control.name
        op.stage.update({WATCHED: None, AUTHORITY: None})
        # The control host first: nobody shall be told that the others are silent.
        for host in reversed(self.watching.hosts):
            self.puppet(host, undo=True)
            if host in facts.unreachable:
                continue
            packages = [*_PACKAGES, *(["postfix"] if host == control else [])]
            with op.report.task(f"Take the monitoring from {host}"):
                op.ssh.run(host, f"set -- {' '.join(packages)}\n{_REMOVE}", timeout=_PURGE_SECONDS)


def phases(watching: Watching) -> tuple[WatchPhase, ...]:
    """Return all phases of the step, in their order."""
    return (Announce(watching=watching), Watch(watching=watching))

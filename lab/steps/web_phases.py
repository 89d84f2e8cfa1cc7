"""The first phases of the move: the new server is there, certified, and gets the requests.

From the fourth phase on every request is answered by the new server's edge, whichever server the
visitor comes to. Programs that write still run on the old one, whose data is the only one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from typing_extensions import override

from lab.operator.ssh import SshError
from lab.operator.zones import RecordSet
from lab.steps import lowering
from lab.steps.certificates import obtain_certificates
from lab.steps.moving import MovePhase
from lab.steps.web_content import compare, release
from lab.steps.web_facts import (
    ACME,
    BEFORE,
    MAX_AGE,
    ORIGIN,
    PASSAGE,
    SERVED,
    THERE,
    Facts,
    leading,
)
from lab.steps.web_move import Move

_UNITS: Final = "web-certificates.timer haproxy.service nginx.service 'php*-fpm.service'"


class WebPhase(MovePhase[Facts, Move]):
    """A phase of the move."""

    def origin(self, *arguments: str) -> None:
        """Say where a site's programs run, on the new host."""
        self.move.op.ssh.run(self.move.new.name, [ORIGIN, *arguments])


class Lower(lowering.Lower[Facts, Move]):
    """No address is remembered for long any more."""

    key: ClassVar[str] = BEFORE

    @override
    def changing(self, facts: Facts) -> dict[str, tuple[RecordSet, ...]]:
        names = [name for site in self.move.sites for name in site.names]
        return leading(names, facts.content.values(), self.move.old_addresses)


class Serve(WebPhase):
    """The new server has every site."""

    name: ClassVar[str] = "serve"
    title: ClassVar[str] = "Set up the new server with a copy of every site"
    undoing: ClassVar[str] = "Stop the new server"
    meanwhile: ClassVar[bool] = True

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        move, new = self.move, facts.new
        wrong = [] if facts.reachable else [f"{move.new.name} cannot be reached"]
        missing = {site.name for site in move.sites} - facts.served
        wrong += [f"the stage does not have {name}" for name in sorted(missing)]
        if not new.serves:
            wrong.append(f"HAProxy does not run on {move.new.name}")
        wrong += [f"{move.new.name} has no {n}" for n in facts.versions if n not in new.releases]
        if not facts.old.mode:
            wrong.append(f"{move.old.name} passes nothing on")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        found = [f"the stage has {name}" for name in sorted(facts.served)]
        return found + ([f"{self.move.old.name} passes on"] if facts.old.mode else [])

    @override
    def do(self, facts: Facts) -> None:
        move = self.move
        move.write_secrets()
        move.op.stage.update({**move.stage(), MAX_AGE: None})
        self.puppet()
        with move.op.report.task("Copy the sites"):
            for site in move.with_content:
                release(move, site, facts.versions[site.name])
        for site in move.with_data:
            # Nobody comes to the new server yet, so there is nobody to let wait.
            self.origin("set", site.name, THERE, "unheld")
        if not facts.old.mode:
            move.become("ready")

    @override
    def undo(self, facts: Facts) -> None:
        move, host = self.move, self.move.new.name
        if facts.old.mode:
            move.become("")
        move.op.stage.update({SERVED: None, PASSAGE: None, ACME: None, MAX_AGE: None})
        self.puppet(undo=True)
        # Certificates and the account stay: they are true, and not to be had without limit.
        script = f"""
            systemctl disable --now {_UNITS} 2>/dev/null || true
            rm -f /var/lib/fleet-web/origins.map
            for site in {" ".join(site.name for site in move.with_content)}; do
                cd "/srv/www/$site" 2>/dev/null || continue
                rm -rf current releases shared.undone
                test ! -e shared || mv -T shared shared.undone
            done
        """
        try:
            move.op.ssh.run(host, script, timeout=180)
        except SshError as error:
            move.op.report.say(f"[yellow]{error}: stop the web server there by hand[/]")


class Certify(WebPhase):
    """The new server has certificates before the first visitor comes."""

    name: ClassVar[str] = "certify"
    title: ClassVar[str] = "Obtain certificates; the old server passes the challenges on"
    undoing: ClassVar[str] = "Nothing: certificates stay until they expire"
    meanwhile: ClassVar[bool] = True

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        return [
            *Serve(move=self.move).lacks(facts),
            *(
                f"{site.name} has no certificate"
                for site in self.move.sites
                if site.certified and site.name not in facts.new.certified
            ),
        ]

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return ()

    @override
    def do(self, facts: Facts) -> None:
        obtain_certificates(self.move.op, self.move.new.name)

    @override
    def undo(self, facts: Facts) -> None:
        """Do nothing."""


class Pass(WebPhase):
    """Whoever comes to the old server is served by the new one."""

    name: ClassVar[str] = "pass"
    title: ClassVar[str] = "Compare every address; let the old server pass everything on"
    undoing: ClassVar[str] = "Let the old server serve by itself again"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        old = self.move.old.name
        wrong = list(Certify(move=self.move).lacks(facts))
        if facts.old.mode != "passing":
            wrong.append(f"{old} does not pass everything on")
        elif not facts.old.settled:
            wrong.append(f"processes on {old} may not pass everything on yet")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        old = self.move.old.name
        if facts.old.mode == "passing":
            return [f"{old} passes everything on"]
        unsettled = facts.old.mode == "ready" and not facts.old.settled
        return [f"processes on {old} may still pass everything on"] if unsettled else []

    @override
    def do(self, facts: Facts) -> None:
        move = self.move
        if facts.old.mode != "passing":
            for site in move.with_content:
                if facts.new.releases.get(site.name) != facts.versions[site.name]:
                    release(move, site, facts.versions[site.name])
            with move.op.report.task("Compare every address with the old server's"):
                compare(move)
        move.become("passing")

    @override
    def undo(self, facts: Facts) -> None:
        self.move.become("ready")

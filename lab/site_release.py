"""A new version of a site: on every host that serves it, before any of them shows it."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.errors import CheckFailedError
from lab.operator import Operator, web_data
from lab.operator.web_data import Site
from lab.parallel import side_by_side
from lab.steps.web_facts import SERVED, as_texts
from lab.steps.web_ha_facts import HOSTS

_KEPT: Final = 3
_SECONDS: Final = 3600.0


class SiteReleaseCheckError(CheckFailedError):
    """A site cannot have that version."""


@dataclass(frozen=True, kw_only=True)
class SiteRelease:
    """One version of one site.

    Attributes:
        op: the hands.
        site: which site.
        directory: its content, without what its programs write.
        hosts: who serves it.
    """

    op: Operator
    site: Site
    directory: Path
    hosts: tuple[str, ...]

    @classmethod
    def of(cls, operator: Operator, *, site: str, directory: Path) -> SiteRelease:
        """Return the version of *site* that is in *directory*.

        Raises:
            SiteReleaseCheckError: there is no such site, or nothing to show; nothing is changed.
        """
        known = {each.name: each for each in web_data.read(operator.fleet.domain) if each.source}
        if site not in known:
            raise SiteReleaseCheckError(
                f"no site with content is called {site!r}", remedy=f"There are {', '.join(known)}"
            )
        if not directory.is_dir() or not any(directory.iterdir()):
            raise SiteReleaseCheckError("not a directory with content", where=str(directory))
        data = known[site].data
        if data and (directory / data).exists():
            raise SiteReleaseCheckError(
                f"it has {data}, which is what the site's programs write: leave that out",
                where=str(directory),
            )
        stage = operator.stage.read()
        if site not in as_texts(stage.get(SERVED)):
            raise SiteReleaseCheckError(f"no host serves {site} yet")
        serving = as_texts(stage.get(HOSTS)) or (operator.fleet.production.name,)
        return cls(op=operator, site=known[site], directory=directory, hosts=serving)

    @property
    def version(self) -> str:
        """What it is called: a checksum of all names and bytes."""
        digest = hashlib.sha256()
        for path in sorted(each for each in self.directory.rglob("*") if each.is_file()):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(self.directory)}\0{content}\0".encode())
        return digest.hexdigest()[:12]

    def check(self) -> None:
        """Say what would be done; nothing is changed.

        Raises:
            SshError: a host cannot be reached.
        """
        script = f"basename $(readlink {self.site.home}/current)"
        for host in self.hosts:
            now = self.op.ssh.run(host, script).stdout.strip()
            self.op.report.say(f"{self.site.name} on {host}: {now} would become {self.version}")

    def publish(self) -> None:
        """Put it on every host, and then let each show it.

        Raises:
            SshError: a host could not be reached, or has no room. When that happens before all
                have it, nobody shows it.
        """
        version = self.version
        where = f"{self.site.home}/releases/{version}"
        with self.op.report.task(f"Put {self.site.name} {version} on {', '.join(self.hosts)}"):
            side_by_side(lambda host: self._put(host, where), self.hosts)
        flip = f"""
            cd {shlex.quote(self.site.home)}
            touch releases/{version}
            ln -sfnT releases/{version} current.new
            mv -T current.new current
            ls -1dt releases/* | tail -n +{_KEPT + 1} | xargs -r rm -rf
        """
        for host in self.hosts:
            self.op.ssh.run(host, flip)
            self.op.report.say(f"{host} shows {self.site.name} {version}")

    def _put(self, host: str, where: str) -> None:
        if self.op.ssh.run(host, ["test", "-d", where], check=False).ok:
            return
        data = self.site.data
        shared = f"ln -sfnT ../../shared/{data} {where}.new/{data}" if data else ""
        self.op.ssh.run(host, ["rm", "-rf", f"{where}.new"])
        self.op.ssh.put(host, self.directory, f"{where}.new", timeout=_SECONDS)
        script = f"{shared}\nchmod -R a+rX {where}.new\nmv -T {where}.new {where}"
        self.op.ssh.run(host, script, timeout=_SECONDS)

"""Releases of the control repository on the control host: side by side, one of them in force.

``environments/production`` is a link that is switched in one step. Puppet Server keeps what it
has read of a release: after a switch it is told to forget it, and until then hosts are held, or
they would get a mixture of two. Every release is an environment of its own besides, so that a
host can be asked what another one would change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.operator.puppet import CODE, SERVER, Puppet
from lab.operator.puppet_run import PuppetError
from lab.operator.release import Release

IN_FORCE: Final = "production"
"""The environment that hosts ask for unless told otherwise."""

_KEPT: Final = 5
_UNPACK_SECONDS: Final = 300.0


def environment(release: str) -> str:
    """Return the name of a release's own environment (letters, digits and underscores only)."""
    return f"release_{release.replace('-', '_')}"


class Releases:
    """The releases on one control host.

    Args:
        puppet: Puppet there.
    """

    def __init__(self, *, puppet: Puppet) -> None:
        self._puppet = puppet
        self._ssh = puppet.ssh
        self._host = puppet.control

    def deploy(self, tree: Path) -> str:
        """Make the control repository *tree* what every host is given from now on.

        Returns:
            The name of the release (:class:`lab.operator.release.Release`).

        Raises:
            PuppetError: Puppet Server did not forget the release before.
        """
        release = Release.of(tree)
        self.push(release)
        self.switch(release.name)
        return release.name

    def push(self, release: Release) -> None:
        """Put a release beside those that are there; it is in force nowhere yet."""
        target = f"{CODE}/releases/{release.name}"
        if not self._ssh.run(self._host, ["test", "-d", target], check=False).ok:
            unpack = f"""
                rm -rf {target}.new; mkdir -p {target}.new
                tar -xzf - --no-same-owner -C {target}.new
                mv -T {target}.new {target}
            """
            self._ssh.run(self._host, unpack, stdin=release.archive(), timeout=_UNPACK_SECONDS)
        script = f"""
            mkdir -p {CODE}/environments; cd {CODE}/environments
            ln -sfnT ../releases/{release.name} {environment(release.name)}
        """
        self._ssh.run(self._host, script)

    def names(self) -> list[str]:
        """Return the releases that are there, the one switched to last first."""
        script = f"cd {CODE}/releases 2>/dev/null || exit 0; ls -1t"
        there = self._ssh.run(self._host, script).stdout.split()
        return [name for name in there if not name.endswith(".new")]

    def in_force(self) -> str:
        """Return the release that hosts are given; empty when there is none."""
        link = f"{CODE}/environments/{IN_FORCE}"
        found = self._ssh.run(self._host, ["readlink", link], check=False).stdout.strip()
        return found.rpartition("/")[2]

    def switch(self, release: str, *, held: bool = False) -> None:
        """Make a release that is on the control host the one in force.

        Args:
            release: its name.
            held: whether the hosts are held already, by somebody who lets them go.

        Raises:
            PuppetError: Puppet Server did not forget the release before.
        """
        script = f"""
            cd {CODE}
            # The one of until now is what there is to go back to, however many came since.
            touch --no-create environments/{IN_FORCE}/; touch releases/{release}
            ln -sfn ../releases/{release} environments/{IN_FORCE}.new
            mv -T environments/{IN_FORCE}.new environments/{IN_FORCE}
            ls -1dt releases/* | tail -n +{_KEPT + 1} | xargs -r rm -rf
            find environments -xtype l -delete
            systemctl is-active {SERVER} || true
        """
        hosts = [] if held else self._puppet.enrolled()
        with self._puppet.held(hosts, f"release {release}"):
            if self._ssh.run(self._host, script).stdout.strip() != "inactive":
                self.flush()

    def flush(self, environment: str = IN_FORCE) -> None:
        """Let Puppet Server forget what it has read of an environment.

        Args:
            environment: which; that of the release in force unless told otherwise.

        Raises:
            PuppetError: it did not answer with 204.
        """
        path = f"/puppet-admin-api/v1/environment-cache?environment={environment}"
        self._puppet.wait_for_server()
        url = f"https://{self._puppet.server}:8140{path}"
        said = self._puppet.curl(url, "--request", "DELETE").stdout.strip()
        if said != "204":
            raise PuppetError(
                f"Puppet Server did not flush its cache: {said}",
                where=self._host,
                remedy=f"Restart {SERVER} before any host runs Puppet",
            )

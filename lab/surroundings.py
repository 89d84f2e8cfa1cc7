"""Where the scenarios ran, for evidence: the engine, its images, the versions on the hosts."""

from __future__ import annotations

from lab.engine import packages
from lab.engine.client import connect, told_as
from lab.engine.images import BASE
from lab.lab import Lab
from lab.promote import versions
from lab.promote.statement import Surroundings
from lab.promote.versions import Versions
from lab.store import root


class Surveyor:
    """Notes what surrounds the scenarios while they run."""

    def __init__(self) -> None:
        self._fleet = ""
        self._versions: dict[str, Versions] = {}

    def note(self, lab: Lab) -> None:
        """Ask the hosts that Puppet has taken over; the lab may be in any state."""
        self._fleet = lab.fleet.name
        if lab.access.config.exists():
            found = versions.read(lab.ssh, list(lab.fleet.hosts))
            self._versions |= {name: has for name, has in found.items() if has.agent}

    def surroundings(self) -> Surroundings:
        """Return all that is known.

        Raises:
            EngineError: the engine does not answer.
        """
        client = connect()
        with told_as("ask the engine about itself"):
            engine = f"Docker {client.version()['Version']}"
        checksum = packages.checksum(client, BASE.tag, cache=root() / "packages")
        return Surroundings(
            fleet=self._fleet,
            engine=engine,
            images={BASE.tag: checksum},
            versions=self._versions,
        )

"""A host made anew: bare Debian on an empty disk, with an SSH key that nobody has seen before.

At a provider that is a person at a web page, or in a rescue console: there the person is told what
to do, and the operator waits until the bare host answers. Its new key is not ours to believe: as
everywhere, whoever owns the servers compares it with the one that the provider's console shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from lab.console import Reporter
from lab.errors import CheckFailedError, CouldNotError
from lab.fleet import Fleet, Host, Site
from lab.operator.ssh import Ssh, SshError

RELEASE: Final = "debian-13"
"""What every host of the fleet runs."""

_POLL: Final = 15.0
_PATIENCE: Final = 6 * 3600.0
_LOOK: Final = """
. /etc/os-release
echo "$ID-$VERSION_ID"
cat /etc/machine-id
"""


class ReinstallError(CouldNotError):
    """A host could not be made anew."""


class ReinstallCheckError(CheckFailedError):
    """What answers is not the bare host that was asked for."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What answers under a host's name.

    Attributes:
        system: its distribution and version, such as ``debian-13``.
        identity: what tells one installation from another (machine-id(5)).
    """

    system: str
    identity: str


class Reinstaller(Protocol):
    """Lets a host be made anew, and returns when it answers."""

    def reinstall(self, host: Host, *, identity: str) -> None:
        """Make *host* anew; all that is on it is lost.

        Args:
            host: which.
            identity: of the installation that is to go.

        Raises:
            ReinstallError: it cannot be made anew.
            ReinstallCheckError: what answers in the end is not what was asked for.
        """


class NoReinstaller:
    """Makes nothing anew."""

    def reinstall(self, host: Host, *, identity: str) -> None:  # noqa: ARG002 - see the protocol
        """Refuse.

        Raises:
            ReinstallError: always.
        """
        raise ReinstallError("nobody here can make it anew", where=host.name)


class ManualReinstaller:
    """A provider whom a person must go to.

    Args:
        ssh: the way to the hosts, by the person's own configuration.
        fleet: names the provider.
        site: knows the addresses.
        operators: returns the public SSH keys that root shall let in.
        report: where the person is told what to do.
        timeout: seconds until the bare host must answer.
        poll: seconds between two looks.
    """

    def __init__(
        self,
        *,
        ssh: Ssh,
        fleet: Fleet,
        site: Site,
        operators: Callable[[], Sequence[str]],
        report: Reporter,
        timeout: float = _PATIENCE,
        poll: float = _POLL,
    ) -> None:
        self._ssh = ssh
        self._fleet = fleet
        self._site = site
        self._operators = operators
        self._report = report
        self._timeout = timeout
        self._poll = poll

    def reinstall(self, host: Host, *, identity: str) -> None:
        """Say what to do, and wait until a bare host answers whose key the person has accepted."""
        address = self._site.address(host)
        for line in instructions(
            host=host.name,
            alias=host.ssh,
            provider=self._fleet.providers[host.provider],
            addresses=(str(address.v4), str(address.v6)),
            keys=self._operators(),
        ):
            self._report.say(line)
        with self._report.task(f"Waiting until a bare {host.name} answers"):
            self._await(host.name, identity)

    def _await(self, name: str, identity: str) -> None:
        deadline = time.monotonic() + self._timeout
        while why := self._unlike(name, identity):
            if time.monotonic() + self._poll > deadline:
                raise ReinstallCheckError(
                    f"no bare host answers after {self._timeout:.0f} s: {why}",
                    where=name,
                    remedy="Run the step again when it does: it goes on from here",
                )
            time.sleep(self._poll)

    def _unlike(self, name: str, identity: str) -> str:
        """Return why what answers is not the new host yet; empty when it is."""
        self._ssh.forget(name)  # or the connection to the old one would be kept open
        try:
            found = look(self._ssh, name)
        except SshError as error:
            return error.what
        return unlike(found, identity)


def look(ssh: Ssh, host: str) -> Machine:
    """Return what answers under the name of *host*.

    Raises:
        SshError: nothing does, or its key is not known.
    """
    said = ssh.run(host, _LOOK).stdout.split()
    return Machine(system=said[0], identity=said[1])


def unlike(found: Machine, identity: str) -> str:
    """Return why *found* is not the new host; empty when it is.

    Args:
        found: what answers.
        identity: of the installation that was to go.
    """
    if found.identity == identity:
        return "it is the old installation still"
    return "" if found.system == RELEASE else f"it runs {found.system}, not {RELEASE}"


def instructions(
    *, host: str, alias: str, provider: str, addresses: Sequence[str], keys: Sequence[str]
) -> list[str]:
    """Return what a person has to do, line by line.

    Args:
        host: the host's name.
        alias: its name in the person's SSH configuration.
        provider: where the host is.
        addresses: by which it is found there.
        keys: public SSH keys that root shall let in.
    """
    return [
        f"[bold]At {provider}, let {host} ({', '.join(addresses)}) be installed anew:[/]",
        "    Debian 13, nothing else chosen; every disk erased; the same addresses",
        "    root lets in these SSH keys, and no password:",
        *(f"        {key}" for key in keys),
        "Then forget its old host key, and accept the new one after comparing it with the one that",
        "the provider's console shows:",
        *(f"        ssh-keygen -R {address}" for address in (alias, *addresses)),
        f"        ssh {alias} true",
    ]

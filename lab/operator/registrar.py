"""The registrar: who changes what the parent of a zone says about it.

The lab's registry takes dynamic updates (RFC 2136) signed with a shared key (RFC 8945). A real
registrar is a web page: there a person is told what to change, and the parent is asked whether
it has been done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import dns.name
import dns.rcode
import dns.update
from dns.tsig import Key

from lab.console import Reporter
from lab.errors import CheckFailedError, CouldNotError
from lab.operator.dns import Dns, DnsCheckError, DnsError
from lab.operator.dns_tree import Delegation, Tree

_POLL = 0.5
_Wanted = Callable[[Delegation], bool]


class RegistrarError(CouldNotError):
    """The registrar could not be told."""


class RegistrarCheckError(CheckFailedError):
    """The parent does not say what the registrar was told."""


class Registrar(Protocol):
    """Changes a delegation, and returns when every server of the parent shows it."""

    def delegation(self, zone: str) -> Delegation:
        """Return what the parent's servers say of *zone* now."""

    def set_delegation(
        self, zone: str, nameservers: Collection[str], glue: Mapping[str, Collection[str]]
    ) -> None:
        """Delegate *zone* to *nameservers*.

        Args:
            zone: its name.
            nameservers: absolute names.
            glue: those of them that lie in the zone, and the addresses of each.
        """

    def set_ds(self, zone: str, ds: Collection[str]) -> None:
        """Publish *ds*, in presentation format, as the only DS records of *zone*; none removes."""


class UpdateRegistrar:
    """A registry that takes dynamic updates.

    Args:
        dns: asks and updates.
        tree: finds the parent of a zone and its servers.
        server: address of the registry's primary server.
        key_name: name of the key that updates are signed with.
        key_secret: the key in base64.
        algorithm: of the signature, by its name in DNS.
        timeout: seconds until every server of the parent must show a change.
    """

    def __init__(
        self,
        *,
        dns: Dns,
        tree: Tree,
        server: str,
        key_name: str,
        key_secret: str,
        algorithm: str = "hmac-sha256",
        timeout: float = 30.0,
    ) -> None:
        self._dns = dns
        self._tree = tree
        self._server = server
        self._key = Key(key_name, key_secret, algorithm)
        self._timeout = timeout

    def delegation(self, zone: str) -> Delegation:
        """Return what the parent's servers say of *zone* now."""
        return self._tree.delegation(zone)

    def set_delegation(
        self, zone: str, nameservers: Collection[str], glue: Mapping[str, Collection[str]]
    ) -> None:
        """Delegate *zone* to *nameservers*; the addresses of those that left go with them."""
        wanted = _delegated(nameservers, glue)
        before = self._tree.delegation(zone)
        update = self._update(zone)
        update.replace(dns.name.from_text(zone), before.ttl, "NS", *sorted(nameservers))
        for server in before.glue.keys() | glue.keys():
            for rdtype in ("A", "AAAA"):
                update.delete(dns.name.from_text(server), rdtype)
        for server, addresses in glue.items():
            for address in addresses:
                rdtype = "AAAA" if ":" in address else "A"
                update.add(dns.name.from_text(server), before.ttl, rdtype, address)
        self._send(zone, update)
        _await(self._tree, zone, wanted, timeout=self._timeout, poll=_POLL)

    def set_ds(self, zone: str, ds: Collection[str]) -> None:
        """Publish *ds* as the only DS records of *zone*; none removes them."""
        wanted = frozenset(ds)
        before = self._tree.delegation(zone)
        update = self._update(zone)
        update.delete(dns.name.from_text(zone), "DS")
        for each in sorted(wanted):
            update.add(dns.name.from_text(zone), before.ttl, "DS", each)
        self._send(zone, update)
        _await(self._tree, zone, lambda now: now.ds == wanted, timeout=self._timeout, poll=_POLL)

    def _update(self, zone: str) -> dns.update.UpdateMessage:
        update = dns.update.UpdateMessage(self._tree.parent(zone))
        update.use_tsig(self._key)
        return update

    def _send(self, zone: str, update: dns.update.UpdateMessage) -> None:
        try:
            reply = self._dns.exchange(self._server, [update])[update.id]
        except DnsError as error:
            raise RegistrarError(
                f"the registry gave no answer: {error}",
                where=zone,
                remedy="Run the step again when it does",
            ) from error
        if reply.rcode() != dns.rcode.NOERROR:
            raise RegistrarError(
                f"the registry refused the change: {dns.rcode.to_text(reply.rcode())}", where=zone
            )


class ManualRegistrar:
    """A registrar that a person must go to.

    Args:
        tree: asks the parent.
        report: where the person is told what to do.
        timeout: seconds until the parent must show the change.
        poll: seconds between two questions to the parent.
    """

    def __init__(
        self, *, tree: Tree, report: Reporter, timeout: float = 3600.0, poll: float = 15.0
    ) -> None:
        self._tree = tree
        self._report = report
        self._timeout = timeout
        self._poll = poll

    def delegation(self, zone: str) -> Delegation:
        """Return what the parent's servers say of *zone* now."""
        return self._tree.delegation(zone)

    def set_delegation(
        self, zone: str, nameservers: Collection[str], glue: Mapping[str, Collection[str]]
    ) -> None:
        """Say which name servers *zone* must be delegated to, and wait until it is."""
        lines = [f"{server} {' '.join(sorted(glue.get(server, ())))}" for server in nameservers]
        self._tell(f"replace all name servers of {zone} by these", lines)
        self._await(zone, _delegated(nameservers, glue))

    def set_ds(self, zone: str, ds: Collection[str]) -> None:
        """Say which DS records *zone* must have, and wait until it has them."""
        wanted = frozenset(ds)
        if wanted:
            self._tell(f"replace all DS records of {zone} by these", wanted)
        else:
            self._tell(f"remove all DS records of {zone}", ())
        self._await(zone, lambda now: now.ds == wanted)

    def _tell(self, what: str, lines: Collection[str]) -> None:
        self._report.say(f"At the registrar, {what}:" if lines else f"At the registrar, {what}.")
        for line in sorted(lines):
            self._report.say(f"    {line.strip()}")

    def _await(self, zone: str, wanted: _Wanted) -> None:
        with self._report.task(f"Waiting until the parent of {zone} shows it"):
            _await(self._tree, zone, wanted, timeout=self._timeout, poll=self._poll)


def _delegated(nameservers: Collection[str], glue: Mapping[str, Collection[str]]) -> _Wanted:
    """Return a test for a delegation to exactly these servers at exactly these addresses."""
    names = frozenset(nameservers)
    addresses = {server: tuple(sorted(listed)) for server, listed in glue.items()}
    return lambda now: now.nameservers == names and dict(now.glue) == addresses


def _await(tree: Tree, zone: str, wanted: _Wanted, *, timeout: float, poll: float) -> None:
    """Wait until every server of the parent shows what is *wanted*."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            reached, said = wanted(tree.delegation(zone)), "it says something else"
        except (DnsError, DnsCheckError) as error:
            reached, said = False, str(error)
        if reached:
            return
        if time.monotonic() + poll > deadline:
            raise RegistrarCheckError(
                f"the parent does not show the change after {timeout:.0f} s: {said}",
                where=zone,
                remedy="Run the step again when it does",
            )
        time.sleep(poll)

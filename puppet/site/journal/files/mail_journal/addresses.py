"""Which mailboxes a recipient leads to, by Postfix's own tables.

The tables are texts (``texthash:``), as Puppet writes them on both nodes alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from mail_journal.errors import CouldNotError


class AddressesError(CouldNotError):
    """Postfix's tables cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a recipient leads.

    Attributes:
        mailboxes: those on the two nodes.
        outside: addresses that mail is sent on to.
    """

    mailboxes: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()

    def __or__(self, other: Target) -> Target:
        """Return where two recipients lead together."""
        return Target(
            mailboxes=self.mailboxes | other.mailboxes, outside=self.outside | other.outside
        )


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """What Postfix knows of addresses.

    Attributes:
        domains: those that mail is taken for.
        mailboxes: addresses that are delivered here.
        aliases: address, or ``@domain`` -> addresses that get its mail.
        discarded: addresses whose mail is thrown away.
        delimiter: what stands between a name and what its owner added to it.
    """

    domains: frozenset[str]
    mailboxes: frozenset[str]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    discarded: frozenset[str] = frozenset()
    delimiter: str = "+"

    @classmethod
    def load(cls, directory: Path, *, delimiter: str) -> Self:
        """Read the tables.

        Args:
            directory: where Postfix has them.
            delimiter: its ``recipient_delimiter``.

        Raises:
            AddressesError: one cannot be read.
        """
        aliases = table(directory / "aliases")
        transport = table(directory / "transport")
        return cls(
            domains=frozenset(table(directory / "domains")),
            mailboxes=frozenset(table(directory / "mailboxes")),
            aliases={
                source: tuple(one.strip().lower() for one in target.split(",") if one.strip())
                for source, target in aliases.items()
            },
            discarded=frozenset(
                address for address, how in transport.items() if how.startswith("discard:")
            ),
            delimiter=delimiter,
        )

    def target(self, recipient: str) -> Target:
        """Return where a recipient leads in the end."""
        return self.targets([recipient])

    def targets(self, recipients: Iterable[str]) -> Target:
        """Return where several recipients lead together."""
        found = Target()
        seen: set[str] = set()
        left = [one.lower() for one in recipients]
        while left:
            address = left.pop()
            if address in seen:
                continue
            seen.add(address)
            key = next((one for one in self._spellings(address) if one in self.aliases), None)
            if key is None:
                found |= self._final(address)
                continue
            for to in self.aliases[key]:
                # Postfix follows an address that leads to itself no further.
                if to in {address, key}:
                    found |= self._final(to)
                else:
                    left.append(to)
        return found

    def _final(self, address: str) -> Target:
        name, _, domain = address.rpartition("@")
        if domain and domain not in self.domains:
            return Target(outside=frozenset({address}))
        for spelling in (address, f"{name.partition(self.delimiter)[0]}@{domain}"):
            if spelling in self.discarded:
                return Target()
            if spelling in self.mailboxes:
                return Target(mailboxes=frozenset({spelling}))
        return Target()

    def _spellings(self, address: str) -> list[str]:
        """Return what Postfix looks an address up by, in its order (virtual(5))."""
        name, _, domain = address.rpartition("@")
        plain, delimiter, _ = name.partition(self.delimiter)
        found = [address]
        if delimiter and plain:
            found.append(f"{plain}@{domain}")
        # A catch-all does not take what has a mailbox of its own: Puppet gives that an alias.
        return [*found, f"@{domain}"]


def table(path: Path) -> Mapping[str, str]:
    """Read a table of Postfix's: a key, white space and a value on each line.

    Raises:
        AddressesError: it cannot be read.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise AddressesError(f"cannot be read: {error}", where=str(path)) from error
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and line[0] not in "# \t")
    return {key.lower(): (value[0] if value else "") for key, *value in pairs}

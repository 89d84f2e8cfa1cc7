"""Who has a mailbox on the old server, and how they log in.

The passwords are for those who play these people. The server knows hashes only; they are in the
chapter of its history that made the accounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

UIDVALIDITY = 1365000000
"""Of the oldest folder; the server was new in April 2013."""


@dataclass(frozen=True)
class Person:
    """One mailbox.

    Attributes:
        name: the part before the @.
        system: whether it is an account of the server, with a home of its own and a login
            without a domain.
        subdomain: below the fleet's domain, for those whose address is not in the domain itself.
        share: how many of each 1,000 messages of the smaller mailboxes are theirs.
        locked: whether nobody can log in.
    """

    name: str
    system: bool = False
    subdomain: str = ""
    share: int = 100
    locked: bool = False
    password: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Say the password."""
        object.__setattr__(self, "password", f"{self.name}-Nordlys-2013")

    def address(self, domain: str) -> str:
        """Return where people write to."""
        return f"{self.name}@{self.subdomain}{domain}"

    def login(self, domain: str) -> str:
        """Return the name that the mail server knows them by."""
        return self.name if self.system else self.address(domain)

    def maildir(self, domain: str) -> str:
        """Return where their mail is, as an absolute path."""
        if self.system:
            return f"/home/{self.name}/Maildir"
        return f"/var/vmail/{self.subdomain}{domain}/{self.name}/Maildir"


PEOPLE = (
    Person("ingrid", system=True, share=200),
    Person("odd", system=True, share=100),
    Person("kjell", system=True, share=50, locked=True),
    Person("kari", share=250),
    Person("per.ole", share=150),
    Person("aase", share=100),
    Person("post", share=100),
    Person("kunde", subdomain="kunder.", share=50),
    Person("arkiv"),
)
"""Everybody; the last one's mailbox is the largest and has a size of its own."""


def person(name: str) -> Person:
    """Return one of them by name."""
    return next(each for each in PEOPLE if each.name == name)

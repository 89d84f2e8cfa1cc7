"""The standard users of mail: every way in which messages come, go and are kept in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from lab.users.mail_plan import (
    Account,
    Box,
    Correspondent,
    Letter,
    MailUsers,
    Mover,
    Reader,
    Stranger,
    Submitter,
)
from lab.users.mail_strangers import tricks

ABROAD: Final = ("astrid", "turid")
"""People elsewhere who write and are written to."""

FILED: Final = ("Kunder/Fjellheim A.S.", "Møter & referater")
"""Folders whose names are odd, and into which people file."""

_WRONG: Final = "feil-passord"


def standard_mail_users(
    *,
    resolver: Mapping[str, str],
    domain: str,
    accounts: Sequence[Account],
    mailer: str,
    foreign: str,
    servers: Sequence[str],
    twins: Sequence[str] = (),
) -> MailUsers:
    """Return everybody who has to do with mail: some two messages a second come and go.

    Args:
        resolver: family (``4``, ``6``) -> its address.
        domain: the fleet's.
        accounts: of everybody who can log in.
        mailer: the name of the mail server to which people elsewhere hand in.
        foreign: their domain.
        servers: addresses of the fleet's servers, where strangers try to relay.
        twins: addresses of the two that hold the same mailboxes once mail is served by both.
    """
    people = {account.name: account for account in accounts}
    astrid, turid = (f"{name}@{foreign}" for name in ABROAD)
    incoming = letters(domain=domain, sender=astrid, foreign=foreign)
    mail = f"mail.{domain}"

    def correspondent(name: str, **more: object) -> Correspondent:
        return Correspondent(name=name, **more)  # type: ignore[arg-type]

    def submitter(name: str, host: str, port: int, family: str) -> Submitter:
        sender = people[name].address
        colleague = "post" if name == "kari" else "kari"
        return Submitter(
            name=f"{name} sends to {port} over IPv{family}",
            account=people[name],
            host=host,
            port=port,  # type: ignore[arg-type]
            family=family,  # type: ignore[arg-type]
            letters=(
                Letter(sender=sender, to=people[colleague].address, boxes=(Box(owner=colleague),)),
                Letter(sender=sender, to=turid, abroad=(turid,)),
            ),
        )

    def reader(name: str, host: str, family: str, **more: object) -> Reader:
        return Reader(
            name=f"{name} reads over IPv{family}",
            account=people[name],
            host=host,
            family=family,  # type: ignore[arg-type]
            **more,  # type: ignore[arg-type]
        )

    return MailUsers(
        domain=domain,
        resolver=resolver,
        accounts=tuple(accounts),
        host=mail,
        twins=tuple(twins),
        correspondents=(
            correspondent("astrid hands in", route="handed in", server=mailer, family="4",
                          letters=incoming),
            correspondent("MX over IPv4", route="MX", family="4", letters=incoming, cadence=3.0),
            correspondent("MX over IPv6", route="MX", family="6", letters=incoming[::-1],
                          cadence=3.0),
        ),
        submitters=(
            submitter("kari", f"smtp.{domain}", 587, "4"),
            submitter("per.ole", mail, 587, "6"),
            submitter("ingrid", mail, 465, "4"),
            submitter("post", f"smtp.{domain}", 465, "6"),
        ),
        readers=(
            reader("ingrid", mail, "4"),
            reader("kari", f"imap.{domain}", "6"),
            reader("per.ole", mail, "4", port=143),
            reader("odd", f"imap.{domain}", "4", idle=False),
            reader("post", mail, "6"),
            reader("kunde", mail, "6", idle=False),
        ),
        movers=(
            Mover(name="ingrid keeps order", account=people["ingrid"], host=mail, family="6",
                  folders=FILED[::-1]),
            Mover(name="kari keeps order", account=people["kari"], host=f"imap.{domain}",
                  family="4", folders=FILED, files=True),
        ),
        strangers=_strangers(domain=domain, foreign=foreign, servers=servers, people=people),
    )  # fmt: skip


def on_both_sides(users: MailUsers) -> MailUsers:
    """Return everybody, and some who write to each of two servers by its address.

    As they do whose program has not noticed yet that the name leads elsewhere.
    """
    people = {account.name: account for account in users.accounts}
    first = users.submitters[0]
    return replace(
        users,
        submitters=(
            *users.submitters,
            *(
                replace(first, name=f"{first.name} by way of {at}", family="4", at=at)
                for at in users.twins
            ),
        ),
        movers=(
            *users.movers,
            *(
                Mover(name=f"ingrid keeps order on {at}", account=people["ingrid"],
                      host=users.host, family="4", folders=FILED, at=at)
                for at in users.twins
            ),
        ),
    )  # fmt: skip


def letters(*, domain: str, sender: str, foreign: str) -> tuple[Letter, ...]:
    """Return what people elsewhere write, and where it must end.

    Args:
        domain: the fleet's.
        sender: who writes.
        foreign: the domain of those elsewhere to whom the fleet passes mail on.
    """

    def boxes(*owners: str) -> tuple[Box, ...]:
        return tuple(Box(owner=owner) for owner in owners)

    def letter(to: str, *owners: str, abroad: tuple[str, ...] = ()) -> Letter:
        return Letter(sender=sender, to=to, boxes=boxes(*owners), abroad=abroad)

    odd = f"odd.privat@{foreign}"
    board = ("ingrid", "kari", "per.ole")
    filed = Box(owner="kari", folder=FILED[0], flags=("viktig",))
    return (
        letter(f"kari@{domain}", "kari"),
        letter(f"odd@{domain}", "odd", abroad=(odd,)),
        letter(f"styret@{domain}", *board),
        letter(f"nettbutikk@kunder.{domain}", "kunde"),
        Letter(sender="salg@fjellheim.example", to=f"kari@{domain}", boxes=(filed,)),
        letter(f"kontakt@{domain}", "post", "kari"),
        letter(f"per-ole@{domain}", "per.ole"),
        letter(f"postmaster@{domain}", "ingrid"),
        letter(f"ingrid+avis@{domain}", "ingrid"),
        letter(f"aase@{domain}", "aase"),
        letter(f"kjell@{domain}", "ingrid"),
        letter(f"alle@lister.{domain}", *board, "odd", "aase", abroad=(odd, f"astrid@{foreign}")),
        letter(f"dmarc@{domain}", "arkiv"),
    )


def _strangers(
    *, domain: str, foreign: str, servers: Sequence[str], people: Mapping[str, Account]
) -> tuple[Stranger, ...]:
    tried = tuple(tricks(domain=domain, host=f"mail.{domain}", abroad=foreign))
    wrong = tuple(replace(people[name], password=_WRONG) for name in ("kari", "ingrid"))
    return (
        Stranger(name="relay by name", servers=(f"mail.{domain}",), tricks=tried, guesses=wrong),
        Stranger(name="relay by address", servers=tuple(servers), tricks=tried, closed=True),
    )

"""Who has which folders, and how full they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from .maildir import KEYWORDS, Stored, write_folder, write_subscriptions
from .messages import huge, message
from .people import PEOPLE, UIDVALIDITY, Person

ODD_FOLDERS = (
    "Søppel",
    "Møter & referater",
    "Kunder/Fjellheim A.S.",
    "Kunder/Åse og Ågot",
    "Kunder/2019.gammelt/Ferdig (nei)",
    "  innrykk",
    'Sitert "viktig"',
    "日本の友人",
    "Lister/debian-user",
    "Tom mappe",
    "A&B-selskapet",
    "50 prosent rabatt",
)
"""Names that a move must carry over; the one called empty is."""

FOLDERS = {
    "ingrid": ("Sent", "Drafts", "Trash", *ODD_FOLDERS),
    "kari": ("Sent", "Drafts", "Trash", "Junk", *ODD_FOLDERS[:6], "Lister/debian-user"),
    "per.ole": ("Sendte elementer", "Søppel", "Arkiv/2014", "Arkiv/2015"),
    "post": ("Sent", "Besvart"),
    "arkiv": ("Sent",),
}
"""Name -> folders beside INBOX."""

EMPTY = "Tom mappe"
INBOX_SHARE = 60
"""Percent of a mailbox that lie in INBOX, and the rest in the other folders."""


def fill(root: Path, *, domain: str, messages: int) -> None:
    """Write everybody's mail below *root*.

    Args:
        root: the server's ``/``.
        domain: the fleet's domain.
        messages: in the largest mailbox's INBOX; the others have a fifth of it together.
    """
    for owner in PEOPLE[:-1]:
        folders = FOLDERS.get(owner.name, ())
        its = messages * owner.share // 5000
        inbox = its * INBOX_SHARE // 100 if folders else its
        filled = len([name for name in folders if name != EMPTY])
        other = max(1, (its - inbox) // filled) if filled else 0
        _mailbox(root, owner, domain=domain, inbox=inbox, other=other)
    _mailbox(root, PEOPLE[-1], domain=domain, inbox=messages, other=20)


def _mailbox(root: Path, owner: Person, *, domain: str, inbox: int, other: int) -> None:
    """Write one mailbox: so many messages in its INBOX and in each of the other folders."""
    maildir = root / owner.maildir(domain).lstrip("/")
    folders = ("INBOX", *FOLDERS.get(owner.name, ()))
    for number, name in enumerate(folders):
        size = {"INBOX": inbox, EMPTY: 0}.get(name, other)
        contents = _folder(owner.address(domain), name, size, film=owner.name == "kari")
        write_folder(maildir, name, contents, uidvalidity=UIDVALIDITY + number * 86400)
    # Everything but the last folder; and one that was deleted years ago, as programs leave it.
    write_subscriptions(maildir, [*folders[:-1], "Slettet/2012"])


def _folder(address: str, name: str, size: int, *, film: bool) -> Iterator[Stored]:
    uid = 0
    for number in range(1, size + 1):
        choose = Random(f"flags {address} {name} {number}")  # noqa: S311 - alike in every run
        # Numbers have gaps: about every seventh message before this one was deleted.
        uid += 1 + (choose.random() < 1 / 7)
        one = message(owner=address, folder=name, number=number, of=size)
        yield Stored(message=one, uid=uid, flags=_flags(choose, name))
    if film and name == "INBOX":
        yield Stored(message=huge(owner=address), uid=uid + 1, flags="FS")


def _flags(choose: Random, folder: str) -> str | None:
    """Return a message's flags in the order of their letters, None for one not yet looked at."""
    if folder == "INBOX" and choose.random() < 1 / 50:
        return None
    system = "D" if folder == "Drafts" else ""
    system += "F" if choose.random() < 1 / 10 else ""
    system += "R" if choose.random() < 1 / 4 else ""
    system += "S" if choose.random() < 9 / 10 else ""
    system += "T" if choose.random() < 1 / 100 else ""
    keywords = (chr(ord("a") + number) for number in range(len(KEYWORDS)))
    return system + "".join(letter for letter in keywords if choose.random() < 1 / 20)

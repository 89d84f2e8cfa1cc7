"""Mail of every kind that a server collects in thirteen years, each message made from its number.

Lines end as in a maildir, with LF alone.
"""

from __future__ import annotations

import base64
import quopri
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from hashlib import sha256
from random import Random

FIRST = 1364896800  # 2013-04-02 10:00 UTC
LAST = 1788249600  # 2026-09-01 08:00 UTC
HUGE = 50 * 1024 * 1024

WORDS = (
    *("nordlys", "måling", "vinter", "kabel", "server", "møte", "referat", "faktura", "fjord"),
    *("båt", "kaffe", "styret", "sky", "stjerne", "kamera", "linse", "teleskop", "tabell", "feil"),
    *("takk", "hilsen", "mandag", "kveld", "bilde", "lenke", "artikkel", "utkast", "forslag"),
    *("avtale", "nøkkel", "dugnad", "årsmøte", "snø", "vind", "tog", "buss", "kart", "rapport"),
    "vedlegg",
)
SENDERS = (
    ("Astrid Vik", "astrid@fjordpost.example"),
    ("Bjørn Åsen", "bjorn.asen@fjordpost.example"),
    ("Værvarslinga", "varsel@ver.example"),
    ("Hardanger Strøm AS", "faktura@strom.example"),
    ("Ole", "ole@xn--blbrsyltety-y8ao3x.example"),
    ("no-reply", "no-reply@butikk.example"),
)


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        kind: which kind it is.
        received: when the server took it, in seconds since the epoch.
        content: the bytes in its file.
    """

    kind: str
    received: int
    content: bytes


class _Draft:
    """What all kinds of one message have in common.

    Args:
        owner: whose mailbox it lies in.
        folder: the folder.
        number: which one it is, from 1.
        of: how many there are; times are spread over them.
    """

    def __init__(self, *, owner: str, folder: str, number: int, of: int) -> None:
        self.owner = owner
        self.key = f"{owner}/{folder}/{number}"
        self.random = Random(f"nordlys 2013 {self.key}")  # noqa: S311 - alike in every run
        self.received = FIRST + (LAST - FIRST) * number // (of + 1)
        self.sender = self.random.choice(SENDERS)
        self.digest = sha256(self.key.encode()).hexdigest()

    def words(self, count: int) -> str:
        return " ".join(self.random.choices(WORDS, k=count))

    def text(self, paragraphs: int = 2) -> str:
        """Return paragraphs folded as people's programs fold them."""
        return "\n\n".join(
            textwrap.fill(self.words(self.random.randint(10, 60)).capitalize() + ".", 72)
            for _ in range(paragraphs)
        )

    def head(self, *, subject: str = "", extra: str = "") -> str:
        """Return the headers up to the content's own ones."""
        zone = timezone(timedelta(hours=self.random.choice((0, 1, 2, -5))))
        date = format_datetime(datetime.fromtimestamp(self.received - 7, zone))
        name, address = self.sender
        title = subject or encoded(self.words(self.random.randint(1, 6)))
        return (
            f"Return-Path: <{address}>\n"
            f"Received: from {address.partition('@')[2]} by mail (Postfix) with ESMTP"
            f" id {self.digest[:10].upper()};\n\t{date}\n"
            f"From: {encoded(name)} <{address}>\n"
            f"To: {self.owner}\n"
            f"Subject: {title}\n"
            f"Date: {date}\n"
            f"Message-ID: <{self.digest[:24]}@{address.partition('@')[2]}>\n"
            f"MIME-Version: 1.0\n{extra}"
        )

    def blob(self, size: int) -> str:
        """Return so many bytes in base64, in lines."""
        return base64.encodebytes(self.random.randbytes(size)).decode().rstrip("\n")

    def multipart(self, kind: str, *parts: str, closed: bool = True) -> str:
        """Return the content's header and its parts."""
        mark = f"=_{self.digest[24:40]}"
        inside = "".join(f"--{mark}\n{part}\n" for part in parts)
        end = f"--{mark}--\n" if closed else ""
        return f'Content-Type: multipart/{kind};\n boundary="{mark}"\n\n{inside}{end}'


def encoded(text: str) -> str:
    """Return a header's text, as an encoded word (RFC 2047) where it is not ASCII."""
    if text.isascii():
        return text
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


UTF8 = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"


def _quoted(draft: _Draft) -> str:
    kind = (
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    )
    return draft.head() + kind + quopri.encodestring(draft.text().encode()).decode() + "\n"


def _latin1(draft: _Draft) -> bytes:
    kind = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\n"
    return (draft.head() + kind + draft.text() + "\n").encode("latin-1")


def _raw_header(draft: _Draft) -> bytes:
    """8-bit bytes in the subject, in no declared charset, as old programs sent them."""
    return (draft.head(subject="Årsmøte på lørdag?") + UTF8 + draft.text() + "\n").encode("latin-1")


def _alternative(draft: _Draft) -> str:
    html = "Content-Type: text/html; charset=utf-8\n\n<html><body><p>{}</p></body></html>"
    text = draft.text(3)
    return draft.head() + draft.multipart("alternative", UTF8 + text, html.format(text))


def _attachment(draft: _Draft) -> str:
    name = draft.random.choice(("Faktura 2019.pdf", "møtereferat.odt", "IMG_0042.JPG", "a;b.zip"))
    file = (
        "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
        f'Content-Disposition: attachment; filename="{encoded(name)}"\n\n'
        + draft.blob(draft.random.randint(500, 12_000))
    )
    return draft.head() + draft.multipart("mixed", UTF8 + draft.text(1), file)


def _related(draft: _Draft) -> str:
    html = 'Content-Type: text/html; charset=utf-8\n\n<img src="cid:bilde@nordlys">'
    picture = (
        "Content-Type: image/png\nContent-ID: <bilde@nordlys>\n"
        "Content-Transfer-Encoding: base64\n\n"
    )
    return draft.head() + draft.multipart("related", html, picture + draft.blob(900))


def _forwarded(draft: _Draft) -> str:
    inner = draft.head(subject="Fwd: innerst") + UTF8 + draft.text(1)
    return draft.head() + draft.multipart(
        "mixed", UTF8 + draft.words(5), "Content-Type: message/rfc822\n\n" + inner
    )


def _signed(draft: _Draft) -> str:
    """A detached signature: every byte of the first part counts, its trailing blanks as well."""
    signature = (
        'Content-Type: application/pgp-signature; name="signature.asc"\n\n'
        f"-----BEGIN PGP SIGNATURE-----\n\n{draft.blob(120)}\n-----END PGP SIGNATURE-----"
    )
    signed = UTF8 + draft.text(1) + "\n-- \nHilsen  \n"
    return draft.head() + draft.multipart(
        'signed; micalg=pgp-sha256; protocol="application/pgp-signature"', signed, signature
    )


def _list(draft: _Draft) -> str:
    extra = (
        "List-Id: Debian users <debian-user.lists.example>\n"
        "Precedence: list\nReferences: <1@x.example>\n <2@x.example>\n"
    )
    quote = textwrap.indent(draft.text(1), "> ")
    # The line that mbox readers trip over, and the one that SMTP must double.
    body = f"{quote}\n\nFrom here on it gets difficult.\n.\n..\n{draft.text(1)}\n"
    return draft.head(extra=extra) + UTF8 + body


def _invitation(draft: _Draft) -> str:
    event = (
        "Content-Type: text/calendar; charset=utf-8; method=REQUEST\n\nBEGIN:VCALENDAR\n"
        f"METHOD:REQUEST\nBEGIN:VEVENT\nUID:{draft.digest[:12]}\nSUMMARY:{draft.words(2)}\n"
        "END:VEVENT\nEND:VCALENDAR"
    )
    return draft.head() + draft.multipart("alternative", UTF8 + draft.words(8), event)


def _bounce(draft: _Draft) -> str:
    status = (
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mail\n\n"
        "Final-Recipient: rfc822; borte@fjordpost.example\nAction: failed\nStatus: 5.1.1"
    )
    head = draft.head(subject="Undelivered Mail Returned to Sender")
    head = head.replace(f"<{draft.sender[1]}>", "<>", 1)
    return head + draft.multipart(
        "report; report-type=delivery-status", UTF8 + "I'm sorry to have to inform you.", status
    )


def _html(draft: _Draft) -> str:
    """One line of some thousand characters, longer than SMTP allows."""
    line = "<p>" + draft.words(400) + "</p>"
    return draft.head() + "Content-Type: text/html; charset=utf-8\n\n" + line + "\n"


def _unended(draft: _Draft) -> str:
    return draft.head() + draft.multipart("mixed", UTF8 + draft.text(1), closed=False)


def _headless(draft: _Draft) -> str:
    """No date, no id, no MIME, a line among the headers that is none."""
    name, address = draft.sender
    return (
        f"From: {address} ({name}\nthis is not a header\nTo: undisclosed-recipients:;\n"
        f"X-Number: {draft.key}\n\n{draft.text(1)}\n"
    )


def _without_end(draft: _Draft) -> str:
    """Headers alone: the empty line after them was never sent."""
    return draft.head(subject="(ingen tekst)")


def _same_id(draft: _Draft) -> str:
    """All of these claim to be the same message."""
    head = draft.head().replace(f"<{draft.digest[:24]}@", "<20130402.1@", 1)
    return head + UTF8 + draft.text(1) + "\n"


KINDS: dict[str, tuple[Callable[[_Draft], str | bytes], int]] = {
    "plain": (lambda draft: draft.head() + UTF8 + draft.text() + "\n", 300),
    "quoted-printable": (_quoted, 100),
    "latin-1": (_latin1, 80),
    "8-bit header": (_raw_header, 20),
    "alternative": (_alternative, 150),
    "attachment": (_attachment, 100),
    "related": (_related, 30),
    "forwarded": (_forwarded, 20),
    "signed": (_signed, 30),
    "list": (_list, 100),
    "invitation": (_invitation, 10),
    "bounce": (_bounce, 10),
    "long line": (_html, 15),
    "unended": (_unended, 10),
    "broken headers": (_headless, 10),
    "empty": (lambda draft: draft.head() + "\n", 5),
    "headers alone": (_without_end, 5),
    "same id": (_same_id, 5),
}
"""Kind -> how it is made, and how many of a thousand messages are of it."""

_NAMES = tuple(KINDS)
_WEIGHTS = tuple(weight for _, weight in KINDS.values())


def message(*, owner: str, folder: str, number: int, of: int) -> Message:
    """Return one message; the same arguments always make the same bytes.

    Args:
        owner: address of the mailbox.
        folder: the folder that it lies in.
        number: from 1 to *of*.
        of: how many messages the folder gets.
    """
    draft = _Draft(owner=owner, folder=folder, number=number, of=of)
    # Whoever has few messages still has some of every kind.
    kind = (
        _NAMES[number - 1] if number <= len(_NAMES) else draft.random.choices(_NAMES, _WEIGHTS)[0]
    )
    content = KINDS[kind][0](draft)
    if isinstance(content, str):
        content = content.encode()
    return Message(kind=kind, received=draft.received, content=content)


def huge(*, owner: str, size: int = HUGE) -> Message:
    """Return a message that is at least *size* bytes long: somebody sent a film."""
    draft = _Draft(owner=owner, folder="film", number=1, of=1)
    film = (
        'Content-Type: video/mp4; name="nordlys.mp4"\nContent-Transfer-Encoding: base64\n'
        'Content-Disposition: attachment; filename="nordlys.mp4"\n\n' + draft.blob(size * 3 // 4)
    )
    content = draft.head(subject="Se her!") + draft.multipart("mixed", UTF8 + "Film.", film)
    return Message(kind="huge", received=draft.received, content=content.encode())

"""One message, and one try to hand it over: accepted, refused, or nobody can tell.

Shipped to the outside machine: standard library and dnspython only.
"""

from __future__ import annotations

import secrets
import smtplib
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from lab.users.mail_folders import MARK
from lab.users.mail_wire import NoMailError, Smtp, plainly, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.users.mail_plan import Letter

_FOR_GOOD: Final = 500
TEXT: Final = ("Hei, dette er bare en prøve.", ".", "Sees vi på lørdag? 🎿")
"""The lines of every message."""

UNSURE: Final = "after all was said"
"""What is said of a message when nobody can tell."""


class KeptError(NoMailError):
    """The message was not taken, and nothing of it is on the other side."""


class UnsureError(NoMailError):
    """The message was handed over, and there was no answer: it may have been taken or not."""


class BouncedError(NoMailError):
    """The message was refused for good."""


def written(letter: Letter) -> tuple[str, bytes]:
    """Return a message that nobody else has written, and its mark."""
    mark = MARK + secrets.token_hex(8)
    lines = [
        f"From: <{letter.sender}>",
        f"To: <{letter.to}>",
        f"Subject: {mark}",
        f"Date: {formatdate(localtime=True)}",
        f"Message-ID: <{mark}@{letter.sender.partition('@')[2]}>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        *TEXT,
        "",
    ]
    return mark, "\r\n".join(lines).encode()


def hand_over(smtp: Smtp, letter: Letter, content: bytes) -> None:
    """Say all of one message.

    Raises:
        KeptError: it was refused for now, or the connection broke before its end.
        BouncedError: it was refused for good.
        UnsureError: the connection broke when all was said.
    """
    try:
        for code, text in _envelope(smtp, letter):
            expect(code, text)
        smtp.putcmd("data")
        code, text = smtp.getreply()
        if code != 354:  # noqa: PLR2004 - "go on"
            expect(code if code >= 400 else 451, text)  # noqa: PLR2004 - an error
    except (OSError, smtplib.SMTPException) as error:
        raise KeptError(str(plainly(error))) from None
    try:
        lines = (b"." + line if line.startswith(b".") else line for line in content.split(b"\r\n"))
        smtp.send(b"\r\n".join(lines) + b".\r\n")
        code, text = smtp.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise UnsureError(f"{plainly(error)} {UNSURE}") from None
    expect(code, text)


def _envelope(smtp: Smtp, letter: Letter) -> Iterator[tuple[int, bytes]]:
    yield smtp.mail(letter.sender, ["BODY=8BITMIME"] if smtp.has_extn("8bitmime") else [])
    yield smtp.rcpt(letter.to)


def expect(code: int, text: bytes) -> None:
    """Go on only when the answer is yes.

    Raises:
        KeptError: it is not now.
        BouncedError: it is never.
    """
    if code // 100 == 2:  # noqa: PLR2004 - "yes"
        return
    if code >= _FOR_GOOD:
        raise BouncedError(said(code, text))
    raise KeptError(said(code, text))


def intact(whole: bytes) -> bool:
    """Whether the text of a message is the one that was written."""
    text = whole.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
    return tuple(text.strip().split("\r\n")) == TEXT


def label(mark: str, letter: Letter) -> str:
    """Return what an operation says of a message."""
    return f"{mark} {letter.sender} {letter.to}"

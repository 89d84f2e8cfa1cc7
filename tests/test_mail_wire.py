"""What went wrong on a wire, as a user would be told."""

from __future__ import annotations

import smtplib
from typing import Any
from unittest.mock import Mock

import pytest

from lab.users.mail_wire import Imap, NoLoginError, plainly


def test_a_server_that_cannot_tell_a_password_now_has_turned_nobody_away() -> None:
    assert isinstance(plainly(smtplib.SMTPAuthenticationError(535, b"no")), NoLoginError)
    assert not isinstance(plainly(smtplib.SMTPAuthenticationError(454, b"later")), NoLoginError)


@pytest.mark.parametrize(
    ("verb", "said", "copies", "status"),
    [
        ("MOVE", [None], [b"1365000000 149 12"], "OK"),
        ("MOVE", [None], [None], "NO"),
        ("COPY", [None], [None], "NO"),
        ("STORE", [b"3 (UID 149 FLAGS (\\Flagged))"], [None], "OK"),
        ("STORE", [None], [None], "NO"),
    ],
)
def test_yes_to_a_change_of_what_is_not_there_any_more_counts_as_no(
    verb: str, said: list[Any], copies: list[Any], status: str
) -> None:
    imap = Mock(spec=Imap)
    imap.uid.return_value = ("OK", said)
    imap.response.side_effect = [("COPYUID", [b"an earlier one's"]), ("COPYUID", copies)]
    assert Imap.by_number(imap, verb, "149")[0] == status


def test_a_no_stays_what_it_is() -> None:
    imap = Mock(spec=Imap)
    imap.uid.return_value = ("NO", [b"quota"])
    imap.response.return_value = ("COPYUID", [None])
    assert Imap.by_number(imap, "MOVE", "149", "Kunder") == ("NO", [b"quota"])

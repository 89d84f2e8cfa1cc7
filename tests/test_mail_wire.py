"""What went wrong on a wire, as a user would be told."""

from __future__ import annotations

import smtplib

from lab.users.mail_wire import NoLoginError, plainly


def test_a_server_that_cannot_tell_a_password_now_has_turned_nobody_away() -> None:
    assert isinstance(plainly(smtplib.SMTPAuthenticationError(535, b"no")), NoLoginError)
    assert not isinstance(plainly(smtplib.SMTPAuthenticationError(454, b"later")), NoLoginError)

"""Users of mail: their plan, what they read off the wire, how they hand a message over."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.users.mail_census import Census, Found, sent_back
from lab.users.mail_folders import decoded, encoded, listed, messages
from lab.users.mail_messages import (
    BouncedError,
    KeptError,
    UnsureError,
    hand_over,
    intact,
    written,
)
from lab.users.mail_plan import Account, Letter, MailUsers
from lab.users.mail_standard import standard_mail_users
from lab.users.mail_strangers import tricks
from lab.users.mail_wire import NoMailError, Smtp
from lab.users.plan import paced
from lab.users.probes import Plan

ADDRESS = "127.0.25.2"
LETTER = Letter(sender="a@far.example", to="kari@nordlys.example")
NAMES = ("ingrid", "odd", "kari", "per.ole", "aase", "post", "kunde", "arkiv")


def standard() -> MailUsers:
    return standard_mail_users(
        resolver={"4": "198.18.0.10", "6": "fd18::10"},
        domain="nordlys.example",
        accounts=[
            Account(name=name, login=name, password="x", address=f"{name}@nordlys.example")
            for name in NAMES
        ],
        mailer="mailer.net.example",
        foreign="fjordpost.example",
        servers=["198.18.20.20", "fd18:0:20::20"],
    )


def test_the_plan_survives_its_journey() -> None:
    plan = Plan(mail=standard(), authorities="PEM")
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(Plan().to_json()) == Plan()
    assert not Plan().mail


def test_at_another_pace_those_who_measure_gaps_keep_theirs() -> None:
    usual = Plan(mail=standard())
    quick = paced(usual, 2.0)
    assert [each.cadence for each in quick.mail.correspondents] == [1.0, 1.5, 1.5]
    assert quick.mail.readers == usual.mail.readers
    assert paced(usual, 1.0) == usual


def test_everybody_has_a_name_of_their_own_and_mail_only_goes_where_somebody_looks() -> None:
    users = standard()
    everybody = [
        *users.correspondents, *users.submitters, *users.readers, *users.movers, *users.strangers,
    ]  # fmt: skip
    assert len({one.name for one in everybody}) == len(everybody)
    owners = {box.owner for letter in users.letters for box in letter.boxes}
    assert owners == set(NAMES)
    assert len({(letter.sender, letter.to) for letter in users.letters}) == len(set(users.letters))
    assert {one.family for one in (*users.readers, *users.submitters)} == {"4", "6"}


def test_tricks_never_name_somebody_of_the_fleet() -> None:
    tried = list(tricks(domain="x.example", host="mail.x.example", abroad="far.example"))
    assert len(tried) == len(set(tried)) == 8
    assert all("far.example" in to for _, to in tried)


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1))
def test_names_of_folders_come_back_as_they_went(name: str) -> None:
    word = encoded(name)
    assert word.isascii()
    line = b'(\\HasNoChildren) "/" ' + word.encode()
    assert list(listed([line])) == [(name, frozenset({"\\HasNoChildren"}))]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Møter & referater", '"M&APg-ter &- referater"'),
        ("日本の友人", '"&ZeVnLDBuU8tOug-"'),
        ('Sitert "viktig"', '"Sitert \\"viktig\\""'),
    ],
)
def test_names_are_encoded_as_rfc_3501_says(name: str, word: str) -> None:
    assert encoded(name) == word


def test_a_name_may_come_as_a_literal() -> None:
    answer = [(b'(\\Marked) "/" {8}', b"&APg-l\\x"), b"", b"(\\NoSelect) NIL INBOX"]
    assert [name for name, _ in listed(answer)] == ["øl\\x", "INBOX"]
    assert decoded("&-") == "&"


def test_messages_are_read_wherever_the_number_stands() -> None:
    answer = [
        (b"1 (UID 7 FLAGS (\\Seen \\Recent) BODY[HEADER.FIELDS (MESSAGE-ID)] {30}",
         b"Message-ID: <gp-0011@far>\r\n\r\n"),
        b")",
        (b"2 (FLAGS () BODY[HEADER.FIELDS (MESSAGE-ID)] {30}", b"message-id: <x@y>\r\n\r\n"),
        b" UID 8)",
        b"3 (FLAGS (\\Seen))",
        (b"4 (UID 9 FLAGS (k) BODY[] {2}", b"Return-Path: <>\r\n"),
        b")",
    ]  # fmt: skip
    assert [(m.uid, m.mark, sorted(m.flags), m.returned) for m in messages(answer)] == [
        (7, "gp-0011", ["\\Seen"], False),
        (8, "", [], False),
        (9, "", ["k"], True),
    ]


def test_only_a_failed_delivery_is_a_message_sent_back() -> None:
    mark = "gp-00112233aabbccdd"
    report = f"Final-Recipient: rfc822; x\r\nAction: failed\r\n\r\nMessage-ID: <{mark}@far>\r\n"
    assert sent_back(report.encode()) == {mark}
    assert sent_back(report.replace("failed", "delayed").encode()) == set()


def test_the_census_survives_its_journey() -> None:
    import json  # noqa: PLC0415

    census = Census(
        messages=(Found(owner="k", folder="F", validity=1, uid=2, mark="gp-1", flags=("a",)),),
        folders=frozenset({("k", "F")}),
        abroad=(("a@b", "gp-2"),),
        returned=("gp-3",),
    )
    assert Census.of(json.loads(census.to_json())) == census


@contextmanager
def server(*answers: str) -> Iterator[int]:
    """A mail server that gives these answers, one to each line, and then hangs up."""
    with socket.create_server((ADDRESS, 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rwb") as file:
                data = False
                for answer in answers:
                    file.write(answer.encode() + b"\r\n")
                    file.flush()
                    data = answer.startswith("354")
                    while (line := file.readline()) and data and line != b".\r\n":
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def handed(*answers: str) -> None:
    _, content = written(LETTER)
    with server("220 hei", "250 hei", *answers) as port:
        smtp = Smtp(
            host="mail.x",
            address=ADDRESS,
            port=port,
            trust=ssl.create_default_context(),
            timeout=5,
        )
        try:
            smtp.ehlo()
            hand_over(smtp, LETTER, content)
        finally:
            smtp.close()


@pytest.mark.parametrize(
    ("answers", "error", "why"),
    [
        (("250 ok", "450 later"), KeptError, "450 later"),
        (("250 ok", "550 nobody"), BouncedError, "550 nobody"),
        (("250 ok", "250 ok", "451 later"), KeptError, "451 later"),
        (("250 ok", "250 ok"), KeptError, "hung up"),
        (("250 ok", "250 ok", "354 go"), UnsureError, "hung up after all was said"),
        (("250 ok", "250 ok", "354 go", "452 full"), KeptError, "452 full"),
        (("250 ok", "250 ok", "354 go", "554 no"), BouncedError, "554 no"),
    ],
)
def test_every_end_of_a_try_is_told_apart(
    answers: tuple[str, ...], error: type[NoMailError], why: str
) -> None:
    with pytest.raises(error) as told:
        handed(*answers)
    assert str(told.value) == why


def test_what_is_taken_is_accepted() -> None:
    handed("250 ok", "250 ok", "354 go", "250 taken")


def test_two_messages_never_have_the_same_mark() -> None:
    one, content = written(LETTER)
    other, _ = written(LETTER)
    assert one != other
    assert f"Message-ID: <{one}@far.example>".encode() in content


def test_a_text_that_was_changed_on_its_way_is_told() -> None:
    _, content = written(LETTER)
    assert intact(content)
    assert intact(b"Received: by x\r\n" + content + b"\r\n")
    assert not intact(content.replace("prøve".encode(), b"pr?ve"))
    assert not intact(content.replace(b"\r\n.\r\n", b"\r\n"))
    assert not intact(content[:-20])

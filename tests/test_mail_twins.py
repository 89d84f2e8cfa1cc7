"""Two servers' mailboxes, compared message by message; and who is judged late."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_mail_users import standard

from lab import watch_mail
from lab.history import History, Operation
from lab.users.mail_ledger import taken_here
from lab.users.mail_plan import MAIL, SUBMISSION
from lab.users.mail_standard import on_both_sides
from lab.users.mail_twins import Compared, Folder, compared, known
from lab.users.probes import Plan
from lab.verdict import Outcome, Verdict

INBOX = Folder(validity=7, subscribed=True, messages={1: "aa \\seen", 2: "bb"})
FOLDERS = st.dictionaries(
    st.sampled_from(["INBOX", "Sent", "Møter & referater"]),
    st.builds(
        Folder,
        validity=st.integers(1, 3),
        subscribed=st.booleans(),
        messages=st.dictionaries(st.integers(1, 9), st.sampled_from(["aa", "bb \\seen"])),
    ),
)


@given(FOLDERS, FOLDERS)
def test_what_is_the_same_is_alike_and_nothing_else(
    one: dict[str, Folder], other: dict[str, Folder]
) -> None:
    assert compared("kari", one, one).count == 0
    assert bool(compared("kari", one, other).count) == (one != other)
    assert compared("kari", one, other).count == compared("kari", other, one).count


def test_as_many_messages_and_the_same_last_number_are_not_enough() -> None:
    other = replace(INBOX, messages={1: "cc", 2: "bb"})
    found = compared("kari", {"INBOX": INBOX}, {"INBOX": other})
    assert found.different == ("INBOX 1 is aa \\seen, and cc: message of kari",)


def test_each_way_to_differ_is_told() -> None:
    one = {"INBOX": INBOX, "Sent": Folder(validity=1)}
    other = {"INBOX": Folder(validity=8, messages={1: "aa \\seen"}), "Junk": Folder(validity=1)}
    assert compared("kari", one, other).different == (
        "INBOX has UIDVALIDITY 7 and 8: folder of kari",
        "INBOX is subscribed to on one server only: folder of kari",
        "INBOX 2 is bb, and not there: message of kari",
        "Junk is only on the second server: folder of kari",
        "Sent is only on the first server: folder of kari",
    )


def test_what_a_server_says_is_read_whatever_its_order() -> None:
    answer = [
        b"1 (UID 7 FLAGS (\\Seen \\Recent viktig) X-GUID 0a1b)",
        b'2 (FLAGS () X-GUID "0c" UID 9)',
        b"3 (FLAGS (\\Seen))",
        (b"4 (UID 10", b"literal"),
    ]
    assert list(known(answer)) == [(7, "0a1b \\seen viktig"), (9, "0c")]


def test_the_result_survives_its_journey() -> None:
    found = compared("kari", {"INBOX": INBOX}, {}) + Compared(messages=3)
    assert Compared.of(json.loads(found.to_json())) == found
    assert found.messages == 5


def test_people_on_both_sides_have_names_of_their_own() -> None:
    users = on_both_sides(replace(standard(), twins=("198.18.10.10", "198.18.20.20")))
    everybody = [*users.submitters, *users.movers, *users.readers]
    assert len({one.name for one in everybody}) == len(everybody)
    assert {one.at for one in users.movers} == {"", "198.18.10.10", "198.18.20.20"}


def test_a_message_that_waits_elsewhere_is_not_late_here() -> None:
    users = standard()

    def taken(kind: str, target: str, mark: str) -> Operation:
        return Operation(
            kind=kind, target=target, start_ns=0, end_ns=1, ok=True, what=f"{mark} a b"
        )

    history = History(
        operations=(
            taken(MAIL, "astrid hands in", "gp-1"),
            taken(MAIL, "MX over IPv4", "gp-2"),
            taken(SUBMISSION, users.submitters[0].name, "gp-3"),
        ),
    )
    assert taken_here(history, users) == {"gp-2", "gp-3"}


def judged(monkeypatch: pytest.MonkeyPatch, *found: Compared, seconds: float = 0.0) -> Verdict:
    answers = iter(found)
    monkeypatch.setattr(watch_mail, "compare", lambda _lab, _plan: next(answers))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    lab: Any = None
    return watch_mail.alike(lab, plan=Plan(), seconds=seconds, subject="both")


def test_servers_have_their_time_to_become_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    differing = Compared(messages=3, different=("INBOX 1 of kari",), count=1)
    assert judged(monkeypatch, differing, Compared(messages=3), seconds=60).outcome is Outcome.OK
    late = judged(monkeypatch, differing)
    assert late.outcome is Outcome.FAIL
    assert late.reasons == ("1 not the same on both: INBOX 1 of kari",)


def test_two_servers_of_which_nothing_was_seen_are_not_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert judged(monkeypatch, Compared()).outcome is Outcome.UNKNOWN

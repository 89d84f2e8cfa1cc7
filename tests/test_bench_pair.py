"""What is made of moments, and of what the two servers say; no lab needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import pytest

from lab.bench import Figure, render
from lab.bench_pair import Delays, rate
from lab.bench_pair_hosts import (
    Cost,
    PairError,
    left,
    people,
    round_trip,
    tables,
    without_journal,
)
from lab.users.mail_pace import Box, Paced, Passage, Seat, Work, burst, follow
from lab.users.mail_plan import Account
from lab.users.mail_wire import Imap, NoMailError, Smtp

SECOND = 1_000_000_000
OWNER = Account(name="a", login="a@x.example", password="p", address="a@x.example")


class Server:
    """Two mailboxes; what is sent is in the second a few looks after it is in the first."""

    def __init__(self, *, behind: int = 2) -> None:
        self.sent: list[bytes] = []
        self.looks: dict[str, int] = {}
        self.behind = {"first": 0, "second": behind}

    def sendmail(self, _sender: str, _to: str, content: bytes) -> None:
        """Take a message."""
        self.sent.append(content)
        self.looks = dict.fromkeys(self.behind, 0)

    def count(self, name: str) -> int:
        """Return how many messages a look finds."""
        self.looks[name] = self.looks.get(name, 0) + 1
        return 7 + len(self.sent) - (self.looks[name] <= self.behind[name])


class Mailbox(Imap):
    """A connection that looks into one of them."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.said: Sequence[bytes | None] = [None]

    def select(self, mailbox: str = "INBOX", readonly: bool = False) -> tuple[str, list[bytes]]:  # type: ignore[override]  # noqa: FBT001, FBT002
        """Answer as the library does."""
        assert (mailbox, readonly) == ("INBOX", True)
        self.said = [b"7"]
        return "OK", [b"7"]

    def noop(self) -> tuple[str, list[bytes]]:
        """Answer as the library does."""
        self.said = [str(self.server.count(self.name)).encode()]
        return "OK", [b""]

    def response(self, code: str) -> tuple[str, list[bytes | None]]:  # type: ignore[override]
        """Answer as the library does."""
        said, self.said = self.said, [None]
        return code, list(said)


class Writer(Smtp):
    """A connection that takes what is written."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def sendmail(self, *given: object, **_: object) -> dict[str, tuple[int, bytes]]:  # type: ignore[override]
        """Answer as the library does."""
        self.server.sendmail(*given)  # type: ignore[arg-type]
        return {}


def seats(server: Server, *names: str) -> list[Seat]:
    boxes = [Box(Mailbox(server, name)) for name in names]
    return [Seat(account=OWNER, smtp=Writer(server), boxes=boxes)]


def test_each_message_is_followed_until_the_other_server_has_it() -> None:
    server = Server()
    done = follow(seats(server, "first", "second"), Work(sender="b@y.example", each=3))
    assert len(done.passages) == len(server.sent) == 3
    assert all(each.sent < each.missing < each.seen for each in done.passages)
    # Two looks in vain, ten milliseconds apart.
    assert all(each.seen - each.missing > SECOND / 50 for each in done.passages)
    assert done.begun == done.passages[0].sent
    assert done.complete == (done.passages[-1].seen,)
    assert Paced.of(json.loads(done.to_json())) == done


def test_many_messages_are_complete_when_each_server_has_all() -> None:
    server = Server()
    work = Work(sender="b@y.example", each=4, size=5000)
    done = burst(seats(server, "first", "second"), work)
    assert all(5000 <= len(content) < 5100 for content in server.sent)
    assert done.begun < done.complete[0] < done.complete[1]
    assert len(burst(seats(Server(), "first"), work).complete) == 1


def test_what_never_comes_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.users.mail_pace._LONGEST", 0.05)
    stuck = seats(Server(behind=1_000), "first", "second")
    with pytest.raises(NoMailError, match="not there"):
        follow(stuck, Work(sender="b@y.example", each=1))


def test_work_is_carried_as_text() -> None:
    work = Work(sender="b@y.example", each=4, every=1.5, size=10)
    assert Work(**json.loads(json.dumps(asdict(work)))) == work


def test_delays_count_from_the_last_look_in_vain() -> None:
    passages = [
        Passage(sent=each * SECOND, missing=each * SECOND + 7, seen=each * SECOND + 7 + SECOND)
        for each in range(20)
    ]
    late = Passage(sent=20 * SECOND, missing=20 * SECOND, seen=25 * SECOND)
    delays = Delays.of([*passages, late])
    assert (delays.median, delays.most, delays.longest) == (1.0, 1.0, 5.0)
    assert delays.rate == pytest.approx(1.0)


def test_the_last_server_to_be_complete_decides_how_fast_it_was() -> None:
    slow = Paced(begun=SECOND, complete=(3 * SECOND, 6 * SECOND))
    fast = Paced(begun=SECOND, complete=(4 * SECOND,))
    assert rate(1_000, [slow]) == 200
    assert rate(1_000, [slow, fast]) == 250


def test_a_goal_may_be_the_least() -> None:
    shares = [
        Figure(what="share", value=value, goal=50, unit="%", least=True) for value in (49, 50)
    ]
    assert [each.reached for each in shares] == [False, True]
    assert shares[0].as_json()["reached"] is False
    goals = list(render([*shares, Figure(what="time", value=1, goal=2)]).columns[2].cells)
    assert goals == ["≥ 50 %", "≥ 50 %", "≤ 2 s"]


def test_people_are_in_every_table() -> None:
    found = people(2, domain="x.example")
    first, second = (account.address for account in found)
    assert len({account.password for account in found}) == 2
    assert not {first, second} & {account.address for account in people(2, domain="x.example")}
    lines = tables(found)
    assert lines["/etc/dovecot/users"] == f"{first}:::::::\n{second}:::::::\n"
    assert lines["/etc/postfix/mailboxes"] == f"{first}\there\n{second}\there\n"
    known = lines["/etc/dovecot/passwords"].splitlines()[0]
    assert known == f"{first}:{{PLAIN}}{found[0].password}::::::"


def test_only_the_journals_milter_is_left_out() -> None:
    judge = "{ unix:/run/rspamd/milter.sock, default_action=accept }"
    journal = "{ unix:/run/mail-journal/milter.sock, default_action=accept }"
    assert without_journal(f"{judge} {journal}\n") == judge
    for odd in (judge, journal):
        with pytest.raises(PairError):
            without_journal(odd)


def test_a_replicator_has_nothing_left_only_when_nothing_waits_or_runs() -> None:
    quiet = {"queue": 0, "running": [], "unswept": 0}
    assert left(quiet) == ""
    assert left({**quiet, "queue": 2, "running": [{}]}) == "2 waiting, 1 under way"
    assert left({**quiet, "unswept": 3}) == "3 not swept"


def test_what_a_replicator_takes_is_read_in_seconds_and_megabytes() -> None:
    assert Cost.of("1500000000\n20480\n") == Cost(cpu=1.5, rss=20.48)


def test_the_distance_is_the_average_that_ping_says() -> None:
    said = (
        "5 packets transmitted, 5 received\nrtt min/avg/max/mdev = 18.888/19.177/19.733/0.295 ms\n"
    )
    assert round_trip(said) == 19.177
    with pytest.raises(PairError, match="no packet"):
        round_trip("5 packets transmitted, 0 received, 100% packet loss")

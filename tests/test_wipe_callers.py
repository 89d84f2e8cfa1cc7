"""Who still comes to the old server, and what of it is use: from the lines of logs."""

from __future__ import annotations

import json

from lab.operator.callers import (
    Call,
    Seen,
    Use,
    calls_in,
    counted,
    of_the_mail,
    of_the_web,
    passed_on,
    table,
)
from lab.steps.wipe_remains import in_use

FLEET = frozenset({"198.18.20.20", "fd18:0:20::20", "198.18.10.10"})
SITES = ("nordlys.example", "www.nordlys.example", "*.kunder.nordlys.example")


def web(*lines: str) -> list[Use]:
    return list(of_the_web(lines, since=100, sites=SITES, without=FLEET))


def test_a_visit_by_the_name_of_a_site_is_use() -> None:
    assert web(
        "100 203.0.113.7 www.nordlys.example",
        "101 2001:db8::7 WWW.Nordlys.Example.:80",
        "102 203.0.113.7 any.body.kunder.nordlys.example",
    ) == [
        Use(source="203.0.113.7", what="http://www.nordlys.example"),
        Use(source="2001:db8::7", what="http://www.nordlys.example"),
        Use(source="203.0.113.7", what="http://any.body.kunder.nordlys.example"),
    ]


def test_scanners_the_fleet_itself_and_what_was_before_are_not() -> None:
    assert (
        web(
            "100 203.0.113.7 198.18.20.20",
            "100 203.0.113.7 -",
            "100 203.0.113.7 bergen.nordlys.example",
            "100 203.0.113.7 kunder.nordlys.example",
            '100 203.0.113.7 () { :; }; echo "x"',
            "100 198.18.10.10 www.nordlys.example",
            "100 127.0.0.1 www.nordlys.example",
            "99 203.0.113.7 www.nordlys.example",
        )
        == []
    )


def test_a_message_that_was_taken_is_use_and_a_refused_one_is_not() -> None:
    lines = [
        "4Xk2: client=mailer.net.example[203.0.113.25]",
        "NOQUEUE: reject: RCPT from x[203.0.113.66]: 554 5.7.1 <a@b>: Relay access denied",
        "connect from x[203.0.113.66]",
        "5Yz: client=oslo[198.18.10.10]",
        "6Ab: client=localhost[127.0.0.1]",
    ]
    found = [each.source for each in of_the_mail(lines, without=FLEET)]
    assert found == ["203.0.113.25"]


def test_whoever_logs_in_by_way_of_the_old_server_is_told_by_name() -> None:
    lines = [
        "imap-login: Logged in: user=<kari@nordlys.example>, method=PLAIN, rip=198.18.20.20, TLS",
        "imap-login: Login: user=<odd>, method=PLAIN, rip=203.0.113.9, lip=198.18.10.10",
        "imap-login: Disconnected: Connection closed (no auth): user=<>, rip=198.18.20.20, TLS",
        "7Cd: client=bergen[198.18.20.20], sasl_method=PLAIN, sasl_username=ingrid",
        "8De: client=bergen[198.18.20.20]",
    ]
    found = list(passed_on(lines, by=frozenset({"198.18.20.20"})))
    assert [str(each) for each in found] == [
        "kari@nordlys.example used imap through it",
        "ingrid used submission through it",
    ]


def test_who_came_is_read_from_the_packet_filter() -> None:
    element = {"val": {"concat": ["203.0.113.7", 443]}, "counter": {"packets": 3, "bytes": 180}}
    listed = json.dumps(
        {
            "nftables": [
                {"metainfo": {}},
                {"set": {"name": "came4", "elem": [{"elem": element}]}},
                {"set": {"name": "came6"}},
                {"rule": {}},
            ]
        }
    )
    assert calls_in(listed) == (Call(source="203.0.113.7", port=443, count=3),)
    assert str(calls_in(listed)[0]) == "203.0.113.7 to port 443: 3"


def test_the_table_drops_nothing_and_leaves_the_fleet_out() -> None:
    text = table(sorted(FLEET), ports=(25, 53))
    assert "drop" not in text
    assert "policy accept" in text
    assert "ip saddr { 198.18.10.10, 198.18.20.20 } accept" in text
    assert "ip6 saddr { fd18:0:20::20 } accept" in text


def test_uses_are_added_up_and_who_shall_not_count_does_not() -> None:
    uses = counted(
        [Use(source="a", what="x"), Use(source="b", what="x"), Use(source="a", what="x")]
    )
    seen = Seen(since=100, until=130, uses=uses)
    assert in_use(seen, "bergen", ignored=frozenset({"b"})) == [
        "a used x, 2 times on bergen in the last 30 s"
    ]

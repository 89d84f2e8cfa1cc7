"""Asking and walking: what the users' look-ups make of real answers from real servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from name_server import PORT, NameServer

from lab.users.client import resolver_for, tried
from lab.users.probes import Lookup, Probe
from lab.users.resolving import Exchange, NoAnswerError, Reply
from lab.users.walking import Walker

ROOT, OLD, NEW = "127.0.53.1", "127.0.53.2", "127.0.53.3"
ROOT_ZONE = f"""
@ 60 NS a.root.
a.root. 60 A {ROOT}
nordlys.example. 20 NS ns1.nordlys.example.
ns1.nordlys.example. 20 A {OLD}
reverse.example. 20 NS ns1.nordlys.example.
nowhere.example. 20 NS ns1.nowhere.example.
nordlys.example. 20 DS 1 8 2 {"00" * 32}
"""
CHILD_ZONE = f"""
@ 20 NS ns1.nordlys.example.
ns1 20 A {OLD}
www 20 A 192.0.2.1
alias 20 CNAME www
away 20 CNAME host.reverse.example.
@ 20 MX 10 Mail
@ 20 TXT "Case counts"
*.w 20 A 192.0.2.2
"""
REVERSE_ZONE = "@ 20 NS ns1.nordlys.example.\nhost 20 A 192.0.2.9\n"


@pytest.fixture
def root() -> Iterator[NameServer]:
    with NameServer(ROOT, root=ROOT_ZONE) as server:
        yield server


@pytest.fixture
def old() -> Iterator[NameServer]:
    with NameServer(OLD, nordlys_example=CHILD_ZONE, reverse_example=REVERSE_ZONE) as server:
        yield server


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def walker(clock: Clock | None = None, *, attempts: int = 1) -> Walker:
    exchange = Exchange(transport="udp", timeout=0.3, attempts=attempts, port=PORT)
    return Walker(roots=[ROOT], exchange=exchange, clock=clock or Clock())


def ask(resolver: Walker, name: str, rdtype: str = "A") -> Reply:
    answer = resolver.resolve(dns.name.from_text(name), dns.rdatatype.from_text(rdtype))
    return asyncio.run(answer)


def once(lookup: Lookup, server: str, **more: object) -> tuple[bool | None, str]:
    probe = Probe(
        name="p",
        via="resolver",
        servers=(server,),
        lookups=(lookup,),
        port=PORT,
        **{"transport": "udp", "timeout": 0.3, **more},  # type: ignore[arg-type]
    )
    done = asyncio.run(tried(resolver_for(probe), lookup, target="p"))
    assert (done.kind, done.target, done.what) == ("lookup", "p", f"{lookup.name} {lookup.type}")
    return done.ok, done.detail


def test_walks_from_the_root_once(root: NameServer, old: NameServer) -> None:
    resolver = walker()
    assert ask(resolver, "www.nordlys.example").values == {"192.0.2.1"}
    assert ask(resolver, "no.nordlys.example").rcode == "NXDOMAIN"
    assert ask(resolver, "www.nordlys.example", "TXT").values == frozenset()
    assert root.questions == ["www.nordlys.example. A"]
    assert len(old.questions) == 3


def test_asks_the_parent_again_when_the_delegation_expires(
    root: NameServer, old: NameServer
) -> None:
    resolver = walker(clock := Clock())
    ask(resolver, "www.nordlys.example")
    clock.now = 19.9
    ask(resolver, "www.nordlys.example")
    assert len(root.questions) == 1
    clock.now = 20.1
    ask(resolver, "www.nordlys.example")
    assert len(root.questions) == 2
    assert len(old.questions) == 3


def test_a_cutover_is_seen_when_the_cache_expires_and_not_before(
    root: NameServer, old: NameServer
) -> None:
    new_zone = CHILD_ZONE.replace(OLD, NEW).replace("192.0.2.1", "192.0.2.7")
    with NameServer(NEW, nordlys_example=new_zone):
        resolver = walker(clock := Clock())
        ask(resolver, "www.nordlys.example")
        root.load("root", ROOT_ZONE.replace(OLD, NEW))
        old.silent = True  # switched off too early: this is the mistake users would see
        with pytest.raises(NoAnswerError, match=f"no answer within 0.3 s from {OLD} over udp"):
            ask(resolver, "www.nordlys.example")
        clock.now = 20.1
        assert ask(resolver, "www.nordlys.example").values == {"192.0.2.7"}


def test_the_childs_own_word_replaces_its_parents(root: NameServer, old: NameServer) -> None:
    moved = CHILD_ZONE.replace("@ 20 NS ns1", "@ 20 NS ns-oslo") + f"ns-oslo 20 A {NEW}\n"
    old.load("nordlys.example", moved)
    with NameServer(NEW, nordlys_example=moved) as new:
        resolver = walker(clock := Clock())
        ask(resolver, "www.nordlys.example")
        ask(resolver, "www.nordlys.example")
        assert (len(old.questions), len(new.questions)) == (1, 1)
        clock.now = 20.1
        ask(resolver, "www.nordlys.example")
        assert len(root.questions) == 2, "it does not prolong itself"


@pytest.mark.usefixtures("root")
def test_aliases_and_name_servers_in_other_zones(old: NameServer) -> None:
    assert ask(walker(), "alias.nordlys.example").values == {"192.0.2.1"}
    assert ask(walker(), "host.reverse.example").values == {"192.0.2.9"}
    assert ask(walker(), "away.nordlys.example").values == {"192.0.2.9"}
    assert old.questions


def test_a_ds_is_the_parents(root: NameServer, old: NameServer) -> None:
    resolver = walker()
    ask(resolver, "www.nordlys.example")
    root.zones[dns.name.root].delete_rdataset("nordlys.example.", "NS")
    assert ask(resolver, "nordlys.example", "DS").values
    assert len(old.questions) == 1


@pytest.mark.usefixtures("root")
def test_walks_that_fail_say_where(old: NameServer) -> None:
    old.rcode = dns.rcode.REFUSED
    with pytest.raises(NoAnswerError, match=f"{OLD} is lame for nordlys.example.: REFUSED"):
        ask(walker(), "www.nordlys.example")
    with pytest.raises(NoAnswerError, match=r"no address for any name server of nowhere.example"):
        ask(walker(), "www.nowhere.example")


def test_every_server_of_a_zone_is_asked_before_a_walk_fails(
    root: NameServer, old: NameServer
) -> None:
    second = "nordlys.example. 20 NS ns2.nordlys.example.\nns2.nordlys.example. 20 A 127.0.53.9\n"
    root.load("root", ROOT_ZONE + second)
    for _ in range(5):  # nobody listens at ns2, and the order is random
        assert ask(walker(), "www.nordlys.example").values
    old.silent = True
    with pytest.raises(NoAnswerError, match=r"asked for nordlys\.example"):
        ask(walker(), "www.nordlys.example")
    assert old.questions


def test_what_a_stub_makes_of_answers(old: NameServer) -> None:
    www = Lookup(name="www.nordlys.example", type="A", expect=(("192.0.2.1",), ("192.0.2.7",)))
    assert once(www, OLD) == (True, "")
    assert once(www, OLD, transport="tcp") == (True, "")
    old.load("nordlys.example", CHILD_ZONE.replace("192.0.2.1", "192.0.2.7"))
    assert once(www, OLD) == (True, ""), "the new value is as good as the old"
    old.load("nordlys.example", CHILD_ZONE.replace("192.0.2.1", "192.0.2.8"))
    assert once(www, OLD) == (False, f"wrong answer from {OLD}: 192.0.2.8")


def test_any_part_of_what_a_name_may_lead_to_is_right(old: NameServer) -> None:
    www = Lookup(name="www.nordlys.example", type="A", among=("192.0.2.1", "192.0.2.7"))
    assert once(www, OLD) == (True, "")
    old.load("nordlys.example", CHILD_ZONE + "www 20 A 192.0.2.7\n")
    assert once(www, OLD) == (True, ""), "all of it"
    old.load("nordlys.example", CHILD_ZONE + "www 20 A 192.0.2.8\n")
    assert once(www, OLD) == (False, f"wrong answer from {OLD}: 192.0.2.1, 192.0.2.8")
    old.load("nordlys.example", CHILD_ZONE.replace("www 20 A 192.0.2.1", "www 20 TXT x"))
    assert once(www, OLD) == (False, f"no data from {OLD}")


@pytest.mark.parametrize(
    ("lookup", "detail"),
    [
        (Lookup(name="no.nordlys.example", type="A"), f"NXDOMAIN from {OLD}"),
        (Lookup(name="no.nordlys.example", type="A", rcode="NXDOMAIN"), ""),
        (Lookup(name="www.nordlys.example", type="MX"), f"no data from {OLD}"),
        (Lookup(name="alias.nordlys.example", type="A", expect=(("192.0.2.1",),)), ""),
        (Lookup(name="nordlys.example", type="MX", expect=(("10 mail.NORDLYS.example.",),)), ""),
        (Lookup(name="nordlys.example", type="TXT", expect=(('"Case counts"',),)), ""),
        (
            Lookup(name="nordlys.example", type="TXT", expect=(('"case counts"',),)),
            f'wrong answer from {OLD}: "Case counts"',
        ),
        (
            Lookup(name="www.nordlys.example", type="A", secure=True),
            f"not validated by {OLD}",
        ),
    ],
)
@pytest.mark.usefixtures("old")
def test_right_and_wrong(lookup: Lookup, detail: str) -> None:
    ok, said = once(lookup, OLD)
    assert ok is not bool(detail)
    assert said == detail


def test_validated(old: NameServer) -> None:
    old.secure = True
    assert once(Lookup(name="www.nordlys.example", type="A", secure=True), OLD) == (True, "")


def test_a_new_name_each_time(old: NameServer) -> None:
    lookup = Lookup(name="*.w.nordlys.example", type="A", expect=(("192.0.2.2",),))
    assert [once(lookup, OLD)[0] for _ in range(3)] == [True] * 3
    assert len(set(old.questions)) == 3


def test_truncated_answers_come_over_tcp(old: NameServer) -> None:
    old.truncate = True
    assert once(Lookup(name="www.nordlys.example", type="A"), OLD) == (True, "")
    assert len(old.questions) == 2


def test_failures_of_a_stub(old: NameServer) -> None:
    www = Lookup(name="www.nordlys.example", type="A")
    refused = "connection refused from 127.0.53.9 over tcp"
    assert once(www, "127.0.53.9", transport="tcp") == (False, refused)
    old.rcode = dns.rcode.SERVFAIL
    assert once(www, OLD) == (False, f"SERVFAIL from {OLD}")
    old.silent, old.rcode = True, dns.rcode.NOERROR
    start = time.monotonic()
    assert once(www, OLD, attempts=2)[0] is False
    assert time.monotonic() - start > 0.6
    assert len(old.questions) == 3


@pytest.mark.parametrize("lack", [{"servers": ()}, {"lookups": ()}, {"cadence": 0.0}])
def test_a_probe_that_could_see_nothing_is_refused(lack: dict[str, object]) -> None:
    whole = {"servers": (OLD,), "lookups": (Lookup(name="a", type="A"),)}
    with pytest.raises(ValueError, match="the probe 'p' has nobody, nothing or no time"):
        Probe(name="p", via="walk", transport="udp", **{**whole, **lack})  # type: ignore[arg-type]


def test_a_probe_that_crashes_decides_nothing() -> None:
    assert once(Lookup(name="x..y", type="A"), OLD)[0] is None

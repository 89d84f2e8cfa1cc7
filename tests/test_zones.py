"""Zones: what is read is what is written, through every form that a zone takes on its way."""

from __future__ import annotations

import string
from dataclasses import replace

import dns.rdata
import dns.rdataclass
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.operator import lua_records, zone_changes, zone_data, zones
from lab.operator.zones import APEX, RecordSet, Soa, Zone, ZoneError, record_set

ORIGIN = "nordlys.example"

LABELS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
OWNERS = st.one_of(
    LABELS,
    LABELS.map("_{}._tcp".format),
    LABELS.map("*.{}".format),
    st.lists(LABELS, min_size=2, max_size=4).map(".".join),
)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join(labels) + ".")
U8, U16, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
TTLS = st.integers(0, 2**31 - 1)
V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).map(str)
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)


def quoted(text: bytes) -> str:
    """Write a character string as RFC 1035 does: every byte that might be special as a number."""
    plain = (string.ascii_letters + string.digits + " =:;%{}/~").encode()
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03d}" for b in text) + '"'


STRINGS = st.one_of(
    st.binary(max_size=255),
    st.just(b"v=spf1 exists:%{i}._spf.nordlys.example ~all"),
).map(quoted)


def joined(*parts: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    """Return the texts of *parts* with a space between each two."""
    return st.tuples(*parts).map(lambda values: " ".join(map(str, values)))


VALUES = {
    "A": V4,
    "AAAA": V6,
    "CAA": joined(U8, st.sampled_from(["issue", "issuewild", "iodef"]), STRINGS),
    "DNAME": NAMES,
    "DS": joined(U16, st.just("13 2"), HEX),
    "HINFO": joined(STRINGS, STRINGS),
    "HTTPS": joined(st.integers(1, 9), st.just('. alpn="h2,h3" ipv6hint="fd18::10"')),
    "LOC": st.just("59 54 30.000 N 10 45 8.000 E 12.00m"),
    "MX": joined(U16, NAMES),
    "NAPTR": joined(U16, U16, st.just('"u" "E2U+sip" "!^.*$!sip:info@nordlys.example!" .')),
    "LUA": joined(st.sampled_from(["A", "AAAA", "TXT"]), STRINGS, STRINGS),
    "NS": NAMES,
    "PTR": NAMES,
    "RP": joined(NAMES, NAMES),
    "SRV": joined(U16, U16, U16, NAMES),
    "SSHFP": joined(st.just("4 2"), HEX),
    "TLSA": joined(st.just("3 1 1"), HEX),
    "TXT": st.lists(STRINGS, min_size=1, max_size=3).map(" ".join),
    "TYPE65400": st.binary(min_size=1, max_size=40).map(lambda b: f"\\# {len(b)} {b.hex()}"),
    "URI": joined(U16, U16, st.just('"https://www.nordlys.example/%{x}"')),
}


@st.composite
def record_sets(draw: st.DrawFn) -> RecordSet:
    rdtype = draw(st.sampled_from(sorted(VALUES)))
    values = draw(st.lists(VALUES[rdtype], min_size=1, max_size=1 if rdtype == "DNAME" else 3))
    return record_set(ORIGIN, name=draw(OWNERS), ttl=draw(TTLS), rdtype=rdtype, values=values)


SOAS = st.builds(
    Soa, mname=NAMES, rname=NAMES, serial=U32, refresh=TTLS, retry=TTLS, expire=TTLS,
    minimum=TTLS, ttl=TTLS,
)  # fmt: skip
APEX_NS = st.builds(
    lambda names, ttl: record_set(ORIGIN, name=APEX, ttl=ttl, rdtype="NS", values=names),
    st.lists(NAMES, min_size=1, max_size=3),
    TTLS,
)
ZONES = st.builds(
    lambda soa, ns, records: Zone.of(ORIGIN, soa, [ns, *records]),
    SOAS,
    APEX_NS,
    st.lists(record_sets(), max_size=12, unique_by=lambda each: (each.name, each.type)),
)

SMALL = zones.read(
    ORIGIN,
    """\
$TTL 3600
@    IN SOA NS1 hostmaster 7 14400 3600 604800 300
@       NS  ns1
@       NS  ns2
ns1     A   198.18.20.20
ns2     A   198.18.20.20
www  60 A   198.18.20.20
@       MX  10 Mail
""",
)


@given(ZONES)
def test_a_zone_survives_the_way_through_a_master_file(zone: Zone) -> None:
    assert zones.read(ORIGIN, zones.text(zone)) == zone


@given(ZONES)
def test_a_zone_survives_the_way_through_hiera(zone: Zone) -> None:
    assert zone_data.from_hiera(zone_data.to_hiera([zone])) == {ORIGIN: zone}


@given(ZONES)
def test_no_value_reads_as_a_variable_of_hiera(zone: Zone) -> None:
    data = zone_data.to_hiera([zone])
    assert data.count("%{") == data.count("%{literal('%')}{")


@given(ZONES)
def test_a_zone_does_not_differ_from_itself(zone: Zone) -> None:
    assert zones.compare(zone, zone) == ()


@given(ZONES, st.data())
def test_a_record_left_out_is_the_only_difference(zone: Zone, data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(zone.records))
    rest = replace(zone, records=tuple(each for each in zone.records if each is not lost))
    (difference,) = zones.compare(zone, rest)
    assert (difference.wanted, difference.found) == (lost, None)


@given(ZONES, st.integers(0, 3600))
def test_lowered_times_to_live_can_be_raised_again(zone: Zone, ttl: int) -> None:
    lowered = zone_changes.limited(zone, ttl=ttl)
    assert lowered.longest_ttl <= ttl
    assert zones.compare(zone, lowered, ttls=False, soa=False) == ()
    assert zone_changes.unlimited(lowered, zone) == zone


@given(VALUES["LUA"])
def test_a_computed_record_survives_the_way_between_servers(value: str) -> None:
    records = record_set(ORIGIN, name="www", ttl=30, rdtype="LUA", values=[value])
    (rdata,) = dns.rrset.from_text("www.", 30, "IN", records.type, *records.values)
    wire = rdata.to_wire()
    assert dns.rdata.from_wire(dns.rdataclass.IN, lua_records.NUMBER, wire, 0, len(wire)) == rdata
    assert records.type == "LUA"


def test_a_computed_record_tells_what_it_may_answer() -> None:
    program = "\"ifurlup('http://www.nordlys.example/healthz', {'%s', '%s'}, {selector='all'})\""
    values = [f"A {program % ('198.18.10.10', '198.18.20.20')}", f"AAAA {program % ('::1', '::2')}"]
    records = record_set(ORIGIN, name="www", ttl=30, rdtype="LUA", values=values)
    assert lua_records.answers(records.values) == {
        "A": ("198.18.10.10", "198.18.20.20"),
        "AAAA": ("::1", "::2"),
    }
    assert lua_records.preferred(records.values) == lua_records.answers(records.values)


def test_of_groups_the_first_is_the_answer_while_everybody_is_well() -> None:
    value = "A \"ifurlup('http://mail:8025/',{{'198.18.10.10'},{'198.18.20.20'}},{timeout=1})\""
    assert lua_records.preferred([value]) == {"A": ("198.18.10.10",)}


@given(U32)
def test_the_next_serial_is_newer(serial: int) -> None:
    assert zone_changes.newer(zone_changes.next_serial(serial), serial)
    assert not zone_changes.newer(serial, serial)


def test_spelling_does_not_count() -> None:
    shouted = zones.read(ORIGIN, zones.text(SMALL).replace("Mail.nordlys", "MAIL.Nordlys"))
    assert shouted != SMALL
    assert zones.compare(SMALL, shouted) == ()
    for one, other in zip(SMALL, shouted, strict=True):
        assert zones.canonical(one) == zones.canonical(other)
    text = zones.record_set(ORIGIN, name="@", ttl=5, rdtype="TXT", values=['"As it IS"'])
    assert zones.canonical(text) == {'"As it IS"'}


def test_a_changed_time_to_live_is_a_difference_unless_it_does_not_count() -> None:
    lowered = zone_changes.limited(SMALL, ttl=60)
    assert {str(each).partition(":")[0] for each in zones.compare(SMALL, lowered)} == {
        "@ SOA", "@ NS", "@ MX", "ns1 A", "ns2 A",
    }  # fmt: skip
    assert zones.compare(SMALL, lowered, ttls=False, soa=False) == ()


def test_new_name_servers_come_with_their_addresses_and_the_old_addresses_stay() -> None:
    servers = {"ns-oslo.nordlys.example.": ["198.18.10.10", "fd18:0:10::10"]}
    changed = zone_changes.with_nameservers(SMALL, servers, ttl=5)
    assert changed.nameservers == frozenset(servers)
    assert [str(each) for each in zones.compare(SMALL, changed)] == [
        (
            "@ NS: wanted ns1.nordlys.example. ns2.nordlys.example. (TTL 3600), "
            "found ns-oslo.nordlys.example. (TTL 5)"
        ),
        "ns-oslo A: wanted nothing, found 198.18.10.10 (TTL 5)",
        "ns-oslo AAAA: wanted nothing, found fd18:0:10::10 (TTL 5)",
    ]


def test_name_servers_can_be_taken_back_and_are_still_found_for_a_while() -> None:
    servers = {"ns-oslo.nordlys.example.": ["198.18.10.10"]}
    changed = zone_changes.with_nameservers(SMALL, servers, ttl=5)
    back = zone_changes.with_nameservers_of(changed, SMALL)
    assert [str(each) for each in zones.compare(SMALL, back)] == [
        "ns-oslo A: wanted nothing, found 198.18.10.10 (TTL 5)",
    ]


def test_a_serial_goes_above_what_a_secondary_has() -> None:
    assert zone_changes.bumped(SMALL).soa.serial == 8
    assert zone_changes.bumped(SMALL, above=6).soa.serial == 8
    assert zone_changes.bumped(SMALL, above=20).soa.serial == 21


def test_a_reverse_zone_gets_no_address() -> None:
    reverse = zones.read(
        "20.18.198.in-addr.arpa",
        "@ 20 SOA ns1.nordlys.example. h.nordlys.example. 1 2 3 4 5\n"
        "@ 20 NS ns1.nordlys.example.\n20 20 PTR bergen.nordlys.example.\n",
    )
    servers = {"ns-oslo.nordlys.example.": ["198.18.10.10"]}
    changed = zone_changes.with_nameservers(reverse, servers, ttl=5)
    assert [each.type for each in changed.records] == ["NS", "PTR"]


@pytest.mark.parametrize(
    "text",
    [
        "www 20 IN A 198.18.20.20\n",
        "@ 20 IN SOA a. b. 1 2 3 4 5\n@ 20 IN NS a.\nwww 20 IN A 198.18.20\n",
        "@ 20 IN SOA a. b. 1 2 3 4 5\n@ 20 IN NS a.\nw 20 IN CNAME a.\nw 20 IN A 198.18.20.20\n",
    ],
)
def test_half_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ZoneError, match=r"nordlys\.example: not a whole zone"):
        zones.read(ORIGIN, text)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{name: www, ttl: -1, type: A, values: [198.18.20.20]}", "greater than or equal to 0"),
        ("{name: www, ttl: 20, type: A, values: []}", "at least 1 item"),
        ("{name: www, ttl: 20, type: A, value: [198.18.20.20]}", "values"),
        ("{name: www, ttl: 20, type: A, values: [mail]}", "www A"),
    ],
)
def test_data_that_a_person_got_wrong_is_refused_with_the_reason(line: str, reason: str) -> None:
    good = zone_data.to_hiera([SMALL])
    with pytest.raises(ZoneError, match=reason):
        zone_data.from_hiera(good + f"      - {line}\n")

"""The records of mail served by two, as each phase wants them."""

from __future__ import annotations

from dataclasses import replace

from lab.operator import zones
from lab.operator.zones import Zone
from lab.steps.mail_ha_records import Naming, announced, exchanged, led, sealed, without_mx
from lab.steps.mail_records import before, lacking, values_of, with_records

ORIGIN = "nordlys.example"
OLD, NEW = "aa" * 32, "bb" * 32
ZONE = zones.read(
    ORIGIN,
    f"""\
$TTL 3600
@ SOA ns-oslo.nordlys.example. hostmaster.nordlys.example. 7 14400 3600 604800 20
@ NS ns-oslo.nordlys.example.
@ MX 10 mail
@ TXT "v=spf1 mx ip4:198.18.10.10 -all"
@ TXT "verification=abc"
_mta-sts TXT "v=STSv1; id=enforce1"
mail A 198.18.10.10
mail AAAA fd18:0:10::10
_25._tcp.mail TLSA 3 1 1 {OLD}
imap CNAME mail
kunder MX 10 mail
""",
)
ZONES = {ORIGIN: ZONE}
NAMING = Naming(
    domain=ORIGIN,
    domains=(ORIGIN, "kunder.nordlys.example"),
    first=("198.18.10.10", "fd18:0:10::10"),
    second=("198.18.20.20", "fd18:0:20::20"),
    label="mail2",
    port=8025,
)


def values(zone: Zone, name: str, rdtype: str) -> tuple[str, ...]:
    return values_of(zone, name, rdtype)


def test_the_second_server_may_send_and_is_in_the_policy_before_it_is_led_to() -> None:
    zone = with_records(ZONES, announced(NAMING, ZONES, policy="two"))[ORIGIN]
    assert values(zone, "mail2", "A") == ("198.18.20.20",)
    assert values(zone, "mail2", "AAAA") == ("fd18:0:20::20",)
    assert set(values(zone, "@", "TXT")) == {
        '"v=spf1 mx ip4:198.18.10.10 ip4:198.18.20.20 ip6:fd18:0:20::20 -all"',
        '"verification=abc"',
    }
    assert values(zone, "_mta-sts", "TXT") == ('"v=STSv1; id=two"',)
    assert values(zone, "@", "MX") == values(ZONE, "@", "MX")


def test_a_policy_that_nobody_was_told_of_stays_untold() -> None:
    without = {ORIGIN: with_records(ZONES, {ORIGIN: before_policy()})[ORIGIN]}
    zone = with_records(without, announced(NAMING, without, policy="two"))[ORIGIN]
    assert values(zone, "_mta-sts", "TXT") == ()


def before_policy() -> tuple[zones.RecordSet, ...]:
    return (zones.RecordSet(name="_mta-sts", ttl=20, type="TXT", values=()),)


def test_either_key_may_be_shown_under_the_name_of_both_and_one_under_the_other() -> None:
    zone = with_records(ZONES, sealed(NAMING, ZONES, key=NEW))[ORIGIN]
    assert values(zone, "_25._tcp.mail", "TLSA") == (f"3 1 1 {OLD}", f"3 1 1 {NEW}")
    assert values(zone, "_25._tcp.mail2", "TLSA") == (f"3 1 1 {NEW}",)


def test_every_domain_has_the_second_server_after_the_first() -> None:
    zone = with_records(ZONES, exchanged(NAMING, ZONES))[ORIGIN]
    both = ("10 mail.nordlys.example.", "20 mail2.nordlys.example.")
    assert values(zone, "@", "MX") == values(zone, "kunder", "MX") == both


def test_a_domain_that_leads_elsewhere_is_told() -> None:
    assert without_mx(NAMING, ZONES) == []
    text = zones.text(ZONE).replace("10 mail.nordlys.example.", "10 other.example.", 1)
    assert without_mx(NAMING, {ORIGIN: zones.read(ORIGIN, text)}) == [ORIGIN]


def test_the_name_follows_the_health_of_the_servers_the_first_before_the_second() -> None:
    a, aaaa, lua = led(NAMING, ZONES)[ORIGIN][:3]
    assert (a.type, a.values, aaaa.type, aaaa.values) == ("A", (), "AAAA", ())
    assert (lua.name, lua.type, lua.ttl) == ("mail", "LUA", 10)
    assert lua.values[0] == (
        "A \"ifurlup('http://mail.nordlys.example:8025/',{{'198.18.10.10'},{'198.18.20.20'}},"
        "{timeout=1,backupSelector='all'})\""
    )
    assert lua.values[1].startswith("AAAA ")
    assert all(len(each) < 255 for each in lua.values)


def test_what_was_there_before_comes_back() -> None:
    steps = (
        announced(NAMING, ZONES, policy="two"),
        sealed(NAMING, ZONES, key=NEW),
        exchanged(NAMING, ZONES),
    )
    kept = {ORIGIN: tuple(each for records in steps for each in before(records, ZONES)[ORIGIN])}
    changed = dict(ZONES)
    for records in steps:
        changed = with_records(changed, records)
    assert with_records(changed, kept)[ORIGIN].records == ZONE.records


def test_a_server_may_spell_a_name_as_it_was_spelt_elsewhere() -> None:
    wanted = exchanged(NAMING, ZONES)
    zone = with_records(ZONES, wanted)[ORIGIN]
    spelt = tuple(
        replace(each, values=tuple(value.replace(" mail.", " Mail.") for value in each.values))
        for each in zone.records
    )
    assert spelt != zone.records
    assert lacking(wanted, {ORIGIN: replace(zone, records=spelt)}, where="oslo") == []

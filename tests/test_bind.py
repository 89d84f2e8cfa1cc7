"""The configuration of a hand-made BIND: what is read out of it, and what is put into it."""

from __future__ import annotations

from lab.operator.bind import per_zone
from lab.operator.bind_config import ServedZone, directory, served, with_options, with_transfers

# As `named-checkconf -p` of BIND 9.18 prints it.
CONFIG = """\
options {
	directory "/var/cache/bind";
	listen-on-v6  {
		"any";
	};
	recursion no;
	allow-transfer  {
		198.51.100.77/32;
	};
};
zone "nordlys.example" {
	type master;
	file "/etc/bind/zones/db.nordlys.example";
};
zone "20.18.198.in-addr.arpa" IN {
	type primary;
	file "db.198.18.20";
	allow-transfer  {
		"localhost";
		203.0.113.9/32;
	};
	notify yes;
};
zone "friend.example" {
	type slave;
	file "db.friend";
	masters  {
		203.0.113.1;
	};
};
zone "." {
	type hint;
	file "/usr/share/dns/root.hints";
};
zone "127.in-addr.arpa" {
	type master;
	file "/etc/bind/db.127";
};
view "inside" {
	zone "Office.example" {
		type master;
		file "db.office";
	};
};
"""

STATISTICS = """\
++ Name Server Statistics ++
                  16 IPv4 requests received
++ Per Zone Query Statistics ++
[nordlys.example]
                   1 queries resulted in successful answer
                   3 UDP queries received
                   2 TCP queries received
[20.18.198.in-addr.arpa (view: inside)]
                   7 UDP queries received
++ Per Zone Glue Cache Statistics ++
[nordlys.example]
                   9 UDP queries received
"""


def block(config: str, head: str) -> list[str]:
    """Return the lines of a block, without their indentation."""
    start = config.index(head)
    return [line.strip() for line in config[start:].split("\n};\n", maxsplit=1)[0].splitlines()[1:]]


def test_the_zones_that_it_is_the_primary_of_are_found_but_not_its_own() -> None:
    assert served(CONFIG) == (
        ServedZone(name="20.18.198.in-addr.arpa", file="db.198.18.20"),
        ServedZone(name="nordlys.example", file="/etc/bind/zones/db.nordlys.example"),
        ServedZone(name="office.example", file="db.office"),
    )
    assert directory(CONFIG) == "/var/cache/bind"


def test_a_zone_is_transferred_with_the_key_and_to_whoever_was_let_in_before() -> None:
    names = ["nordlys.example", "20.18.198.in-addr.arpa"]
    changed = with_transfers(CONFIG, names, key="move", secret="c2VjcmV0", to=["198.18.10.10"])
    assert block(changed, 'key "move"') == ['algorithm "hmac-sha256";', 'secret "c2VjcmV0";']
    assert block(changed, 'zone "nordlys.example"') == [
        'allow-transfer { key "move"; 198.51.100.77/32; };',
        "also-notify { 198.18.10.10; };",
        "notify explicit;",
        "zone-statistics yes;",
        "type master;",
        'file "/etc/bind/zones/db.nordlys.example";',
    ]
    assert block(changed, 'zone "20.18.198.in-addr.arpa"') == [
        'allow-transfer { key "move"; "localhost"; 203.0.113.9/32; };',
        "also-notify { 198.18.10.10; };",
        "notify explicit;",
        "zone-statistics yes;",
        "type primary;",
        'file "db.198.18.20";',
    ]


def test_what_was_not_named_stays_as_it_is() -> None:
    changed = with_transfers(CONFIG, ["nordlys.example"], key="k", secret="s", to=[])
    for head in ("options", 'zone "20.18', 'zone "friend', 'zone "."', 'view "inside"'):
        assert block(changed, head) == block(CONFIG, head)


def test_a_zone_in_a_view_is_changed_at_its_own_depth() -> None:
    changed = with_transfers(CONFIG, ["office.example"], key="k", secret="s", to=["fd18::1"])
    assert '\tzone "Office.example" {\n\t\tallow-transfer { key "k"; 198.51' in changed
    assert served(changed) == served(CONFIG)


def test_an_option_is_set_in_place_of_the_one_there() -> None:
    changed = with_options(CONFIG, {"recursion": "yes", "allow-transfer": "{ none; }"})
    assert block(changed, "options")[:2] == ["recursion yes;", "allow-transfer { none; };"]
    assert "recursion no" not in changed
    assert "198.51.100.77" not in changed


def test_questions_are_counted_for_each_zone() -> None:
    assert per_zone(STATISTICS) == {"nordlys.example": 5, "20.18.198.in-addr.arpa": 7}


def test_a_server_that_counts_nothing_was_asked_nothing() -> None:
    assert per_zone("+++ Statistics Dump +++\n") == {}

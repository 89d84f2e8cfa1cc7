"""Which keys zones name after a host was made anew."""

from __future__ import annotations

import pytest

from lab.new_keys import Keys, renewed, replaced
from lab.operator.zones import Zone, read

OSLO, BERGEN, NEW, OTHER = ("ab" * 32, "bc" * 32, "cd" * 32, "de" * 32)
DOMAIN = "nordlys.example"
MAIL = (f"mail.{DOMAIN}", 25)
SECOND = (f"mail2.{DOMAIN}", 25)


def zones(*lines: str) -> dict[str, Zone]:
    """Return the zone with these records."""
    text = f"@ 60 IN SOA ns1.{DOMAIN}. hostmaster.{DOMAIN}. 7 60 60 60 60\n@ 60 IN NS ns1\n"
    return {DOMAIN: read(DOMAIN, "$TTL 60\n" + text + "\n".join(lines) + "\n")}


BOTH = zones(
    f"_25._tcp.mail IN TLSA 3 1 1 {OSLO}",
    f"_25._tcp.mail IN TLSA 3 1 1 {BERGEN}",
    f"_25._tcp.mail2 IN TLSA 3 1 1 {BERGEN}",
    f"_443._tcp.shop IN TLSA 3 1 1 {OTHER}",
)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({MAIL: Keys(mine=NEW, theirs=OSLO), SECOND: Keys(mine=NEW)}, {BERGEN: NEW}),
        ({MAIL: Keys(mine=NEW, theirs=BERGEN)}, {OSLO: NEW}),
        ({MAIL: Keys(mine=BERGEN, theirs=OSLO), SECOND: Keys(mine=BERGEN)}, {}),
        # Elsewhere than on the pair.
        ({(f"shop.{DOMAIN}", 443): Keys(mine=NEW, theirs=OSLO)}, {}),
        # Nobody knows which of two is whose.
        ({MAIL: Keys(mine=NEW, theirs=OTHER)}, {}),
    ],
    ids=["the second", "the first", "the same as before", "another's", "unknown"],
)
def test_the_key_of_before_is_the_one_that_is_not_the_other_hosts(
    keys: dict[tuple[str, int], Keys], found: dict[str, str]
) -> None:
    assert replaced(BOTH, keys) == found


def test_every_record_with_a_key_of_before_gets_the_new_one() -> None:
    wanted = {each.name: set(each.values) for each in renewed(BOTH, {BERGEN: NEW})[DOMAIN]}
    assert wanted == {
        "_25._tcp.mail": {f"3 1 1 {OSLO}", f"3 1 1 {NEW}"},
        "_25._tcp.mail2": {f"3 1 1 {NEW}"},
    }

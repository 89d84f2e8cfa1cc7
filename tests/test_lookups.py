"""What users ask, and what is right while steps go forth and back."""

from __future__ import annotations

import pytest

from lab.lookups import addresses, lookups, together
from lab.operator import zones
from lab.operator.zones import RecordSet
from lab.users.probes import Lookup

OSLO, BERGEN = "198.18.10.10", "198.18.20.20"
PROGRAM = "\"ifurlup('http://www.nordlys.example/healthz', {'%s', '%s'}, {selector='all'})\""
BOTH = f"A {PROGRAM % (OSLO, BERGEN)}"
ZONE = zones.read(
    "nordlys.example",
    f"""
@ 20 SOA ns-oslo hostmaster 1 14400 3600 604800 300
@ 20 NS ns-oslo
@ 20 MX 10 mail
ns-oslo 20 A {OSLO}
www 20 LUA {BOTH}
www 20 LUA AAAA {PROGRAM % ("fd18::1", "fd18::2")}
blogg 20 CNAME www
mail 20 A {OSLO}
*.kunder 20 LUA {BOTH}
""",
)


def asked(moving: dict[tuple[str, str], tuple[RecordSet, ...]] | None = None) -> dict[str, Lookup]:
    return {str(each): each for each in lookups([ZONE], moving=moving)}


def test_a_computed_name_is_asked_for_its_addresses_and_any_of_them_will_do() -> None:
    found = asked()
    assert set(found) == {
        "nordlys.example. MX", "www.nordlys.example. A", "www.nordlys.example. AAAA",
        "blogg.nordlys.example. CNAME", "mail.nordlys.example. A",
    }  # fmt: skip
    assert found["www.nordlys.example. A"] == Lookup(
        name="www.nordlys.example.", type="A", among=(OSLO, BERGEN)
    )
    assert found["www.nordlys.example. AAAA"].among == ("fd18::1", "fd18::2")
    assert found["mail.nordlys.example. A"].expect == ((OSLO,),)


@pytest.mark.parametrize("key", ["A", "LUA"])
def test_a_name_that_becomes_computed_may_be_as_it_was_or_as_it_will_be(key: str) -> None:
    mail = next(each for each in ZONE.records if (each.name, each.type) == ("mail", "A"))
    both = RecordSet(name="mail", ttl=20, type="LUA", values=(BOTH,))
    (now,) = (
        each
        for each in lookups([ZONE], moving={("mail.nordlys.example.", key): (mail, both)})
        if each.name.startswith("mail.")
    )
    assert (now.expect, now.among) == (((OSLO,),), (OSLO, BERGEN))


def test_a_computed_name_may_go() -> None:
    assert not [each for each in asked({("www.nordlys.example.", "LUA"): ()}) if "www" in each]


def test_where_a_name_leads_to_is_found_through_aliases_and_programs() -> None:
    assert addresses("blogg.nordlys.example", [ZONE]) == {
        "A": (OSLO, BERGEN),
        "AAAA": ("fd18::1", "fd18::2"),
    }
    assert addresses("mail.nordlys.example", [ZONE]) == {"A": (OSLO,)}
    assert addresses("nobody.nordlys.example", [ZONE]) == {}


def spf(value: str) -> RecordSet:
    return RecordSet(name="@", ttl=20, type="TXT", values=(value,))


def test_what_two_steps_may_change_may_be_whatever_either_makes_of_it() -> None:
    key = ("x.example.", "TXT")
    mail, wipe = (spf("old"), spf("both")), (spf("both"), spf("new"))
    assert together({key: mail}, {}) == {key: mail}
    assert set(together({key: mail}, {key: wipe})[key]) == {spf("old"), spf("both"), spf("new")}


def test_what_one_of_them_lets_go_may_go() -> None:
    key = ("x.example.", "A")
    assert together({key: (spf("old"),)}, {key: ()}) == {key: ()}
    assert together({key: ()}, {key: (spf("old"),)}) == {key: ()}

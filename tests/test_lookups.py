"""What users are told may change while steps go forth and back."""

from __future__ import annotations

from lab.lookups import together
from lab.operator.zones import RecordSet


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

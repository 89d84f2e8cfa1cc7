"""What is remembered of folders that were thrown away, and how one that came back is told."""

from __future__ import annotations

import pytest

from replicator.discarded import Discarded, made_at

KARI, PER = "kari@nordlys.example", "per@nordlys.example"


def test_a_guid_says_when_it_was_made():
    # As Dovecot 2.4.1 gave it to a folder on 30 November 2026 at 00:01 UTC.
    assert made_at("50aa532075bc0c6bba1b0000b5790f77") == 1_795_996_789


@pytest.mark.parametrize("guid", ["", "xyz", "50aa5320"])
def test_what_is_no_guid_is_not_guessed_at(guid):
    with pytest.raises(ValueError, match=r"GUID|hexadecimal"):
        made_at(guid)


def test_what_was_thrown_away_is_remembered_until_it_is_seen_to_be_gone():
    discarded = Discarded()
    discarded.gone(KARI, "Ferdig", at=7)
    discarded.gone(PER, "Ferdig", at=8)
    assert discarded.of(KARI) == {"Ferdig": 7}
    discarded.settle(KARI, {"Ferdig": 7})
    assert discarded.of(KARI) == {}
    assert discarded.of(PER) == {"Ferdig": 8}


def test_what_was_made_again_is_nobodys_to_take_away():
    discarded = Discarded()
    discarded.gone(KARI, "Ferdig", at=7)
    discarded.made(KARI, "Ferdig")
    discarded.made(PER, "Ferdig")
    assert discarded.of(KARI) == {}


def test_what_was_thrown_away_once_more_meanwhile_stays_remembered():
    discarded = Discarded()
    discarded.gone(KARI, "Ferdig", at=7)
    discarded.gone(KARI, "Ferdig", at=9)
    discarded.settle(KARI, {"Ferdig": 7})
    assert discarded.of(KARI) == {"Ferdig": 9}

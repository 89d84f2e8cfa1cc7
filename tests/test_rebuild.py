"""A host is made anew only when the other has everything, and never twice by accident."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hands import operator_in

from lab.rebuild import Facts, RebuildError, check, plan, refusals

WHOLE = Facts(
    host="bergen",
    peer="oslo",
    reached=("control", "dns", "web", "mail", "wipe", "dns_secondary", "web_ha", "mail_ha"),
    identity="a1",
    system="debian-13",
    known=True,
)


def test_a_host_whose_other_has_everything_may_go() -> None:
    assert list(refusals(WHOLE)) == []


def test_before_the_pair_is_one_it_may_not() -> None:
    early = replace(WHOLE, reached=("control", "dns", "web", "mail", "wipe", "dns_secondary"))
    assert list(refusals(early)) == ["oslo does not have everything before web_ha, mail_ha"]


def test_it_may_not_when_the_other_is_dead_or_broken() -> None:
    assert "does not answer" in next(refusals(replace(WHOLE, broken=None)))
    assert "has failed: dovecot.service" in next(
        refusals(replace(WHOLE, broken=["dovecot.service"]))
    )


def test_what_only_it_has_is_not_thrown_away() -> None:
    told = "mail: only bergen has 'kari INBOX 7'"
    assert list(refusals(replace(WHOLE, alone=told))) == [f"{told}: that would be lost"]


def test_a_host_that_is_as_it_was_is_made_anew() -> None:
    assert not WHOLE.bare
    assert plan(WHOLE)[0] == "make bergen anew: everything on its disk is lost"


def test_a_dead_host_is_made_anew() -> None:
    assert not replace(WHOLE, identity="", system="", known=False).bare


def test_one_that_puppet_does_not_know_is_bare() -> None:
    bare = replace(WHOLE, known=False)
    assert bare.bare
    assert plan(bare)[0] == "bergen is bare already"


def test_one_that_a_rebuild_has_begun_with_is_not_made_anew_again() -> None:
    assert replace(WHOLE, identity="b2", making="b2").bare


def test_an_old_one_that_came_back_meanwhile_is_not_taken_for_the_new_one() -> None:
    assert not replace(WHOLE, identity="a1", making="b2").bare


def test_another_debian_is_not_what_was_ordered() -> None:
    assert not replace(WHOLE, system="debian-12", known=False).bare


def test_only_the_pair_can_be_rebuilt(tmp_path: Path) -> None:
    with pytest.raises(RebuildError, match="'tromso' is none of the pair"):
        check(operator_in(tmp_path), "tromso")

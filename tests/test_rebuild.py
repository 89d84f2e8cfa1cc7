"""A host is made anew only when the other has everything, and never twice by accident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hands import operator_in

from lab import rebuild as rebuilding
from lab.operator import Operator
from lab.operator.reinstall import Machine
from lab.operator.ssh import Result
from lab.rebuild import Facts, RebuildCheckError, RebuildError, check, plan, rebuild, refusals

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


class Work:
    """What is done to the hosts, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def note(self, what: str, answer: object = None) -> Callable[..., Any]:
        """Return a function that notes that it was called, and with which words."""

        def called(*given: object, **_: object) -> object:
            words = (each for each in given if isinstance(each, str))
            self.done.append(" ".join([what, *words]))
            return answer

        return called


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Let everything that a rebuild does be noted only."""
    found = Work()
    note, patch = found.note, monkeypatch.setattr
    drain = type("Drain", (), {"__init__": lambda _, **__: None})
    twins = type("Twins", (), {"__init__": lambda _, **__: None})
    enrolment = type("Enrolment", (), {"__init__": lambda _, **__: None})
    takeover = type("Takeover", (), {"__init__": lambda _, **__: None})
    for shape, names in (
        (drain, ("drain", "undrain")),
        (twins, ("settle",)),
        (takeover, ("send",)),
    ):
        for name in names:
            setattr(shape, name, note(name))
    enrolment.enrol = note("enrol")  # type: ignore[attr-defined]
    patch(rebuilding, "Drain", drain)
    patch(rebuilding, "Takeover", takeover)
    patch(rebuilding, "Twins", twins)
    patch(rebuilding, "Enrolment", enrolment)
    patch(rebuilding, "obtain_certificates", note("certificates"))
    patch(rebuilding, "_content", note("sites"))
    patch(rebuilding.new_keys, "publish", note("keys"))
    patch(rebuilding.reinstall, "look", lambda *_: Machine(system="debian-13", identity="b2"))
    return found


def hands(tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Return an operator whose every touch is noted."""
    operator = operator_in(tmp_path)
    fine = Result(host="", command="", code=0, stdout="", stderr="")
    patch = monkeypatch.setattr
    patch(operator.ssh, "run", lambda *_, **__: fine)
    patch(operator.ssh, "write", work.note("write"))
    patch(operator.puppet, "agent", work.note("puppet"))
    patch(operator.stage, "read", dict)
    patch(operator.stage, "update", lambda changes: work.done.append(f"stage {changes}"))
    reinstaller = type("Reinstaller", (), {"reinstall": work.note("reinstall")})()
    return replace(operator, reinstaller=reinstaller, dry_run=False)


NOTED = "stage {'rebuild::making': {'bergen': 'b2'}}"
MADE = [
    NOTED,
    "send oslo",
    "write bergen /var/lib/fleet/drain.map host drained\n",
    "enrol bergen",
    "sites oslo bergen",
    "certificates bergen",
    "keys",
    "puppet oslo",
    "puppet bergen",
    "settle",
    "undrain",
    "stage {'rebuild::making': None}",
]


def test_nobody_is_led_to_a_host_before_it_has_everything(
    tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "look", lambda *_: replace(WHOLE, identity="", known=False))
    rebuild(hands(tmp_path, work, monkeypatch), "bergen")
    assert work.done == ["reinstall", *MADE]


def test_a_host_that_lives_is_drained_and_gives_away_what_it_has_first(
    tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "look", lambda *_: WHOLE)
    rebuild(hands(tmp_path, work, monkeypatch), "bergen")
    assert work.done == ["drain", "settle", "reinstall", *MADE]


def test_interrupted_it_goes_on_with_the_bare_host(
    tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "look", lambda *_: replace(WHOLE, identity="b2", making="b2"))
    rebuild(hands(tmp_path, work, monkeypatch), "bergen")
    assert work.done == MADE


def test_refused_nothing_is_touched(
    tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "look", lambda *_: replace(WHOLE, broken=None))
    with pytest.raises(RebuildCheckError, match="Nothing was touched"):
        rebuild(hands(tmp_path, work, monkeypatch), "bergen")
    assert work.done == []

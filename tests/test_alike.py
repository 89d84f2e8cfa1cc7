"""Both sides hold the same: what differs is named, waited for, and never overlooked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hands import operator_in

from lab.pair.alike import (
    AlikeCheckError,
    AlikeError,
    Difference,
    Lines,
    Twins,
    differences,
    some,
)


class Held:
    """What each host is seen to hold, look after look; the last is seen for ever."""

    def __init__(self, **looks: Iterable[str | None]) -> None:
        self._looks = {host: list(each) for host, each in looks.items()}

    def __call__(self, host: str) -> Lines:
        """Return what the host is seen to hold this time."""
        looks = self._looks[host]
        held = looks.pop(0) if len(looks) > 1 else looks[0]
        if held is None:
            raise AlikeError("no SSH connection", where=host)
        return frozenset(held.split())


def twins(tmp_path: Path, held: Held) -> Twins:
    return Twins(operator=operator_in(tmp_path), parts={"mail": held})


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.pair.alike._POLL", 0.0)


def test_what_only_one_of_them_has_is_a_difference() -> None:
    found = differences("mail", {"oslo": frozenset("ab"), "bergen": frozenset("bc")})
    assert sorted(map(str, found)) == ["mail: only bergen has 'c'", "mail: only oslo has 'a'"]


def test_of_many_differences_a_few_are_told_and_the_rest_counted() -> None:
    found = frozenset(Difference(what="zones", host="oslo", line=str(n)) for n in range(7))
    assert some(found).endswith("; zones: only oslo has '3', and 3 more")


def test_alike_they_are_not_waited_for(tmp_path: Path) -> None:
    assert twins(tmp_path, Held(oslo=["a b"], bergen=["b a"])).wait(within=0.0) < 5.0


def test_what_never_comes_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlikeCheckError, match="not alike after 0 s: mail: only oslo has 'b'"):
        twins(tmp_path, Held(oslo=["a b"], bergen=["a"])).wait(within=0.0)


def test_two_that_have_lost_everything_are_not_alike(tmp_path: Path) -> None:
    with pytest.raises(AlikeError, match="nothing of its mail"):
        twins(tmp_path, Held(oslo=[""], bergen=[""])).wait(within=0.0)


def test_who_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    held = Held(oslo=["a"], bergen=[None, "", "a"])
    twins(tmp_path, held).wait(within=30.0)


def test_who_never_answers_is_told(tmp_path: Path) -> None:
    with pytest.raises(AlikeError, match="no SSH connection"):
        twins(tmp_path, Held(oslo=["a"], bergen=[None])).wait(within=0.0)


def test_under_users_only_what_differed_first_is_waited_for(tmp_path: Path) -> None:
    held = Held(oslo=["a b", "a b c", "a b c d"], bergen=["a", "a b", "a b c"])
    twins(tmp_path, held).settle(within=30.0)


def test_under_users_what_differed_first_must_come(tmp_path: Path) -> None:
    held = Held(oslo=["a b", "a b c"], bergen=["a", "a c"])
    with pytest.raises(AlikeCheckError, match="only oslo has 'b'"):
        twins(tmp_path, held).settle(within=0.0)

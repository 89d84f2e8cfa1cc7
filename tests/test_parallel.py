"""One thing while others are done."""

from __future__ import annotations

import pytest

from lab.parallel import meanwhile


def fail() -> int:
    raise ValueError("meanwhile")


def test_the_block_gets_what_was_done_meanwhile() -> None:
    with meanwhile(lambda: 42) as done:
        assert done.result() == 42


def test_an_error_that_nobody_asked_for_is_not_lost() -> None:
    with pytest.raises(ValueError, match="meanwhile"), meanwhile(fail):
        pass


def test_an_error_of_the_block_is_its_own() -> None:
    with pytest.raises(KeyError), meanwhile(fail):
        raise KeyError

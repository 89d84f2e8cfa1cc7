"""Oslo and Bergen under every fault, each with users of everything outside.

Budgets: those of `lab/pair/matrix.py`, a line each; whatever happens no accepted message is lost,
nobody relays, and afterwards both hold the same. Continuous integration plays those of
`_CHOSEN` there.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from forgetting import forgotten

from lab.lab import Lab
from lab.pair.matrix import Cell, matrix
from lab.pair.strikes import Kind
from lab.pair.trial import trial

# What takes a whole host is in test_return.py.
CELLS = [cell for cell in matrix() if all(strike.kind != Kind.WIPED for strike in cell.strikes)]


class Pair:
    """A lab in which both serve, put back only when somebody has left it otherwise.

    Args:
        lab_at: brings the lab to a milestone.
    """

    def __init__(self, lab_at: Callable[[str], Lab]) -> None:
        self._lab_at = lab_at
        self._lab: Lab | None = None

    def suffer(self, cell: Cell) -> list[str]:
        """Let a cell happen, and return what it cost more than it might."""
        lab, self._lab = self._lab or self._lab_at("mail_ha"), None
        forgotten(lab)  # what the cell before has done
        measured = trial(lab, cell)
        if measured.passed:
            self._lab = lab
        return [f"{measured.outcome}: {reason}" for reason in measured.reasons]


@pytest.fixture(scope="module")
def pair(lab_at: Callable[[str], Lab]) -> Pair:
    """Return the pair; the first cell brings it up."""
    return Pair(lab_at)


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, id=cell.name, marks=[] if cell.chosen else [pytest.mark.slow])
        for cell in CELLS
    ],
)
def test_it_costs_no_more_than_it_may(pair: Pair, cell: Cell) -> None:
    assert pair.suffer(cell) == []

"""A host of the pair comes back, as it was or as an empty disk.

Budgets: 0 accepted messages lost, while it is away, as it comes back and afterwards; alike with the
other within a minute; from bare to full in 5 minutes, by one command.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from answering import silent

from lab.faults import Faults
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import reinstall
from lab.pair.matrix import Cell, costs, matrix
from lab.pair.strikes import PAIR, Kind, Strike
from lab.pair.trial import trial
from lab.rebuild import RebuildCheckError, check

DATA = "/srv/www/foreningen/shared/data"
ONE_IS_SLOW = [pytest.param("bergen"), pytest.param("oslo", marks=pytest.mark.slow)]

pytestmark = pytest.mark.slow


def wiped(host: str) -> Cell:
    """Return the cell in which the disk of *host* is destroyed."""
    return next(
        cell
        for cell in matrix()
        if [(each.kind, each.host) for each in cell.strikes] == [(Kind.WIPED, host)]
    )


@pytest.mark.parametrize("host", ONE_IS_SLOW)
def test_away_for_minutes_it_comes_back_and_serves(lab_at: Callable[[str], Lab], host: str) -> None:
    lab = lab_at("mail_ha")
    away = Strike(kind=Kind.POWER, host=host, seconds=150.0)
    measured = trial(lab, Cell(name=f"return-{host}", strikes=(away,), cost=costs()[Kind.POWER]))
    assert measured.reasons == ()
    assert silent(lab, host) == []


@pytest.mark.parametrize("host", ONE_IS_SLOW)
def test_its_disk_destroyed_it_is_rebuilt_by_one_command(
    lab_at: Callable[[str], Lab], host: str
) -> None:
    lab = lab_at("mail_ha")
    before = reinstall.look(lab.ssh, host).identity
    assert trial(lab, wiped(host)).reasons == ()
    assert reinstall.look(lab.ssh, host).identity != before
    assert silent(lab, host) == []
    assert in_lab(lab).puppet.agent(host).changed == 0


def test_it_is_not_made_anew_while_the_other_could_not_give_everything_back(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("mail_ha")
    before = reinstall.look(lab.ssh, "bergen").identity
    with (
        Faults(lab=lab).silent_cut("oslo"),
        pytest.raises(RebuildCheckError, match="oslo does not answer"),
    ):
        check(in_lab(lab), "bergen")
    with Faults(lab=lab).partition(*PAIR):
        lab.ssh.run("bergen", f"echo only here >{DATA}/only-here.txt")
        with pytest.raises(RebuildCheckError, match="that would be lost"):
            check(in_lab(lab), "bergen")
    assert reinstall.look(lab.ssh, "bergen").identity == before

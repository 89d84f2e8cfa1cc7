"""What the lab's authority has issued is believed, whoever asks meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from lab.operator.acme import Acme
from lab.operator.ssh import Ssh
from lab.world.issued import authority


class Outside:
    """A machine outside that shows the authority's root of now."""

    def __init__(self) -> None:
        self.root = "first\n"

    def run(self, _host: str, _command: list[str]) -> SimpleNamespace:
        """Return the root of now, whatever is asked."""
        return SimpleNamespace(stdout=self.root)


def of(outside: Outside, kept: Path) -> Acme:
    return authority(ssh=cast("Ssh", outside), name="ca.example.", root="the lab's\n", kept=kept)


def test_a_root_of_an_earlier_start_is_still_believed(tmp_path: Path) -> None:
    outside = Outside()
    believed = of(outside, tmp_path)
    believed.roots()
    outside.root = "second\n"
    assert set(believed.roots().splitlines()) == {"the lab's", "first", "second"}


def test_whoever_asks_while_another_one_does_misses_no_root(tmp_path: Path) -> None:
    outside = Outside()
    outside.root = "of a size that takes two writes\n" * 2_000
    believed = of(outside, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: believed.roots(), range(200)))
    assert found == {"the lab's\n" + outside.root}


def test_nothing_is_left_beside_the_roots(tmp_path: Path) -> None:
    believed = of(Outside(), tmp_path)
    believed.roots()
    believed.roots()
    assert [path.suffix for path in (tmp_path / "acme" / "roots").iterdir()] == [".pem"]

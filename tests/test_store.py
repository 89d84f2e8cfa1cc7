"""A lab's notes: blocks are not given twice, locks are exclusive and do not outlive a process."""

from pathlib import Path

import pytest

from lab.addresses import BLOCKS
from lab.store import Store, StoreError, labs


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.mark.parametrize("name", ["", "Oslo", "a_b", "../x", "1st", "x" * 21])
def test_a_name_that_cannot_be_a_container_is_refused(name: str) -> None:
    with pytest.raises(StoreError, match="cannot be a lab's name"):
        Store(lab=name)


def test_every_lab_has_a_block_of_its_own_and_keeps_it() -> None:
    one, two = Store(lab="one"), Store(lab="two")
    assert (one.block(), two.block()) == (0, 1)
    assert (one.block(), two.block()) == (0, 1)


def test_a_block_is_free_again_when_its_lab_is_gone() -> None:
    one = Store(lab="one")
    assert one.block() == 0
    one.clear()
    assert labs() == []
    assert Store(lab="two").block() == 0


def test_when_all_blocks_are_taken_the_error_says_by_whom() -> None:
    for number in range(BLOCKS):
        Store(lab=f"lab{number}").block()
    with pytest.raises(StoreError, match="lab0, lab1"):
        Store(lab="one-more").block()


def test_a_second_command_is_told_who_is_at_work() -> None:
    with (
        Store(lab="one").locked("lab-up"),
        pytest.raises(StoreError, match="lab-up, process"),
        Store(lab="one").locked("lab-down"),
    ):
        pass


def test_clearing_a_lab_does_not_hide_who_holds_it() -> None:
    with Store(lab="one").locked("lab-down"):
        Store(lab="one").clear()
        with (
            pytest.raises(StoreError, match="lab-down, process"),
            Store(lab="one").locked("lab-up"),
        ):
            pass


def test_the_lock_is_free_after_an_error() -> None:
    store = Store(lab="one")
    with pytest.raises(RuntimeError), store.locked("lab-up"):
        raise RuntimeError
    with store.locked("lab-up"):
        pass


def test_notes_are_merged_and_broken_ones_name_the_file() -> None:
    store = Store(lab="one")
    store.update(a=1)
    store.update(b=2)
    assert store.read() == {"a": 1, "b": 2}
    (store.directory / "lab.json").write_text("{")
    with pytest.raises(StoreError, match=r"lab\.json: unreadable"):
        store.read()

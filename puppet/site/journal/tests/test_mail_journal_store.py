"""The store: what is confirmed is whole on the disk, and what is not whole is not taken for it."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path as Directory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mail_journal import synced as synced_files
from mail_journal.entry import EntryError, Head, Path, new_id
from mail_journal.instance import NAME, ensure, read
from mail_journal.replayed import Replayed, forget
from mail_journal.store import BLOCK, FullError, MismatchError, Store, StoreError
from mail_journal.synced import DirectorySync

MESSAGE = b"X-Mail-Journal: x\r\nSubject: hello\r\n\r\nhello\r\n"


def entry(entry_id: str, message: bytes = MESSAGE, *, head_id: str = "") -> bytes:
    head = Head(
        id=head_id or entry_id,
        instance="a" * 32,
        queue_id="ABCDEF",
        sender=Path(address="s@far.test"),
        recipients=(Path(address="u@example.test"),),
    )
    return head.encode() + message


def put(store: Store, entry_id: str, content: bytes, *, digest: str = "", short: int = 0) -> bool:
    return store.put(
        entry_id,
        io.BytesIO(content[: len(content) - short]),
        length=len(content),
        digest=digest or hashlib.sha256(content).hexdigest(),
    )


def opened(directory: Directory, *, max_bytes: int = 10**9, min_free: int = 0) -> Store:
    store = Store(directory=directory, max_bytes=max_bytes, min_free=min_free)
    store.open(tidy=True)
    return store


@pytest.mark.parametrize("size", [0, 10, BLOCK, 3 * BLOCK + 1])
def test_an_entry_is_kept_and_found_after_a_restart(tmp_path: Directory, size: int) -> None:
    one = new_id()
    message = MESSAGE + b"x" * size
    assert put(opened(tmp_path), one, entry(one, message))
    again = opened(tmp_path)
    assert [held.head.id for held in again.held()] == [one]
    assert again.message(one)[1] == message
    assert again.bytes == (tmp_path / one).stat().st_size
    again.discard(one)
    assert again.held() == []
    assert again.bytes == 0
    assert list(tmp_path.iterdir()) == []


def test_it_is_on_the_disk_before_it_is_confirmed(
    tmp_path: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Directory(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    one = new_id()
    put(opened(tmp_path), one, entry(one))
    assert synced == [one, tmp_path.name]


def test_the_same_entry_twice_is_one(tmp_path: Directory) -> None:
    store = opened(tmp_path)
    one = new_id()
    assert put(store, one, entry(one))
    assert not put(store, one, entry(one))
    assert len(store.held()) == 1
    with pytest.raises(MismatchError, match="another message"):
        put(store, one, entry(one, b"another\r\n"))
    assert store.message(one)[1] == MESSAGE


def test_what_is_not_as_announced_is_not_kept(tmp_path: Directory) -> None:
    store = opened(tmp_path)
    one = new_id()
    with pytest.raises(MismatchError, match="announced"):
        put(store, one, entry(one), digest="0" * 64)
    with pytest.raises(MismatchError, match="ended"):
        put(store, one, entry(one), short=3)
    with pytest.raises(MismatchError, match="another id"):
        put(store, one, entry(one, head_id=new_id()))
    with pytest.raises(EntryError):
        put(store, one, b"no head\n" + MESSAGE)
    assert store.held() == []
    assert list(tmp_path.iterdir()) == []


def test_a_full_journal_says_so(tmp_path: Directory) -> None:
    one, other = new_id(), new_id()
    content = entry(one)
    store = opened(tmp_path, max_bytes=len(content) + 40)
    put(store, one, content)
    with pytest.raises(FullError, match="may have"):
        put(store, other, entry(other))
    store.discard(one)
    put(store, other, entry(other))
    with pytest.raises(FullError, match="disk"):
        opened(tmp_path, min_free=10**18).room(0)


def test_a_disk_that_fails_confirms_nothing(
    tmp_path: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)

    def fsync(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    one = new_id()
    with pytest.raises(StoreError, match="Input/output"):
        put(store, one, entry(one))
    assert store.held() == []


@given(st.data())
def test_nothing_that_was_cut_or_changed_is_taken_for_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("store")
    one = new_id()
    put(opened(directory), one, entry(one))
    content = bytearray((directory / one).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    (directory / one).write_bytes(content)
    store = opened(directory)
    assert store.held() == []
    assert store.damaged == 1
    assert [path.name for path in directory.iterdir()] == [f"{one}.damaged"]


def test_whoever_only_reads_changes_nothing(tmp_path: Directory) -> None:
    one = new_id()
    (tmp_path / f"{new_id()}.part").write_bytes(b"half")
    (tmp_path / one).write_bytes(b"damaged")
    before = sorted(tmp_path.iterdir())
    store = Store(directory=tmp_path, max_bytes=1, min_free=0)
    store.open(tidy=False)
    assert sorted(tmp_path.iterdir()) == before
    store.open(tidy=True)
    assert [path.name for path in tmp_path.iterdir()] == [f"{one}.damaged"]


def test_disks_carry_one_id_as_long_as_all_of_them_are_there(tmp_path: Directory) -> None:
    disks = [tmp_path / name for name in ("spool", "mail", "queue")]
    for disk in disks:
        disk.mkdir()
    first, new = ensure(disks)
    assert new
    assert ensure(disks) == (first, False)
    for lost in disks:
        before, _ = ensure(disks)
        (lost / NAME).unlink()
        after, new = ensure(disks)
        assert new
        assert after != before
        assert {read(disk) for disk in disks} == {after}


def test_notes_of_a_replay_stay_while_somebody_can_ask(tmp_path: Directory) -> None:
    note = Replayed(finals=frozenset({"u@a.test"}), queue_ids=("ABCDEF",), whole=True)
    kept, old, young = new_id(), new_id(), new_id()
    for one in (kept, old, young):
        note.write(tmp_path, one)
    for one in (kept, old):
        os.utime(tmp_path / one, (0, 0))
    forget(tmp_path, kept=[kept], older=3600)
    assert Replayed.read(tmp_path, kept) == Replayed.read(tmp_path, young) == note
    assert Replayed.read(tmp_path, old) is None


def test_names_of_many_are_synced_together_and_none_too_early(
    tmp_path: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[set[str]] = []
    busy = threading.Lock()

    def sync(directory: Directory) -> None:
        with busy:
            # What is there when it begins is what is on the disk when it ends.
            names = {path.name for path in directory.iterdir()}
            threading.Event().wait(0.02)
            synced.append(names)

    monkeypatch.setattr(synced_files, "sync_directory", sync)
    names = DirectorySync(tmp_path)
    wrong: list[str] = []

    def write(name: str) -> None:
        (tmp_path / name).touch()
        names.sync()
        if not any(name in one for one in synced):
            wrong.append(name)

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(synced) < 40


def test_whoever_waits_for_a_sync_that_fails_is_not_told_that_it_worked(
    tmp_path: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(_: Directory) -> None:
        threading.Event().wait(0.01)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(synced_files, "sync_directory", sync)
    names = DirectorySync(tmp_path)
    failed: list[bool] = []

    def write() -> None:
        try:
            names.sync()
        except OSError:
            failed.append(True)

    threads = [threading.Thread(target=write) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) == 10

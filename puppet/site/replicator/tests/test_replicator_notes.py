"""What is written down of each user outlives the program, and nothing that happens ends it."""

from __future__ import annotations

import pytest

from replicator.notes import Notes

KARI, PER = "kari@nordlys.example", "../per ole@nordlys.example"


def test_what_is_written_down_is_there_until_nothing_takes_its_place(tmp_path):
    notes = Notes(path=tmp_path / "notes")
    notes.write(KARI, ["a"])
    notes.write(PER, {"b": 1})
    notes.write(KARI, [1.5, "ø"])
    assert Notes(path=tmp_path / "notes").read() == {KARI: [1.5, "ø"], PER: {"b": 1}}
    notes.write(KARI, None)
    notes.write("nobody", [])
    assert notes.read() == {PER: {"b": 1}}
    assert [each.name for each in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff"])
def test_what_is_not_understood_is_left_out_and_can_be_written_anew(tmp_path, content):
    (tmp_path / KARI).write_bytes(content)
    (tmp_path / ".new-x").write_bytes(b"{")
    notes = Notes(path=tmp_path)
    assert notes.read() == {}
    notes.write(KARI, ["a"])
    assert notes.read() == {KARI: ["a"]}


def test_what_cannot_be_written_down_is_told(tmp_path, caplog):
    notes = Notes(path=tmp_path / "notes")
    (tmp_path / "notes").rmdir()
    notes.write(KARI, ["a"])
    assert "nothing can be written down" in caplog.text

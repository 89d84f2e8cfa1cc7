"""Content carried from one directory to another, by the commands that hosts are given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.operator.apache import Apache
from lab.operator.carry import Carrier, CarryCheckError, Place
from lab.operator.ssh import Ssh, SshError


class Here(Ssh):
    """Every host is this machine."""

    def argv(self, host: str, *, tty: bool = False) -> list[str]:  # noqa: ARG002 - all are one
        """Return what runs a command here."""
        return ["sh", "-c"]


@pytest.fixture
def ssh(tmp_path: Path) -> Ssh:
    return Here(config=None, control_dir=tmp_path / "ssh")


@pytest.fixture
def source(tmp_path: Path) -> Place:
    root = tmp_path / "a site"
    for name, text in {
        "å b.html": "1",
        "sub/x.css": "2",
        "data/book": "3",
        ".htaccess": "",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1365235200, 1365235200))
    return Place(host="old", path=str(root))


def test_a_copy_keeps_names_and_times_and_leaves_out_what_it_should(
    ssh: Ssh, source: Place, tmp_path: Path
) -> None:
    target = tmp_path / "new"
    Carrier(ssh=ssh).carry(source, Place(host="new", path=str(target)), without="data")
    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert found == {"å b.html", "sub/x.css", ".htaccess"}
    assert (target / "å b.html").stat().st_mtime == 1365235200


def test_what_was_there_is_replaced(ssh: Ssh, source: Place, tmp_path: Path) -> None:
    target = tmp_path / "new"
    target.mkdir()
    (target / "old").touch()
    Carrier(ssh=ssh).carry(source, Place(host="new", path=str(target)))
    assert not (target / "old").exists()
    assert not list(tmp_path.glob("new.*"))


def test_a_version_changes_with_the_content_and_not_with_the_data(ssh: Ssh, source: Place) -> None:
    carrier = Carrier(ssh=ssh)
    before = carrier.version(source, without="data")
    Path(source.path, "data", "book").write_text("more")
    assert carrier.version(source, without="data") == before
    Path(source.path, "sub", "x.css").write_text("more")
    assert carrier.version(source, without="data") != before


def test_half_a_copy_is_none(ssh: Ssh, tmp_path: Path) -> None:
    source = Place(host="old", path=str(tmp_path / "nowhere"))
    with pytest.raises(SshError, match="copying failed"):
        Carrier(ssh=ssh).carry(source, Place(host="new", path=str(tmp_path / "new")))


def test_a_move_sees_whether_every_byte_arrived(
    ssh: Ssh, source: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Place(host="new", path=str(tmp_path / "new"))
    carrier = Carrier(ssh=ssh)
    carrier.move(source, target, like=source.path)
    assert carrier.content(source) == carrier.content(target) != ""
    carry = carrier.carry

    def lossy(*places: Place, like: str) -> None:
        carry(*places, like=like)
        Path(target.path, "data", "book").write_text("")

    monkeypatch.setattr(carrier, "carry", lossy)
    with pytest.raises(CarryCheckError):
        carrier.move(source, target, like=source.path)


def test_the_files_of_a_site_are_listed_for_a_visitor(ssh: Ssh, source: Place) -> None:
    found = Apache(ssh=ssh, host="old").files(source.path, without="data")
    assert found == ["sub/", "sub/x.css", "å b.html"]


def test_a_file_that_changes_while_it_is_read_is_an_error_unless_it_may(
    ssh: Ssh, source: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "tar"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
        PATH={os.environ["PATH"]}
        tar "$@"
        case "$*" in *-cf*) echo "tar: ./book: file changed as we read it" >&2; exit 1 ;; esac
        """
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    target = Place(host="new", path=str(tmp_path / "there"))
    with pytest.raises(SshError, match="file changed as we read it"):
        Carrier(ssh=ssh).carry(source, target)
    Carrier(ssh=ssh).carry(source, target, in_use=True)
    assert (Path(target.path) / "data/book").read_text() == "3"

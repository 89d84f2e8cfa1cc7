"""What is listed on hosts for step `wipe`, by the commands that they are given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.operator import leftovers, manifest
from lab.operator.carry import Place
from lab.operator.leftovers import Copied, Late, Leftovers, LeftoversError
from lab.operator.mail_accounts import Account
from lab.operator.ssh import Ssh

THEN, MOMENT, LATER = 1_365_235_200, 1_500_000_000, 1_700_000_000


class Here(Ssh):
    """Every host is this machine."""

    def argv(self, host: str, *, tty: bool = False) -> list[str]:  # noqa: ARG002 - all are one
        """Return what runs a command here."""
        return ["sh", "-c"]


@pytest.fixture
def ssh(tmp_path: Path) -> Ssh:
    return Here(config=None, control_dir=tmp_path / "ssh")


def write(path: Path, text: str, *, at: int = THEN) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def test_every_file_is_listed_whatever_it_is_called(ssh: Ssh, tmp_path: Path) -> None:
    top = tmp_path / "top"
    names = ["a b", "line\nfeed", "back\\slash", "å", "-n", "sub/x"]
    for name in names:
        write(top / name, name)
    write(top / "proc/1", "not ours")
    (top / "link").symlink_to("a b")
    found = manifest.listing(ssh, "bergen", str(top), without=["/proc"])
    assert set(found) == {"", "sub", "link", *names}
    assert all(found[name].digest for name in names)
    assert found["link"].target == "a b"
    assert found["a b"].written == THEN


def test_a_copy_is_told_from_what_it_was_made_of(ssh: Ssh, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for top in (old, new):
        write(top / "same", "x")
        write(top / "changed", "x")
    (new / "changed").unlink()
    write(new / "changed", "y")
    before, after = (manifest.listing(ssh, "h", str(top), without=()) for top in (old, new))
    assert manifest.compare(before, after, begun=2**40).wrong == ("/changed: another content",)


def test_files_of_a_site_are_compared_through_the_link_to_its_release(
    ssh: Ssh, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "site"
    for top in (old, new / "releases/1"):
        write(top / "page", "x")
    write(old / "data/book", "not compared here")
    write(old / "late", "z", at=LATER)
    link = new / "current"
    link.symlink_to("releases/1")
    os.utime(link, (MOMENT, MOMENT), follow_symlinks=False)
    found = Leftovers(ssh=ssh, host="bergen").compare(
        Place(host="bergen", path=str(old)),
        Place(host="oslo", path=str(link)),
        moved=str(link),
        without="data",
    )
    assert found == Copied(alike=1, late=("late",))


def test_mail_that_came_late_is_counted_and_the_lists_of_the_server_are_not(
    ssh: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, home = tmp_path / "moved", tmp_path / "kari"
    monkeypatch.setattr(leftovers, "MOVED", str(moved))
    kari = Account(address="kari@x", login="kari@x", home=str(home))
    gone = Account(address="odd@x", login="odd@x", home=str(tmp_path / "odd"))
    left = Leftovers(ssh=ssh, host="bergen")
    with pytest.raises(LeftoversError, match="nobody knows when the mail moved"):
        left.late_mail([kari])
    write(moved, "", at=MOMENT)
    write(home / "Maildir/cur/1:2,S", "old")
    write(home / "Maildir/new/2", "new", at=LATER)
    write(home / "Maildir/.Sent Items/cur/3:2,S", "new", at=LATER)
    write(home / "Maildir/dovecot-uidlist", "3 V1", at=LATER)
    found = [each for each in left.late_mail([kari, gone]) if each.directory != "/var/mail"]
    assert found == [Late(directory=f"{home}/Maildir", count=2, example=".Sent Items/cur/3:2,S")]

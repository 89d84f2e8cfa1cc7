"""What a checkout is, for evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from promotion import STEP, Checkout, git

from lab.promote.tree import Tree, TreeError


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("puppet/manifests/site.pp", "puppet"),
        ("puppet/modules/stdlib/metadata.json", "puppet"),
        ("puppet/modules.lock", "puppet/modules.lock"),
        ("fleet.yaml", "fleet.yaml"),
        ("lab/operator/ssh.py", "lab/operator"),
        ("lab/steps/forgotten.py", "lab/steps"),
    ],
)
def test_a_change_of_a_part_is_another_tree(checkout: Checkout, name: str, part: str) -> None:
    before = Tree.of(checkout.path)
    (checkout.path / name).write_text("changed\n")
    after = Tree.of(checkout.path)
    assert not after.same_as(before)
    assert after.parts[part] != before.parts[part]


def test_a_commit_of_something_else_is_the_same_tree(checkout: Checkout) -> None:
    before = Tree.of(checkout.path)
    checkout.change("README.md", "read me\n")
    after = Tree.of(checkout.path)
    assert after.commit == git(checkout.path, "rev-parse", "HEAD") != before.commit
    assert after.same_as(before)
    assert after.dirty == ()


def test_what_is_not_committed_is_named_where_it_matters(checkout: Checkout) -> None:
    (checkout.path / "puppet/manifests/new file.pp").write_text("")
    (checkout.path / STEP).unlink()
    (checkout.path / "notes.txt").write_text("")
    assert Tree.of(checkout.path).dirty == ("puppet/manifests/new file.pp", STEP)


def test_a_directory_without_version_control_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="git"):
        Tree.of(tmp_path)

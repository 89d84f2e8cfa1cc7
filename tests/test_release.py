"""What is deployed: what is in version control and pinned, under a name that says so."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from lab.operator.release import REVISION, Release, ReleaseError


def git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@nordlys.example")
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a control repository within a larger one, committed."""
    puppet = tmp_path / "puppet"
    for name, content in {
        "manifests/site.pp": "include role::base\n",
        "tools/config_version": "#!/bin/sh\n",
        "spec/site_spec.rb": "describe 'site'\n",
        "modules/stdlib/metadata.json": "{}\n",
    }.items():
        (puppet / name).parent.mkdir(parents=True)
        (puppet / name).write_text(content)
    (puppet / "tools/config_version").chmod(0o755)
    (tmp_path / ".gitignore").write_text("puppet/modules/\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return puppet


def test_it_holds_what_is_tracked_and_what_is_pinned(tree: Path) -> None:
    (tree / "manifests/forgotten.pp").write_text("notify { 'oh': }\n")
    release = Release.of(tree)
    assert set(release.files) == {
        "manifests/site.pp",
        "tools/config_version",
        "modules/stdlib/metadata.json",
        REVISION,
    }
    assert release.programs == {"tools/config_version"}


def test_a_clean_tree_is_named_by_its_last_commit(tree: Path) -> None:
    release = Release.of(tree)
    assert git(tree, "rev-parse", "HEAD").startswith(release.name)
    assert release.files[REVISION] == f"{release.name}\n".encode()


def test_a_commit_elsewhere_is_the_same_release(tree: Path) -> None:
    before = Release.of(tree)
    git(tree.parent, "commit", "--quiet", "--allow-empty", "--message", "elsewhere")
    assert Release.of(tree) == before


def test_a_changed_tree_has_another_name_for_every_content(tree: Path) -> None:
    names = set()
    for content in ("include role::base\n", "one\n", "two\n"):
        (tree / "manifests/site.pp").write_text(content)
        names.add(Release.of(tree).name)
    assert len(names) == 3


def test_the_digest_follows_every_byte_and_every_right(tree: Path) -> None:
    digests = {Release.of(tree).digest}
    (tree / "modules/stdlib/metadata.json").write_text("{ }\n")
    digests.add(Release.of(tree).digest)
    (tree / "manifests/site.pp").chmod(0o755)
    digests.add(Release.of(tree).digest)
    assert len(digests) == 3


def test_the_digest_does_not_depend_on_the_name(tree: Path) -> None:
    before = Release.of(tree)
    (tree / "spec/site_spec.rb").write_text("describe 'all'\n")
    git(tree, "commit", "--quiet", "--all", "--message", "another spec")
    after = Release.of(tree)
    assert after.digest == before.digest
    assert after.name != before.name


def test_the_archive_is_roots_and_keeps_what_may_be_executed(tree: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(Release.of(tree).archive())) as archive:
        modes = {entry.name: entry.mode for entry in archive}
        owners = {(entry.uid, entry.gid) for entry in archive}
    assert modes["tools/config_version"] == 0o755
    assert modes["manifests/site.pp"] == 0o644
    assert owners == {(0, 0)}


def test_missing_modules_are_said_and_not_left_out(tree: Path) -> None:
    (tree / "modules/stdlib/metadata.json").unlink()
    (tree / "modules/stdlib").rmdir()
    (tree / "modules").rmdir()
    with pytest.raises(ReleaseError, match="puppet-modules"):
        Release.of(tree)


def test_a_directory_without_version_control_is_refused(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    with pytest.raises(ReleaseError, match="git"):
        Release.of(tmp_path)

"""Pinned Puppet modules: nothing is used but the bytes that were pinned."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.console import TerminalReporter
from lab.puppet_modules import (
    Fetch,
    Lock,
    PuppetModules,
    PuppetModulesCheckError,
    PuppetModulesError,
    tree_checksum,
)

REPOSITORY = Path(__file__).parent.parent / "puppet"
PACKAGE = "puppet-module-puppetlabs-thing"
TREE = f"trees/{PACKAGE}/usr/share/puppet/modules.available/puppetlabs-thing"


def archive(*, deb: bytes = b"a package", manifest: bytes = b"class thing {}\n") -> Fetch:
    """Return an archive of packages that holds one module."""

    def fetch(packages: Sequence[str]) -> bytes:
        assert all(package.partition("=")[0] == PACKAGE for package in packages)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path, content in {
                f"debs/{PACKAGE}_1%3a2.0-1_all.deb": deb,
                f"{TREE}/metadata.json": b'{"version": "2.0"}',
                f"{TREE}/manifests/init.pp": manifest,
            }.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    return fetch


def nothing(packages: Sequence[str]) -> bytes:
    raise PuppetModulesError(f"{packages} should not have been asked for")


def modules(repository: Path, fetch: Fetch) -> PuppetModules:
    return PuppetModules(repository=repository, fetch=fetch, report=TerminalReporter())


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    modules(tmp_path, archive()).pin([PACKAGE])
    return tmp_path


def test_a_pin_names_the_module_its_package_and_both_checksums(pinned: Path) -> None:
    pin = Lock.load(pinned / "modules.lock").modules["thing"]
    assert (pin.version, pin.package, pin.package_version) == ("2.0", PACKAGE, "1:2.0-1")
    assert pin.tree_sha256 == tree_checksum(pinned / "modules/thing")
    assert not (pinned / "modules.new").exists()


def test_what_is_there_is_not_fetched_again(pinned: Path) -> None:
    modules(pinned, nothing).ensure()


@pytest.mark.parametrize("harm", ["change", "add", "remove", "stranger"])
def test_whatever_happened_to_the_modules_is_seen_and_mended(pinned: Path, harm: str) -> None:
    manifest = pinned / "modules/thing/manifests/init.pp"
    match harm:
        case "change":
            manifest.write_text("class thing { notify { 'x': } }\n", encoding="utf-8")
        case "add":
            manifest.with_name("more.pp").touch()
        case "remove":
            manifest.unlink()
        case "stranger":
            (pinned / "modules/stranger").mkdir()
    with pytest.raises(PuppetModulesCheckError, match="not as pinned"):
        modules(pinned, nothing).check()
    modules(pinned, archive()).ensure()
    modules(pinned, nothing).check()


@pytest.mark.parametrize(
    ("fetch", "what"),
    [
        (archive(deb=b"another package"), "package"),
        (archive(manifest=b"class thing { exec { 'evil': } }\n"), "tree"),
    ],
)
def test_other_bytes_are_refused_and_named(pinned: Path, fetch: Fetch, what: str) -> None:
    (pinned / "modules/thing/metadata.json").unlink()
    expected = rf"Puppet module thing: the {what} has the checksum .*pinned is .*--pin"
    with pytest.raises(PuppetModulesCheckError, match=expected):
        modules(pinned, fetch).ensure()
    assert not (pinned / "modules.new").exists()


def test_a_broken_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "modules.lock").write_text("modules: {thing: {version: 1}}\n", encoding="utf-8")
    with pytest.raises(PuppetModulesError, match=r"modules\.lock"):
        modules(tmp_path, nothing).ensure()


def test_the_checksum_knows_names_from_contents(tmp_path: Path) -> None:
    for name, files in {"one": {"a": "bc"}, "two": {"ab": "c"}, "three": {"x/a": "bc"}}.items():
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(content, encoding="utf-8")
    assert len({tree_checksum(tmp_path / name) for name in ("one", "two", "three")}) == 3


def test_the_repository_pins_what_it_uses() -> None:
    assert {"stdlib", "concat"} <= set(Lock.load(REPOSITORY / "modules.lock").modules)

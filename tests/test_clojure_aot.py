"""What compiles Clojure services ahead of their start, apart from the compiler."""

from __future__ import annotations

import importlib.util
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "puppet/site/profile/files/clojure_aot.py"


@pytest.fixture
def aot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script as a module that works below a directory of its own."""
    spec = importlib.util.spec_from_file_location("clojure_aot", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(module, "RUN", tmp_path / "run")
    return module


def jar(path: Path, *names: str) -> Path:
    """Write a jar whose manifest names others, folded at 72 bytes as the JDK's tools do."""
    line = f"Class-Path: {' '.join(names)}"
    folded = [line[:72], *(f" {line[at : at + 71]}" for at in range(72, len(line), 71))]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "META-INF/MANIFEST.MF", "\r\n".join(["Manifest-Version: 1.0", *folded, ""])
        )
    return path


def test_the_classpath_follows_manifests_and_links(aot: ModuleType, tmp_path: Path) -> None:
    far = tmp_path / "a-directory-with-a-name-long-enough-to-be-folded-in-a-manifest"
    far.mkdir()
    clojure = jar(far / "clojure-1.12.0.jar")
    (far / "clojure.jar").symlink_to(clojure.name)
    middle = jar(tmp_path / "middle.jar", "top.jar", f"{far.name}/clojure.jar", "missing.jar")
    top = jar(tmp_path / "top.jar", f"file:{tmp_path}/middle.jar", f"{far.name}/clojure.jar")
    assert aot.classpath(top) == [top, middle, clojure]


def test_a_jar_without_manifest_names_nothing(aot: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "plain.jar", "w") as archive:
        archive.writestr("a.clj", "")
    assert aot.classpath(tmp_path / "plain.jar") == [tmp_path / "plain.jar"]


def test_namespaces_are_what_stands_before_the_slash(aot: ModuleType) -> None:
    text = """
        # The web server
        puppetlabs.trapperkeeper.jetty9-service/jetty9-service
        #puppetlabs.nrepl/nrepl-service
        puppetlabs.puppetdb.command/command-service   # commands
    """
    assert aot.namespaces(text) == [
        "puppetlabs.trapperkeeper.jetty9-service",
        "puppetlabs.puppetdb.command",
    ]


def test_an_upgrade_of_any_jar_is_noticed(aot: ModuleType, tmp_path: Path) -> None:
    one = jar(tmp_path / "one.jar")
    before = aot.stamp([one], ["a.b"])
    assert aot.stamp([one], ["a.b"]) == before
    assert aot.stamp([one], ["a.b", "c.d"]) != before
    os.utime(one, (1, 1))
    assert aot.stamp([one], ["a.b"]) != before


@pytest.fixture
def service(tmp_path: Path) -> list[str]:
    """Return the command line that prepares a service with one jar."""
    top = jar(tmp_path / "thing.jar")
    bootstrap = tmp_path / "bootstrap.cfg"
    bootstrap.write_text("a.b/c\n")
    return ["prepare", "thing", "--jar", str(top), "--bootstrap", str(bootstrap)]


@pytest.fixture
def compiled(aot: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return what was compiled; the compiler is left out."""
    calls: list[list[str]] = []

    def compile_jar(_jars: object, names: list[str], target: Path) -> None:
        calls.append(names)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()

    monkeypatch.setattr(aot, "compile_jar", compile_jar)
    return calls


def test_it_is_compiled_once_for_a_set_of_jars(
    aot: ModuleType, service: list[str], compiled: list[list[str]], tmp_path: Path
) -> None:
    for _ in range(2):
        aot.main(service)
    assert compiled == [["puppetlabs.trapperkeeper.main", "a.b"]]
    told = (tmp_path / "run/thing.env").read_text()
    assert told.startswith(f"CLASSPATH={tmp_path}/cache/thing/classes.jar:{tmp_path}/thing.jar\n")
    os.utime(tmp_path / "thing.jar", (1, 1))
    aot.main(service)
    assert len(compiled) == 2


def test_a_service_that_cannot_be_compiled_starts_as_shipped(
    aot: ModuleType,
    service: list[str],
    compiled: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    aot.main(service)
    os.utime(tmp_path / "thing.jar", (1, 1))
    monkeypatch.setattr(aot, "compile_jar", lambda *_: sys.exit("it does not compile"))
    with pytest.raises(SystemExit):
        aot.main(service)
    assert compiled
    assert not (tmp_path / "run/thing.env").exists()


@pytest.fixture
def ended(
    aot: ModuleType, service: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], None]:
    """Return a function that starts the service and lets it end, ready or not."""

    def run(result: str, ready: str) -> None:
        aot.main(service)
        (tmp_path / "restart").write_text(ready)
        monkeypatch.setenv("SERVICE_RESULT", result)
        aot.main(["settle", "thing", "--ready", str(tmp_path / "restart")])
        aot.main(service)

    return run


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("result", "ready"), [("exit-code", "0"), ("timeout", "")])
def test_classes_that_do_not_come_up_are_refused_until_the_jars_change(
    aot: ModuleType,
    service: list[str],
    ended: Callable[[str, str], None],
    result: str,
    ready: str,
) -> None:
    ended(result, ready)
    assert not (aot.RUN / "thing.env").exists()
    os.utime(service[3], (1, 1))
    aot.main(service)
    assert (aot.RUN / "thing.env").exists()


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("result", "ready"), [("exit-code", "1"), ("success", "0")])
def test_classes_that_were_up_are_not_to_blame(
    ended: Callable[[str, str], None], tmp_path: Path, result: str, ready: str
) -> None:
    ended(result, ready)
    assert (tmp_path / "run/thing.env").exists()

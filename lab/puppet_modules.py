"""Puppet modules of others, pinned: the lab and the real servers run the same bytes.

``puppet/modules.lock`` names each module, the Debian package that it comes in, and two
checksums: of the package as it was downloaded and of the module's files as they are used. The
modules themselves (``puppet/modules/``) are not in the repository.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lab.console import Reporter
from lab.errors import CheckFailedError, CouldNotError
from lab.toolbox import Toolbox

HEADER = """---
# Puppet modules of others, by checksum. `./invoke puppet-modules` fetches them, and with --pin
# writes this file anew.
"""
REPIN = "`./invoke puppet-modules --pin` takes what there is now, for you to review"

Checksum = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal."""

Fetch = Callable[[Sequence[str]], bytes]
"""Debian packages (``NAME`` or ``NAME=VERSION``) -> a tar archive: ``debs/FILE`` is a package as
downloaded, ``trees/PACKAGE/...`` what is in it. Raises :class:`PuppetModulesError`."""


class PuppetModulesError(CouldNotError):
    """The modules, or what is pinned, could not be read or fetched."""


class PuppetModulesCheckError(CheckFailedError):
    """A module is not the one that is pinned."""


class Pin(BaseModel):
    """One module.

    Attributes:
        version: the module's own version.
        package: the Debian package that it comes in.
        package_version: that package's version.
        deb_sha256: checksum of the package.
        tree_sha256: checksum of the unpacked module (:func:`tree_checksum`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: str
    package: str
    package_version: str
    deb_sha256: Checksum
    tree_sha256: Checksum


class Lock(BaseModel):
    """Every pinned module by its name.

    Attributes:
        modules: name -> pin.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    modules: dict[str, Pin]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            PuppetModulesError: it cannot be read, or is not what it should be.
        """
        try:
            return cls.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")))
        except (OSError, YAMLError, ValidationError) as error:
            raise PuppetModulesError(str(error), where=str(path)) from error


def tree_checksum(directory: Path) -> str:
    """Return SHA-256 over the path and content of every file below a directory, in order."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{content}  {path.relative_to(directory).as_posix()}\n".encode())
    return digest.hexdigest()


def fetch_by_apt(*, report: Reporter) -> Fetch:
    """Return a way to fetch packages: by apt(8), in Debian.

    Args:
        report: where progress goes.
    """
    script = """
        mkdir -p /tmp/out/debs /tmp/out/trees && cd /tmp/out/debs
        apt-get update -q >&2
        apt-get download -q "$@" >&2
        for deb in *.deb; do
            dpkg-deb --extract "$deb" "../trees/${deb%%_*}"
        done
        tar -c -C /tmp/out .
    """

    def fetch(packages: Sequence[str]) -> bytes:
        with Toolbox.opened(report=report, network=True) as toolbox:
            done = toolbox.run(["sh", "-ec", script, "sh", *packages])
        if done.code:
            said = [line for line in done.stderr.splitlines() if line.startswith("E: ")]
            reason = said[-1].removeprefix("E: ") if said else done.stderr.strip()[-300:]
            raise PuppetModulesError(f"apt-get: {reason}", remedy=REPIN)
        return done.stdout

    return fetch


class PuppetModules:
    """The modules of one control repository.

    Args:
        repository: the directory with ``modules.lock``.
        fetch: where packages come from.
        report: where progress goes.
    """

    def __init__(self, *, repository: Path, fetch: Fetch, report: Reporter) -> None:
        self._lock = repository / "modules.lock"
        self._modules = repository / "modules"
        self._fetch = fetch
        self._report = report

    def ensure(self) -> None:
        """Make the pinned modules be there, and nothing beside them.

        Raises:
            PuppetModulesError: they cannot be fetched.
            PuppetModulesCheckError: what was fetched is not what is pinned.
        """
        lock = Lock.load(self._lock)
        if not self._differing(lock.modules):
            return
        names = [f"{pin.package}={pin.package_version}" for pin in lock.modules.values()]
        with self._report.task(f"Fetch {len(names)} pinned Puppet modules"):
            fetched = self._unpacked(names)
            try:
                for name, pin in lock.modules.items():
                    _compare(name, "package", pin.deb_sha256, _deb_checksum(fetched, pin.package))
                    _compare(
                        name, "tree", pin.tree_sha256, tree_checksum(_tree(fetched, pin.package))
                    )
                self._replace(fetched, lock.modules)
            finally:
                shutil.rmtree(fetched)

    def check(self) -> None:
        """Compare the modules with what is pinned.

        Raises:
            PuppetModulesError: the lock cannot be read.
            PuppetModulesCheckError: they differ.
        """
        if differing := self._differing(Lock.load(self._lock).modules):
            raise PuppetModulesCheckError(
                f"not as pinned: {', '.join(differing)}",
                where=str(self._modules),
                remedy="`./invoke puppet-modules` fetches them again",
            )

    def pin(self, packages: Sequence[str] = ()) -> Lock:
        """Pin the versions that the archive has now.

        Args:
            packages: Debian packages of modules to add; those pinned already stay.

        Raises:
            PuppetModulesError: they cannot be fetched.
        """
        pinned = Lock.load(self._lock).modules if self._lock.exists() else {}
        names = sorted({pin.package for pin in pinned.values()} | set(packages))
        with self._report.task(f"Pin {', '.join(names)}"):
            fetched = self._unpacked(names)
            try:
                lock = Lock(modules=dict(_pin(fetched, package) for package in names))
                self._replace(fetched, lock.modules)
            finally:
                shutil.rmtree(fetched)
        yaml = YAML()
        yaml.width = 120
        with self._lock.open("w", encoding="utf-8") as file:
            file.write(HEADER)
            yaml.dump(lock.model_dump(), file)
        return lock

    def _differing(self, pins: Mapping[str, Pin]) -> list[str]:
        """Return the modules that are missing, changed, or not pinned at all."""
        there = {path.name for path in self._modules.iterdir()} if self._modules.is_dir() else set()
        changed = {
            name
            for name, pin in pins.items()
            if name not in there or tree_checksum(self._modules / name) != pin.tree_sha256
        }
        return sorted(changed | (there - set(pins)))

    def _unpacked(self, names: Sequence[str]) -> Path:
        """Fetch packages into a new directory beside the modules."""
        target = self._modules.with_name("modules.new")
        shutil.rmtree(target, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(self._fetch(names))) as archive:
            archive.extractall(target, filter="data")
        return target

    def _replace(self, fetched: Path, pins: Mapping[str, Pin]) -> None:
        made = fetched / "modules"
        for name, pin in pins.items():
            shutil.copytree(_tree(fetched, pin.package), made / name)
        shutil.rmtree(self._modules, ignore_errors=True)
        made.rename(self._modules)


def _pin(fetched: Path, package: str) -> tuple[str, Pin]:
    """Describe one fetched package: the module's name, and its pin."""
    deb, tree = _deb(fetched, package), _tree(fetched, package)
    metadata = YAML(typ="safe").load((tree / "metadata.json").read_text(encoding="utf-8"))
    pin = Pin(
        version=metadata["version"],
        package=package,
        package_version=deb.name.split("_")[1].replace("%3a", ":"),
        deb_sha256=_deb_checksum(fetched, package),
        tree_sha256=tree_checksum(tree),
    )
    return tree.name.partition("-")[2], pin


def _compare(name: str, what: str, pinned: str, found: str) -> None:
    if found != pinned:
        raise PuppetModulesCheckError(
            f"the {what} has the checksum {found[:12]}..., pinned is {pinned[:12]}...",
            where=f"Puppet module {name}",
            remedy=REPIN,
        )


def _deb_checksum(fetched: Path, package: str) -> str:
    return hashlib.sha256(_deb(fetched, package).read_bytes()).hexdigest()


def _deb(fetched: Path, package: str) -> Path:
    return _only(fetched / "debs", f"{package}_*.deb")


def _tree(fetched: Path, package: str) -> Path:
    """Return where Debian puts a module: ``AUTHOR-NAME`` below one directory."""
    return _only(fetched / "trees" / package / "usr/share/puppet/modules.available", "*-*")


def _only(directory: Path, pattern: str) -> Path:
    found = list(directory.glob(pattern))
    if len(found) != 1:
        raise PuppetModulesError(
            f"one {pattern} was expected, {len(found)} are there", where=directory.name
        )
    return found[0]

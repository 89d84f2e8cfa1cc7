#!/usr/bin/python3
"""Compile a Clojure service ahead of its start, once for every set of jars.

Debian ships Puppet Server and PuppetDB as source, which the JVM compiles at each start: three
quarters of what a start costs. systemd calls this before and after the service's own process:

    prepare SERVICE --jar JAR --bootstrap FILE... [--namespace NAME...]
        Compile when the jars are not those of the last time, and tell the service what to start
        with. Nothing is told when that fails: the service then starts as Debian ships it.
    settle SERVICE --ready FILE
        Look how the process ended. Compiled classes that did not even come up are not used again
        until the jars change or the host restarts.

What is told are two variables in ``/run/clojure-aot/SERVICE.env``, an EnvironmentFile= of the
unit: CLASSPATH, and AOT_ARGS with the JVM's archive of loaded classes (``java -X`` has it as
class data sharing; it counts only for a classpath of plain jars, with links resolved).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

CACHE = Path("/var/cache/clojure-aot")
RUN = Path("/run/clojure-aot")

# What every service of the framework begins with.
MAIN = "puppetlabs.trapperkeeper.main"

COMPILER = ("-Xmx512m", "-Xss2m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def classpath(jar: Path) -> list[Path]:
    """Return *jar* and every jar that the manifests name from there on, links resolved."""
    found: list[Path] = []
    waiting = [jar]
    while waiting:
        path = waiting.pop(0).resolve()
        if path not in found and path.is_file():
            found.append(path)
            waiting += manifest_classpath(path)
    return found


def manifest_classpath(jar: Path) -> list[Path]:
    """Return what the manifest of *jar* names as Class-Path, relative to where the jar is."""
    with zipfile.ZipFile(jar) as archive:
        try:
            text = archive.read("META-INF/MANIFEST.MF").decode()
        except KeyError:
            return []
    # A line holds 72 bytes and goes on after a line break and a space.
    unfolded = re.sub(r"\r?\n ", "", text)
    match = re.search(r"^Class-Path:(.*)$", unfolded, re.MULTILINE)
    names = match[1].split() if match else []
    return [jar.parent / name.removeprefix("file:") for name in names]


def namespaces(bootstrap: str) -> list[str]:
    """Return the namespaces of the services in a bootstrap file, one ``NAMESPACE/NAME`` a line."""
    lines = (line.partition("#")[0].strip() for line in bootstrap.splitlines())
    return [line.partition("/")[0] for line in lines if line]


def stamp(jars: Iterable[Path], names: Iterable[str]) -> str:
    """Return what stands for these jars, by name, size and time, and these namespaces."""
    digest = hashlib.sha256()
    for jar in jars:
        known = jar.stat()
        digest.update(f"{jar} {known.st_size} {known.st_mtime_ns}\n".encode())
    digest.update(" ".join(names).encode())
    return digest.hexdigest()


def compile_jar(jars: Sequence[Path], names: Sequence[str], target: Path) -> None:
    """Compile the namespaces, and all that they need, into the jar *target*."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        classes = Path(scratch, "classes")
        classes.mkdir()
        done = subprocess.run(
            [
                "/usr/bin/java",
                *COMPILER,
                f"-Dclojure.compile.path={classes}",
                "-cp",
                ":".join(map(str, [classes, *jars])),
                "clojure.main",
                "-e",
                f"(run! compile '[{' '.join(names)}])",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"it does not compile:\n{done.stderr[-2000:]}")
        packed = Path(scratch, "classes.jar")
        # Stored, not deflated: the JVM maps it, and a slow core has nothing to unpack.
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(classes.rglob("*.class")):
                archive.write(path, path.relative_to(classes))
        packed.chmod(0o644)
        packed.replace(target)


def prepare(service: str, jar: Path, bootstrap: Sequence[Path], extra: Sequence[str]) -> None:
    """Have compiled classes for *service* and tell it of them, or of nothing."""
    told = RUN / f"{service}.env"
    told.unlink(missing_ok=True)
    jars = classpath(jar)
    found = [name for path in bootstrap for name in namespaces(path.read_text())]
    names = list(dict.fromkeys([MAIN, *found, *extra]))
    current = stamp(jars, names)
    if read(RUN / f"{service}.refused") == current:
        print("the compiled classes failed before: starting without them")
        return
    compiled = CACHE / service / "classes.jar"
    stamped = CACHE / service / "stamp"
    if read(stamped) != current or not compiled.is_file():
        print(f"compiling {len(names)} namespaces and what they need")
        stamped.unlink(missing_ok=True)
        compile_jar(jars, names, compiled)
        stamped.write_text(current)
    archive = Path("/var/cache", service, "classes.jsa")
    RUN.mkdir(exist_ok=True)
    arguments = [
        "-XX:+AutoCreateSharedArchive",
        f"-XX:SharedArchiveFile={archive}",
        # Either would fill the journal at each start: what cannot be archived, and jars that are
        # found twice, by their real name and by the link that other jars call them by.
        "-Xlog:cds=off,cds+dynamic=off",
        "-Dlogback.statusListenerClass=ch.qos.logback.core.status.NopStatusListener",
    ]
    told.write_text(
        f"CLASSPATH={':'.join(map(str, [compiled, *jars]))}\nAOT_ARGS={' '.join(arguments)}\n"
    )


def settle(service: str, ready: Path) -> None:
    """Refuse the compiled classes when the process failed with them before it was ready."""
    told = RUN / f"{service}.env"
    failed = os.environ.get("SERVICE_RESULT", "success") != "success"
    if failed and told.is_file() and not (read(ready) or "0").startswith("1"):
        shutil.copy(CACHE / service / "stamp", RUN / f"{service}.refused")


def read(path: Path) -> str | None:
    """Return what *path* holds, None when it is not there."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def main(arguments: Sequence[str]) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("prepare")
    first.add_argument("service")
    first.add_argument("--jar", type=Path, required=True)
    first.add_argument("--bootstrap", type=Path, nargs="+", required=True)
    first.add_argument("--namespace", nargs="*", default=[])
    last = commands.add_parser("settle")
    last.add_argument("service")
    last.add_argument("--ready", type=Path, required=True)
    given = parser.parse_args(arguments)
    # The unit's own is narrower, and the service could not read what is written here.
    os.umask(0o022)
    if given.command == "prepare":
        prepare(given.service, given.jar, given.bootstrap, given.namespace)
    else:
        settle(given.service, given.ready)


if __name__ == "__main__":
    main(sys.argv[1:])

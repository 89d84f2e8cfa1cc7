"""Every file of a host, listed on it and compared with a copy, attribute by attribute."""

from __future__ import annotations

import base64
import gzip
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.errors import CouldNotError
from lab.operator.ssh import Ssh

_SECONDS: Final = 4 * 3600.0
_FIELDS: Final = 7
_PRINTED: Final = r"%y\0%m\0%U:%G\0%T@\0%C@\0%l\0%P\0"
_END: Final = b"=="
_COMPARED: Final = frozenset("fdl")
"""Kinds that are compared: files, directories, links. A socket is its program's, and made anew."""


class ManifestError(CouldNotError):
    """The files of a host could not be listed."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file, directory or link.

    Attributes:
        kind: as find(1) prints it, such as ``f``.
        mode: permissions, octal.
        owner: user and group, by number.
        written: when its content was, seconds since the epoch.
        touched: when anything of it was, seconds since the epoch.
        target: of a link.
        digest: SHA-256 of a file's content; empty when it could not be read.
    """

    kind: str
    mode: str
    owner: str
    written: int
    touched: int
    target: str = ""
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a copy compares with what it was made of.

    Attributes:
        alike: how many entries are.
        changed: names of those that changed after the copy was begun.
        wrong: what is not as it was, in words.
    """

    alike: int
    changed: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def listing(ssh: Ssh, host: str, top: str, *, without: Sequence[str]) -> dict[str, Entry]:
    """Return everything below *top*, by its name there.

    Args:
        ssh: the way to the hosts.
        host: where.
        top: a directory.
        without: absolute names, as if *top* were the root, that are left out with all below.
    """
    paths = " -o ".join(f"-path {shlex.quote(f'.{each}')}" for each in without)
    prune = f"'(' {paths} ')' -prune -o" if without else ""
    # What goes away while it is listed is nobody's fault.
    script = f"""
        cd {shlex.quote(top)}
        {{
            find . {prune} -printf '{_PRINTED}' 2>/dev/null || true
            printf '==\\0'
            find . {prune} -type f -print0 2>/dev/null |
                xargs -0 -r sha256sum -z 2>/dev/null || true
        }} | gzip -1 | base64 -w 0
    """
    said = ssh.run(host, script, timeout=_SECONDS).stdout
    try:
        return read(gzip.decompress(base64.b64decode(said)))
    except (ValueError, OSError, IndexError) as error:
        raise ManifestError(f"its files could not be listed: {error}", where=host) from error


def read(text: bytes) -> dict[str, Entry]:
    """Return what :func:`listing` is printed on the host."""
    parts = text.split(b"\0")
    end = next(at for at in range(0, len(parts), _FIELDS) if parts[at] == _END)
    digests = dict(_digests(parts[end + 1 :]))
    found = {}
    for at in range(0, end, _FIELDS):
        kind, mode, owner, written, touched, target, name = (
            part.decode(errors="surrogateescape") for part in parts[at : at + _FIELDS]
        )
        found[name] = Entry(
            kind=kind,
            mode=mode,
            owner=owner,
            written=int(float(written)),
            touched=int(float(touched)),
            target=target,
            digest=digests.get(name, ""),
        )
    return found


def _digests(lines: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        digest, _, name = line.partition(b"  ./")
        if name:
            yield name.decode(errors="surrogateescape"), digest.decode()


def compare(original: Mapping[str, Entry], copy: Mapping[str, Entry], *, begun: int) -> Comparison:
    """Return how a copy compares.

    Args:
        original: what it was made of, as it is now.
        copy: what was read back.
        begun: when making it began, seconds since the epoch by the original's clock.
    """
    alike = 0
    changed: list[str] = []
    wrong: list[str] = []
    for name, each in original.items():
        if each.kind not in _COMPARED or not name:
            continue  # the top itself is whatever the copy was put into
        other = copy.get(name)
        why = "missing" if other is None else _unlike(each, other)
        if not why:
            alike += 1
        elif max(each.written, each.touched) >= begun:
            changed.append(name)
        else:
            wrong.append(f"/{name}: {why}")
    return Comparison(alike=alike, changed=tuple(sorted(changed)), wrong=tuple(sorted(wrong)))


def _unlike(one: Entry, other: Entry) -> str:
    """Return in what two entries differ; empty when in nothing that counts."""
    file, link = one.kind == "f", one.kind == "l"
    differences = {
        f"{other.kind} instead of {one.kind}": one.kind != other.kind,
        f"belongs to {other.owner} instead of {one.owner}": one.owner != other.owner,
        f"leads to {other.target}": link and one.target != other.target,
        f"mode {other.mode} instead of {one.mode}": not link and one.mode != other.mode,
        "could not be read": file and not one.digest,
        "another content": one.digest != other.digest,
        "another time": file and one.written != other.written,
    }
    return next((why for why, so in differences.items() if so), "")

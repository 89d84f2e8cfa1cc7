"""A catalog as data: what Puppet wants of one host, and what reacts to what.

Read from the records of ``puppet/tools/compile_catalogs.rb``, where secrets are checksums. Two
things are added that a catalog leaves to the agent: files put together from fragments (the
module ``concat``), and the text of files that are only referred to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

SECRET: Final = "sensitive:"  # noqa: S105 - how a record marks one
METAPARAMETERS: Final = frozenset(
    {"alias", "audit", "before", "loglevel", "noop", "notify", "require"}
    | {"schedule", "stage", "subscribe", "tag"}
)

_FRAGMENT: Final = "Concat_fragment"
_ASSEMBLED: Final = "Concat_file"
# puppet/modules/concat: what it hands on to the file that it makes.
_HANDED_ON: Final = ("owner", "group", "mode", "validate_cmd", "show_diff")
_REFRESHABLE: Final = frozenset({"Service", "Exec", "Mount"})


@dataclass(frozen=True, kw_only=True)
class Text:
    """The content of a file.

    Attributes:
        checksum: of it, or of whatever stands for it.
        text: what it says; None where that is secret, or no text.
    """

    checksum: str
    text: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One thing that Puppet wants.

    Attributes:
        ref: its type and title.
        parameters: how it is wanted.
        container: whether it only holds others: a class or a defined type.
        files: for a file with a source: path below it -> checksum.
        place: file and line where it is declared.
    """

    ref: str
    parameters: Mapping[str, Any]
    container: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    place: str = ""

    @property
    def type(self) -> str:
        """The type, as in ``File``."""
        return self.ref.partition("[")[0]

    @property
    def title(self) -> str:
        """The title, as in ``/etc/hosts``."""
        return self.ref.partition("[")[2].removesuffix("]")

    @property
    def path(self) -> str:
        """Where a file is."""
        return str(self.parameters.get("path") or self.title)

    @property
    def internal(self) -> bool:
        """Whether nothing on the host answers to it: what holds others, and parts of a file."""
        return self.container or self.type in {_FRAGMENT, _ASSEMBLED, "Class", "Stage"}


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Everything that Puppet wants of one host.

    Attributes:
        resources: by reference.
        parents: reference -> those that hold it.
        texts: checksum -> text, of files that are referred to.
    """

    resources: Mapping[str, Resource]
    parents: Mapping[str, frozenset[str]] = field(repr=False)
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, record: Mapping[str, Any], *, texts: Mapping[str, str] | None = None) -> Self:
        """Return the catalog that a record is of.

        Args:
            record: one of ``compile_catalogs.rb``.
            texts: checksum -> text, of files that it refers to.
        """
        resources = {entry["ref"]: _resource(entry) for entry in record["resources"]}
        parents: dict[str, set[str]] = {}
        for holder, held in record["edges"]:
            parents.setdefault(held, set()).add(holder)
        known = texts or {}
        for one in [one for one in resources.values() if one.type == _ASSEMBLED]:
            made = _assembled(one, resources.values(), known)
            if made.ref not in resources:
                resources[made.ref] = made
                parents[made.ref] = {*parents.get(one.ref, ()), one.ref}
        return cls(
            resources=resources,
            parents={held: frozenset(holders) for held, holders in parents.items()},
            texts=known,
        )

    def content(self, resource: Resource) -> dict[str, Text]:
        """Return what a file says, by path below it; the file itself is the empty path."""
        content = resource.parameters.get("content")
        if isinstance(content, str):
            hidden = content.startswith(SECRET) or resource.parameters.get("show_diff") is False
            checksum = content if content.startswith(SECRET) else _checksum(content)
            return {"": Text(checksum=checksum, text=None if hidden else content)}
        return {
            name: Text(checksum=checksum, text=self.texts.get(checksum))
            for name, checksum in resource.files.items()
        }

    def place(self, resource: Resource) -> str:
        """Return where a resource is declared; of what a pinned module makes, where we use it."""
        ahead = [resource.ref]
        while ahead:
            ref = ahead.pop(0)
            found = resource if ref == resource.ref else self.resources.get(ref)
            if found is not None and found.place and not found.place.startswith("modules/"):
                return found.place
            ahead += sorted(self.parents.get(ref, ()))
        return resource.place

    def holders(self, ref: str) -> set[str]:
        """Return everything that holds a resource, near or far."""
        found: set[str] = set()
        ahead = [ref]
        while ahead:
            for holder in self.parents.get(ahead.pop(), ()):
                if holder not in found:
                    found.add(holder)
                    ahead.append(holder)
        return found

    def refreshed(self, touched: Iterable[str]) -> dict[str, str]:
        """Return what reacts when resources are touched, and by which of them it is told.

        A touched resource tells whatever it, or anything that holds it, notifies; who is told as
        a class or defined type hands it on to everything inside. Services, commands and mounts
        react, and tell others in their turn; all others take no notice.
        """
        told = self._told()
        inside = self._inside()
        found: dict[str, str] = {}
        ahead = [ref for ref in dict.fromkeys(touched) if ref in self.resources]
        while ahead:
            source = ahead.pop(0)
            for speaker in (source, *sorted(self.holders(source))):
                for target in told.get(speaker, ()):
                    for ref in sorted(inside.get(target, {target})):
                        if ref not in found and self._reacts(ref) and ref != source:
                            found[ref] = source
                            ahead.append(ref)
        return dict(sorted(found.items()))

    def _reacts(self, ref: str) -> bool:
        resource = self.resources.get(ref)
        if resource is None or resource.type not in _REFRESHABLE:
            return False
        # A service that is to stand still is not restarted.
        return resource.parameters.get("ensure") not in {"stopped", False}

    def _told(self) -> dict[str, set[str]]:
        told: dict[str, set[str]] = {}
        for resource in self.resources.values():
            for target in _refs(resource.parameters.get("notify")):
                told.setdefault(resource.ref, set()).add(target)
            for source in _refs(resource.parameters.get("subscribe")):
                told.setdefault(source, set()).add(resource.ref)
        return told

    def _inside(self) -> dict[str, set[str]]:
        inside: dict[str, set[str]] = {}
        for ref in self.resources:
            for holder in self.holders(ref):
                inside.setdefault(holder, set()).add(ref)
        return inside


def _resource(entry: Mapping[str, Any]) -> Resource:
    place = entry.get("file", "")
    return Resource(
        ref=entry["ref"],
        parameters=entry["parameters"],
        container=entry.get("container", False),
        files=entry.get("files") or {},
        place=f"{place}:{entry['line']}" if place and entry.get("line") else place,
    )


def _refs(value: object) -> list[str]:
    """Return the references in a relationship, a single one or a list of them."""
    if isinstance(value, list):
        return [ref for inner in value for ref in _refs(inner)]
    return [value] if isinstance(value, str) else []


def _assembled(
    whole: Resource, resources: Iterable[Resource], texts: Mapping[str, str]
) -> Resource:
    """Return the file that fragments make, put together as the module ``concat`` does it."""
    names = {whole.title, whole.path}
    tag = whole.parameters.get("tag")
    parts = [
        one
        for one in resources
        if one.type == _FRAGMENT
        and (one.parameters.get("target") in names or (tag and one.parameters.get("tag") == tag))
    ]
    ordered = sorted(parts, key=lambda one: _order(one, numeric=_by_number(whole)))
    pieces = [_piece(one, texts) for one in ordered]
    if any(piece.startswith(SECRET) for piece in pieces):
        content = SECRET + _checksum("\0".join(pieces))
    else:
        content = "".join(pieces)
    absent = whole.parameters.get("ensure") == "absent"
    handed_on = {key: whole.parameters.get(key) for key in _HANDED_ON}
    parameters = {"ensure": "absent"} if absent else {"ensure": "file", "content": content}
    return Resource(
        ref=f"File[{whole.path}]",
        parameters=parameters | {key: value for key, value in handed_on.items() if value},
        place=whole.place,
    )


def _by_number(whole: Resource) -> bool:
    return bool(whole.parameters.get("order") == "numeric")


def _order(fragment: Resource, *, numeric: bool) -> tuple[tuple[int, int, str], str]:
    order = str(fragment.parameters.get("order", "10"))
    if numeric and re.fullmatch(r"\d+", order):
        return (0, int(order), ""), fragment.title
    return (1, 0, order), fragment.title


def _piece(fragment: Resource, texts: Mapping[str, str]) -> str:
    content = fragment.parameters.get("content")
    if isinstance(content, str):
        return content
    return "".join(texts.get(checksum, checksum) for checksum in fragment.files.values())


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""What differs between two catalogs of one host: pure functions, whatever order they are in.

Classes and defined types are how a catalog is written; compared is what they hold, because only
that is on the host. What is secret is changed or unchanged, and is never shown.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from lab.promote.catalog import METAPARAMETERS, SECRET, Catalog, Resource, Text

HIDDEN: Final = "(secret)"

# Shown as the text they stand for.
_TEXTS: Final = frozenset({"content", "source", "source_checksum"})
# How Puppet goes about it, not how the host is: a run changes nothing because of them.
_MANNERS: Final = frozenset(
    {"backup", "hasrestart", "hasstatus", "logoutput", "provider", "restart", "show_diff"}
    | {"start", "status", "stop", "timeout", "tries", "try_sleep", "validate_cmd"}
)
# In what order Puppet goes; who tells whom is worth knowing, the rest follows from the code.
_ORDER: Final = frozenset({"alias", "before", "require", "stage", "tag"})
_TELLS: Final = frozenset({"notify", "subscribe"})
_CONTEXT_LINES: Final = 3


class Kind(StrEnum):
    """What happened to a resource."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter that is not what it was.

    Attributes:
        name: of it.
        old: as it was; empty for none.
        new: as it is wanted; empty for none.
        secret: whether neither may be shown.
    """

    name: str
    old: str
    new: str
    secret: bool = False


@dataclass(frozen=True, kw_only=True)
class TextDiff:
    """How the content of one file changes.

    Attributes:
        path: of the file.
        lines: of a unified diff, without its head; none where it cannot be shown.
        hidden: why not: it is secret, or no text; empty otherwise.
    """

    path: str
    lines: tuple[str, ...]
    hidden: str = ""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that is not what it was.

    Attributes:
        ref: its type and title.
        kind: what happened to it.
        parameters: those that differ; of a new resource, all that say something.
        texts: of its files.
        place: file and line where it is declared.
        effect: whether a run of Puppet has something to do because of it.
    """

    ref: str
    kind: Kind
    parameters: tuple[Parameter, ...] = ()
    texts: tuple[TextDiff, ...] = ()
    place: str = ""
    effect: bool = True


def diff(old: Catalog, new: Catalog) -> tuple[Change, ...]:
    """Return how the new catalog differs from the old one, by reference."""
    refs = sorted(old.resources.keys() | new.resources.keys())
    changes = [_change(old, new, ref) for ref in refs if not _internal(old, new, ref)]
    return tuple(change for change in changes if change is not None)


def _internal(old: Catalog, new: Catalog, ref: str) -> bool:
    return (new.resources.get(ref) or old.resources[ref]).internal


def _change(old: Catalog, new: Catalog, ref: str) -> Change | None:
    before, after = old.resources.get(ref), new.resources.get(ref)
    if after is None:
        assert before is not None  # noqa: S101 - one of the two has it
        # It stays as it is: Puppet only takes no more notice of it.
        return Change(ref=ref, kind=Kind.REMOVED, place=old.place(before), effect=False)
    texts = _texts(old, before, new, after)
    if before is None:
        told = [
            name
            for name in sorted(_names(after) - METAPARAMETERS - _MANNERS)
            if after.parameters[name] != after.title
        ]
        parameters = tuple(parameter(name, None, after.parameters[name]) for name in told)
        return Change(
            ref=ref,
            kind=Kind.ADDED,
            parameters=parameters,
            texts=texts,
            place=new.place(after),
            effect=not _waits(after),
        )
    names = [
        name
        for name in sorted(_names(before) | _names(after))
        if not same(name, before.parameters.get(name), after.parameters.get(name))
    ]
    if not names and not texts:
        return None
    return Change(
        ref=ref,
        kind=Kind.CHANGED,
        parameters=tuple(
            parameter(name, before.parameters.get(name), after.parameters.get(name))
            for name in names
        ),
        texts=texts,
        place=new.place(after),
        effect=bool(texts or set(names) - METAPARAMETERS - _MANNERS) and not _waits(after),
    )


def _names(resource: Resource) -> set[str]:
    return {name for name in resource.parameters if name not in _TEXTS | _ORDER}


def _waits(resource: Resource) -> bool:
    """Whether a command only runs when another resource tells it to."""
    return resource.type == "Exec" and resource.parameters.get("refreshonly") in {True, "true"}


def same(name: str, old: object, new: object) -> bool:
    """Whether a parameter is what it was; relationships are sets, and may name one alone."""
    return _as_set(old) == _as_set(new) if name in _TELLS else old == new


def _as_set(value: object) -> set[str]:
    if isinstance(value, list):
        return {one for inner in value for one in _as_set(inner)}
    return set() if value is None else {str(value)}


def parameter(name: str, old: object, new: object) -> Parameter:
    """Return a parameter that differs, without what is secret in it."""
    if name in _TELLS:
        lost, gained = _as_set(old) - _as_set(new), _as_set(new) - _as_set(old)
        return Parameter(name=name, old=", ".join(sorted(lost)), new=", ".join(sorted(gained)))
    shown_old, shown_new = shown(old), shown(new)
    # A checksum that differs is all there is to tell, and it is no use to anybody.
    secret = HIDDEN in shown_old + shown_new
    return Parameter(
        name=name,
        old="" if old is None else HIDDEN if secret else shown_old,
        new="" if new is None else HIDDEN if secret else shown_new,
        secret=secret,
    )


def shown(value: object) -> str:
    """Return a value as people read it, with ``(secret)`` in the place of every secret."""
    if isinstance(value, str):
        return HIDDEN if value.startswith(SECRET) else value
    return json.dumps(_without_secrets(value), ensure_ascii=False)


def _without_secrets(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, Mapping):
        return {key: _without_secrets(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    return HIDDEN if isinstance(value, str) and value.startswith(SECRET) else value


def _texts(
    old: Catalog, before: Resource | None, new: Catalog, after: Resource
) -> tuple[TextDiff, ...]:
    had = old.content(before) if before is not None else {}
    has = new.content(after)
    return tuple(
        text_diff(after.path + name, had.get(name), has.get(name))
        for name in sorted(had.keys() | has.keys())
        if _checksum(had.get(name)) != _checksum(has.get(name))
    )


def _checksum(text: Text | None) -> str:
    return "" if text is None else text.checksum


def text_diff(path: str, old: Text | None, new: Text | None) -> TextDiff:
    """Return how a file changes; None is a file that is not there."""
    sides = [side for side in (old, new) if side is not None]
    if any(side.text is None for side in sides):
        secret = any(side.checksum.startswith(SECRET) for side in sides)
        return TextDiff(path=path, lines=(), hidden="secret" if secret else "not shown")
    lines = unified(_lines(old), _lines(new))
    return TextDiff(path=path, lines=lines, hidden="" if lines else "only how its lines end")


def _lines(text: Text | None) -> list[str]:
    return [] if text is None or text.text is None else text.text.splitlines()


def unified(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    """Return a unified diff without the two lines that name files."""
    lines = difflib.unified_diff(list(old), list(new), lineterm="", n=_CONTEXT_LINES)
    return tuple(lines)[2:]

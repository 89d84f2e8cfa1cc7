"""The sites as the control repository describes them, read by the operator as Hiera reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lab.errors import CouldNotError
from lab.operator.puppet import TREE

PATH: Final = TREE / "data" / "web.yaml"
KEY: Final = "profile::web::sites"
_DOMAIN: Final = "%{lookup('fleet::domain')}"


class WebDataError(CouldNotError):
    """The description of the sites cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One site (``puppet/site/profile/types/web/description.pp``).

    Attributes:
        name: what it is called among the sites.
        names: host names that it answers to, without the last dot, the first one first.
        certified: those that have a certificate.
        source: where its content lies on the old server; empty when it has none.
        data: the directory in there that its programs write to; empty when there is none.
        appended: files in there to which lines are only ever added.
        special: paths that the description names: redirects, and what is gone or denied.
        otherwise: paths below which the new server means to answer otherwise.
    """

    name: str
    names: tuple[str, ...]
    certified: tuple[str, ...] = ()
    source: str = ""
    data: str = ""
    appended: tuple[str, ...] = ()
    special: tuple[str, ...] = field(default=(), repr=False)
    otherwise: tuple[str, ...] = ()

    @property
    def home(self) -> str:
        """Where it lies on the new server."""
        return f"/srv/www/{self.name}"

    @property
    def asked(self) -> tuple[str, ...]:
        """Names by which a visitor can ask for it: those with a wildcard are none."""
        return tuple(name for name in self.names if not name.startswith("*"))

    def differs(self, path: str) -> bool:
        """Return whether the new server means to answer otherwise to *path*."""
        return any(path == each or path.startswith(f"{each}/") for each in self.otherwise)


def read(domain: str, *, path: Path = PATH) -> tuple[Site, ...]:
    """Return the sites of the fleet.

    Args:
        domain: the fleet's.
        path: the file of Hiera's.

    Raises:
        WebDataError: it does not say what sites are made of.
    """
    try:
        text = path.read_text(encoding="utf-8").replace(_DOMAIN, domain)
        listed = YAML(typ="safe").load(text)[KEY]
        return tuple(_site(name, each, domain) for name, each in listed.items())
    except (OSError, YAMLError, KeyError, TypeError, AttributeError) as error:
        raise WebDataError(str(error), where=str(path)) from error


def _site(name: str, given: Mapping[str, object], domain: str) -> Site:
    def texts(key: str) -> tuple[str, ...]:
        found = given.get(key, ())
        return tuple(map(str, found)) if isinstance(found, list | tuple | dict) else ()

    return Site(
        name=name,
        names=tuple(_full(label, domain) for label in texts("names")),
        certified=tuple(_full(label, domain) for label in texts("certified")),
        source=str(given.get("source", "")),
        data=str(given.get("data", "")),
        appended=texts("appended"),
        special=tuple(quote(path) for path in _special(texts)),
        otherwise=texts("otherwise"),
    )


def _special(texts: Callable[[str], tuple[str, ...]]) -> Iterator[str]:
    yield from texts("redirects")
    for key in ("gone", "denied"):
        for path in texts(key):
            yield from (path, f"{path}/", f"{path}/x")


def _full(label: str, domain: str) -> str:
    return domain if label == "@" else f"{label}.{domain}"

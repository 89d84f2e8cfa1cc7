"""Which addresses the old web server answers, and whether the new one answers them alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import quote

from lab.operator.web_client import MATTER, Page, Server, Url
from lab.operator.web_data import Site

SAMPLE: Final = 5
"""How many addresses are asked by each further name of a site: the content is the same."""

Pages: TypeAlias = Mapping[Url, Page]

NOWHERE: Final = "/there-is-no-such-page-here"
_CHALLENGES: Final = "/.well-known/acme-challenge/"
_ROUNDS: Final = 5
_BODY_MATTERS: Final = range(200, 300)


def urls(sites: Iterable[Site], files: Mapping[str, Sequence[str]]) -> tuple[Url, ...]:
    """Return the addresses that there are before anybody has followed a link.

    Args:
        sites: the sites.
        files: name of the site -> files and directories of its content, relative; directories
            with a slash at the end.
    """
    found = []
    for site in sites:
        here = [f"/{quote(path)}" for path in files[site.name]]
        bare = [path.rstrip("/") for path in here if path.endswith("/")]
        paths = dict.fromkeys(["/", NOWHERE, *site.special, *here, *bare])
        wanted = [path for path in paths if not site.differs(path)]
        for number, name in enumerate(site.asked):
            some = wanted if number == 0 else wanted[:SAMPLE]
            found += [Url(scheme="http", host=name, path=path) for path in some]
            if name in site.certified:
                found += [Url(scheme="https", host=name, path=path) for path in some]
    return tuple(found)


def crawl(server: Server, sites: Sequence[Site], begin: Iterable[Url]) -> dict[Url, Page]:
    """Return every page that is found from *begin* by following links within the sites."""
    owner = {name: site for site in sites for name in site.asked}
    found: dict[Url, Page] = {}
    new = set(begin)
    for _ in range(_ROUNDS):
        if not new:
            break
        pages = server.fetch(new)
        found |= pages
        # What a listing leads to is known already; the rest of it is the server's own.
        linked = {link for url, page in pages.items() if not page.lists for link in page.links(url)}
        new = {url for url in linked - found.keys() if _belongs(url, owner)}
    return found


def differences(
    sites: Iterable[Site], old: Mapping[Url, Page], new: Mapping[Url, Page], *, data: bool = True
) -> list[str]:
    """Return what the new server answers otherwise, one line an address.

    Args:
        sites: the sites, some of which mean to answer otherwise here and there.
        old: what the old server answered.
        new: what the new one did.
        data: whether pages that programs make of data must be the same as well.
    """
    changing = {name for site in sites if site.data for name in site.asked}
    return [
        f"{url}: {what}"
        for url, page in sorted(old.items())
        if (what := _differs(url, page, new.get(url), body=data or url.host not in changing))
    ]


def broken(pages: Mapping[Url, Page]) -> list[str]:
    """Return the addresses at which the server fails by itself."""
    return [
        f"{url} answers {page.status} on the old server already"
        for url, page in sorted(pages.items())
        if page.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ]


def _belongs(url: Url, owner: Mapping[str, Site]) -> bool:
    site = owner.get(url.host)
    if site is None or site.differs(url.path) or url.path.startswith(_CHALLENGES):
        return False
    # What an unlisted query means only the program knows; a listing sorts by it.
    return "?" not in url.path and (url.scheme == "http" or url.host in site.certified)


def _differs(url: Url, old: Page, new: Page | None, *, body: bool) -> str:
    if new is None:
        return "not asked"
    if old.status != new.status:
        return f"status {new.status}, not {old.status}"
    if (was := _location(url, old)) != (now := _location(url, new)):
        return f"leads to {now}, not to {was}"
    return _differs_within(old, new, body=body) if old.status in _BODY_MATTERS else ""


def _differs_within(old: Page, new: Page, *, body: bool) -> str:
    for name in MATTER:
        if (was := _header(old, name)) != (now := _header(new, name)):
            return f"{name} is {now or 'missing'}, not {was or 'missing'}"
    if body and old.digest != new.digest and not (old.lists and new.lists):
        return "another body"
    return ""


def _location(url: Url, page: Page) -> str:
    target = page.headers.get("location", "")
    return str(url.joined(target)) if target else ""


def _header(page: Page, name: str) -> str:
    """Return a header, however it is spelt."""
    value = page.headers.get(name, "")
    return value.lower().replace(" ", "") if name == "content-type" else value

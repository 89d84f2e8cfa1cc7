"""Pages as a visitor gets them, asked of one named server through whatever connects."""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import unescape
from itertools import groupby
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from lab.errors import CouldNotError
from lab.operator.dns import Dial

MATTER: Final = ("content-type", "cache-control", "last-modified", "content-disposition")
"""Headers that a visitor's browser acts on."""

_PORTS: Final = {"http": 80, "https": 443}
_LINK: Final = re.compile(r"""(?:href|src)\s*=\s*["']([^"'#]+)""", re.IGNORECASE)
_ENCODED: Final = re.compile(r"%[0-9a-fA-F]{2}")
_TRIES: Final = 3
_SIDE_BY_SIDE: Final = 6


class WebError(CouldNotError):
    """A web server gave no answer."""


@dataclass(frozen=True, kw_only=True, order=True)
class Url:
    """An address as a visitor types it.

    Attributes:
        scheme: ``http`` or ``https``.
        host: name of the site.
        path: encoded, with the query.
    """

    scheme: str
    host: str
    path: str

    def __str__(self) -> str:
        """Return it whole."""
        return f"{self.scheme}://{self.host}{self.path}"

    def joined(self, link: str) -> Url:
        """Return where *link*, found at this address, leads."""
        # Servers made by hand send spaces as they are; browsers follow all the same.
        parts = urlsplit(urljoin(str(self), quote(unescape(link), safe="%/:?=&;,+~@!$'()*#[]")))
        query = f"?{parts.query}" if parts.query else ""
        # Which case an encoding is in means nothing (RFC 3986, 6.2.2.1).
        path = _ENCODED.sub(lambda found: found[0].upper(), parts.path or "/")
        return Url(scheme=parts.scheme, host=parts.netloc, path=path + query)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a server answered.

    Attributes:
        status: of the answer.
        headers: all of them, by lower-case name.
        digest: SHA-256 of the body, in hexadecimal.
        text: the body where it is HTML, empty elsewhere.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    text: str = field(default="", repr=False)

    @property
    def lists(self) -> bool:
        """Whether it lists a directory, in the server's own words."""
        return "<title>Index of " in self.text

    def links(self, at: Url) -> list[Url]:
        """Return where the page, found at that address, leads."""
        return [at.joined(link) for link in _LINK.findall(self.text) if ":" not in link[:7]]


@dataclass(frozen=True, kw_only=True)
class Server:
    """Who is asked.

    Attributes:
        dial: opens connections.
        address: of the server.
        via: host from which the connection leaves; None for outside.
        trust: how its certificates are verified; None for not at all.
        plain: port at which it answers everything without TLS, told the scheme by a header; for
            a server behind another one.
    """

    dial: Dial
    address: str
    via: str | None = None
    trust: ssl.SSLContext | None = None
    plain: int | None = None

    def fetch(self, urls: Iterable[Url]) -> dict[Url, Page]:
        """Return what it answers, each name's addresses over one connection.

        Raises:
            WebError: it gave no answer to one of them.
        """
        ordered = sorted(set(urls))
        groups = [list(g) for _, g in groupby(ordered, key=lambda url: (url.scheme, url.host))]
        pieces = [group[i : i + 40] for group in groups for i in range(0, len(group), 40)]
        with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
            found = pool.map(self._fetch, pieces)
        return {url: page for pages in found for url, page in pages.items()}

    def _fetch(self, urls: Sequence[Url]) -> dict[Url, Page]:
        found: dict[Url, Page] = {}
        connection = http.client.HTTPConnection(urls[0].host, timeout=30)
        connection.auto_open = 0
        try:
            for url in urls:
                found[url] = self._ask(connection, url)
        finally:
            connection.close()
        return found

    def _ask(self, connection: http.client.HTTPConnection, url: Url) -> Page:
        for tried in range(1, _TRIES + 1):
            try:
                if connection.sock is None:
                    self._connect(connection, url)
                headers = {"X-Forwarded-Proto": url.scheme} if self.plain else {}
                connection.request("GET", url.path, headers=headers)
                return _page(connection.getresponse())
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if tried == _TRIES or isinstance(error, ssl.SSLCertVerificationError):
                    why = getattr(error, "verify_message", "") or str(error) or "closed"
                    where = f"{url} at {self.address}"
                    raise WebError(f"no answer: {why}", where=where) from error
        raise AssertionError

    def _connect(self, connection: http.client.HTTPConnection, url: Url) -> None:
        sock = self.dial(self.address, self.plain or _PORTS[url.scheme], via=self.via)
        if url.scheme == "https" and not self.plain:
            sock = (self.trust or _unverified()).wrap_socket(sock, server_hostname=url.host)
        connection.sock = sock


def _page(answer: http.client.HTTPResponse) -> Page:
    body = answer.read()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    is_html = headers.get("content-type", "").startswith("text/html")
    return Page(
        status=answer.status,
        headers=headers,
        digest=hashlib.sha256(body).hexdigest(),
        text=body.decode(errors="replace") if is_html else "",
    )


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

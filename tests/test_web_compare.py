"""Addresses of the sites, and what counts as another answer."""

from __future__ import annotations

import pytest

from lab.operator import web_compare, web_data
from lab.operator.web_client import Page, Url
from lab.operator.web_data import Site

BLOG = Site(
    name="blog",
    names=("www.n.example", "web.n.example"),
    certified=("www.n.example",),
    source="/var/www/blog",
    special=("/old",),
    otherwise=("/privat",),
)
BOOK = Site(name="book", names=("book.n.example", "*.n.example"), source="/b", data="data")
HOME = Url(scheme="http", host="www.n.example", path="/")


def page(status: int = 200, *, body: str = "x", **headers: str) -> Page:
    spelt = {name.replace("_", "-"): value for name, value in headers.items()}
    return Page(status=status, headers=spelt, digest=body, text=body)


def told(old: Page, new: Page) -> list[str]:
    return web_compare.differences([BLOG], {HOME: old}, {HOME: new})


def test_every_file_is_asked_for_by_every_way_in() -> None:
    found = set(map(str, web_compare.urls([BLOG], {"blog": ["å b.html", "data/", "privat/x"]})))
    assert "http://www.n.example/%C3%A5%20b.html" in found
    assert "https://www.n.example/data/" in found
    assert "https://www.n.example/data" in found
    assert "https://www.n.example/old" in found
    assert "http://web.n.example/" in found
    assert not [url for url in found if "privat" in url or url.startswith("https://web.")]


def test_a_name_with_a_wildcard_is_no_name_to_ask_for() -> None:
    assert {url.host for url in web_compare.urls([BOOK], {"book": []})} == {"book.n.example"}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (page(), page(500), "status 500, not 200"),
        (page(), page(body="y"), "another body"),
        (
            page(301, location="http://www.n.example/om oss"),
            page(301, location="/other"),
            "leads to http://www.n.example/other, not to http://www.n.example/om%20oss",
        ),
        (
            page(last_modified="Sat, 06 Apr 2013 08:00:00 GMT"),
            page(),
            "last-modified is missing, not Sat, 06 Apr 2013 08:00:00 GMT",
        ),
    ],
)
def test_what_a_visitor_would_notice_is_told(old: Page, new: Page, why: str) -> None:
    assert told(old, new) == [f"{HOME}: {why}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            page(content_type="text/html;charset=UTF-8"),
            page(content_type="text/html; charset=utf-8"),
        ),
        (page(301, location="http://www.n.example/%c3%a5/"), page(301, location="/%C3%A5/")),
        (page(404, body="Apache says"), page(404, body="nginx says")),
        (page(server="Apache"), page(server="nginx", etag="1")),
        (
            page(body="<title>Index of /data</title> Apache"),
            page(body="<title>Index of /data/</title>"),
        ),
    ],
)
def test_what_nobody_would_notice_is_not(old: Page, new: Page) -> None:
    assert not told(old, new)


def test_pages_made_of_data_may_have_changed_since() -> None:
    url = Url(scheme="http", host="book.n.example", path="/")
    pages = {url: page(body="1")}, {url: page(body="2")}
    assert web_compare.differences([BOOK], *pages)
    assert not web_compare.differences([BOOK], *pages, data=False)


def test_an_address_that_fails_on_the_old_server_is_told() -> None:
    assert web_compare.broken({HOME: page(503)}) == [
        "http://www.n.example/ answers 503 on the old server already"
    ]


def test_links_are_followed_as_browsers_do() -> None:
    text = '<a href="/om%20oss.html">x</a> <img src=\'b/å.png\'> <a href="mailto:x@y">m</a>'
    assert list(map(str, page(body=text).links(HOME))) == [
        "http://www.n.example/om%20oss.html",
        "http://www.n.example/b/%C3%A5.png",
    ]


def test_the_description_of_the_sites_is_read_as_hiera_reads_it() -> None:
    sites = {site.name: site for site in web_data.read("n.example")}
    assert "www.n.example" in sites["nordlys"].certified
    assert sites["kort"].names == ("n.example",)
    assert "/wiki/x" in sites["nordlys"].special
    assert sites["nordlys"].differs("/privat/hytta.txt")
    assert not sites["nordlys"].differs("/private")
    assert sites["foreningen"].data == "data"
    assert "*.kunder.n.example" not in sites["foreningen"].asked

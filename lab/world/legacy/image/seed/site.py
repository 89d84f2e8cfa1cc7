"""The blog: pages made from articles, as the script did that wrote them until 2021.

The pages are static; there is one for each article, an index, an archive, a feed, pictures, and
what else has gathered beside them.
"""

from __future__ import annotations

import html
import os
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} - Nordlys</title>
<link rel="stylesheet" href="/stil.css">
<link rel="alternate" type="application/atom+xml" href="/feed.xml">
</head>
<body>
<h1><a href="/">Nordlys</a></h1>
{body}
<hr><p><a href="/arkiv/">archive</a> &middot; <a href="/om%20oss.html">about us</a></p>
</body>
</html>
"""
STYLE = "body { max-width: 40em; margin: 2em auto; font-family: serif }\nimg { width: 100% }\n"


@dataclass(frozen=True)
class Article:
    """One article.

    Attributes:
        slug: the last part of its address.
        title: its headline.
        date: YYYY-MM-DD.
        author: who wrote it.
        paragraphs: its text.
    """

    slug: str
    title: str
    date: str
    author: str
    paragraphs: tuple[str, ...]

    @classmethod
    def parse(cls, slug: str, text: str) -> Article:
        """Read an article: title, date and author, an empty line, paragraphs."""
        head, *paragraphs = text.strip().split("\n\n")
        title, byline = head.split("\n")
        date, _, author = byline.partition(" ")
        texts = tuple(" ".join(each.split()) for each in paragraphs)
        return cls(slug=slug, title=title, date=date, author=author, paragraphs=texts)

    @property
    def path(self) -> str:
        """Return its address below the site."""
        return f"/artikler/{self.date[:4]}/{self.date[5:7]}/{self.slug}.html"

    @property
    def picture(self) -> str:
        """Return the address of its picture."""
        return f"/bilder/{self.slug}.png"

    @property
    def written(self) -> int:
        """Return when, in seconds since the epoch: the morning of its date."""
        return int(datetime.fromisoformat(f"{self.date}T08:00:00+00:00").timestamp())


def read(directory: Path) -> list[Article]:
    """Return all articles of a directory, newest first."""
    found = (Article.parse(path.stem, path.read_text()) for path in directory.glob("*.txt"))
    return sorted(found, key=lambda article: article.date, reverse=True)


def publish(root: Path, *, articles: Path, domain: str) -> None:
    """Write the whole site.

    Args:
        root: where to.
        articles: the directory of the texts.
        domain: the fleet's domain.
    """
    found = read(articles)
    newest = found[0].written
    for article in found:
        _write(root, article.path, _page(article), article.written)
        _write(root, article.picture, picture(article.slug), article.written)
    links = "\n".join(
        f'<p>{each.date} <a href="{each.path}">{html.escape(each.title)}</a></p>' for each in found
    )
    _write(root, "/index.html", PAGE.format(title="Start", body=links), newest)
    _write(root, "/arkiv/index.html", PAGE.format(title="Archive", body=links), newest)
    _write(root, "/feed.xml", _feed(found, domain), newest)
    _write(root, "/stil.css", STYLE, found[-1].written)
    _write(root, "/favicon.ico", picture("favicon", width=16, height=16), found[-1].written)
    _write(root, "/robots.txt", "User-agent: *\nDisallow: /privat/\n", found[-1].written)
    for path, title, text in (
        ("/404.html", "Not found", "There is nothing here. Nothing at all. Look up instead."),
        ("/om oss.html", "About us", "Ingrid, Odd and Kari watch the sky over Bergen and Tromsø."),
        ("/blåbær/index.html", "Blåbær", "They ripen in August. This page has nothing to add."),
        ("/~odd/index.html", "Odd", "Under construction since 2013."),
        ("/gammel/INDEX.HTM", "Old", "The first site, from 1999, kept as it was."),
    ):
        _write(root, path, PAGE.format(title=title, body=f"<p>{text}</p>"), found[-1].written)
    # A directory without an index: the server lists it.
    for year in range(2013, 2021):
        rows = "".join(f"{year}-{month:02d};{year % 7 + month}\n" for month in range(1, 13))
        _write(root, f"/data/kp-{year}.csv", "month;nights\n" + rows, newest)


def picture(name: str, *, width: int = 480, height: int = 240) -> bytes:
    """Return a PNG of northern lights that no other name gives."""
    random = Random(f"picture {name}")  # noqa: S311 - alike in every run
    edge, slope = random.uniform(0.3, 0.6) * height, random.uniform(-0.2, 0.2)
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            distance = abs(y - edge - slope * x)
            glow = max(0, 255 - int(distance * 510 / height))
            star = 200 if random.random() < 1 / 400 else 0
            rows += bytes((max(glow // 4, star), max(glow, star), max(glow // 2, 40, star)))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _page(article: Article) -> str:
    text = "\n".join(f"<p>{html.escape(each)}</p>" for each in article.paragraphs)
    body = (
        f"<h2>{html.escape(article.title)}</h2>\n<p><em>{article.author}, {article.date}</em></p>\n"
        f'<img src="{article.picture}" alt="">\n{text}'
    )
    return PAGE.format(title=html.escape(article.title), body=body)


def _feed(articles: list[Article], domain: str) -> str:
    entries = "".join(
        f"<entry><title>{html.escape(each.title)}</title><id>tag:{domain},{each.date}:{each.slug}"
        f'</id><updated>{each.date}T08:00:00Z</updated><link href="http://www.{domain}{each.path}"/>'
        f"<author><name>{each.author}</name></author>"
        f"<summary>{html.escape(each.paragraphs[0])}</summary></entry>\n"
        for each in articles
    )
    stamp = datetime.fromtimestamp(articles[0].written, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
        f"<title>Nordlys</title><id>tag:{domain},2013:/</id><updated>{stamp}</updated>\n"
        f"{entries}</feed>\n"
    )


def _write(root: Path, path: str, content: str | bytes, written: int) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(file, (written, written))

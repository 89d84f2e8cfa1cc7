"""What gathered on the old server: mail of every kind, folders, pages; alike in every run."""

from __future__ import annotations

import base64
import email
import re
import xml.etree.ElementTree as ET
import zlib
from email import policy
from pathlib import Path

import pytest

from lab.world.legacy.image.seed import mailboxes, maildir, messages, site
from lab.world.legacy.image.seed.people import PEOPLE, person

IMAGE = Path(__file__).parents[1] / "lab" / "world" / "legacy" / "image"
DOMAIN = "nordlys.example"
MESSAGES = 300


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a server's disk with mail on it; its largest message is a small one."""
    where = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mailboxes, "huge", lambda *, owner: messages.huge(owner=owner, size=20_000))
        mailboxes.fill(where, domain=DOMAIN, messages=MESSAGES)
    return where


def of(root: Path, name: str) -> Path:
    return root / person(name).maildir(DOMAIN).lstrip("/")


def some(count: int) -> list[messages.Message]:
    return [
        messages.message(owner="kari@nordlys.example", folder="INBOX", number=number, of=count)
        for number in range(1, count + 1)
    ]


def test_two_runs_are_alike() -> None:
    assert some(200) == some(200)
    assert len({each.content for each in some(200)}) == 200


def test_there_is_mail_of_every_kind() -> None:
    assert {each.kind for each in some(len(messages.KINDS))} == set(messages.KINDS)
    assert len({each.kind for each in some(1000)[18:]}) == len(messages.KINDS)


def test_most_of_it_can_be_read_and_some_of_it_is_broken() -> None:
    broken = {"unended", "broken headers", "headers alone", "8-bit header"}
    for each in some(300):
        parsed = email.message_from_bytes(each.content, policy=policy.default)
        defects = [part for part in parsed.walk() if part.defects]
        assert bool(defects) <= (each.kind in broken), each.kind
        if each.kind not in broken:
            assert parsed["Message-ID"]
            assert parsed["Date"].datetime.timestamp() == each.received - 7
        assert b"\r" not in each.content


def test_times_run_from_the_servers_first_day_to_last_summer() -> None:
    times = [each.received for each in some(300)]
    assert times == sorted(times)
    assert messages.FIRST < times[0] < messages.FIRST + 30 * 86400
    assert messages.LAST - 30 * 86400 < times[-1] < messages.LAST


def test_the_film_is_as_large_as_asked_for() -> None:
    film = messages.huge(owner="kari@nordlys.example", size=100_000)
    assert 100_000 <= len(film.content) < 110_000


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("INBOX", ""),
        ("Søppel", ".S&APg-ppel"),
        ("Møter & referater", ".M&APg-ter &- referater"),
        ("Kunder/Fjellheim A.S.", ".Kunder.Fjellheim A\\2eS\\2e"),
        ("日本の友人", ".&ZeVnLDBuU8tOug-"),
    ],
)
def test_folders_are_spelt_as_dovecot_does(name: str, directory: str) -> None:
    assert maildir.folder_directory(name) == directory


def test_the_number_of_the_fleet_is_the_largest_inbox(root: Path) -> None:
    inbox = of(root, "arkiv")
    assert len([*inbox.glob("cur/*"), *inbox.glob("new/*")]) == MESSAGES
    others = [path for each in PEOPLE[:-1] for path in of(root, each.name).rglob("cur/*")]
    assert MESSAGES / 8 < len(others) < MESSAGES / 4


def test_every_folder_is_there_and_one_is_empty(root: Path) -> None:
    for name in mailboxes.ODD_FOLDERS:
        directory = of(root, "ingrid") / maildir.folder_directory(name)
        assert (directory / "maildirfolder").exists()
        assert bool(list(directory.glob("cur/*"))) == (name != mailboxes.EMPTY)


def test_uids_rise_with_gaps_and_name_every_file(root: Path) -> None:
    for folder in (of(root, "arkiv"), of(root, "kari") / ".Sent"):
        head, *lines = (folder / "dovecot-uidlist").read_text().splitlines()
        found = re.fullmatch(r"3 V(\d+) N(\d+) G[0-9a-f]{32}", head)
        assert found
        uids = [int(line.partition(" :")[0]) for line in lines]
        assert uids == sorted(set(uids))
        assert uids[-1] < int(found[2])
        assert folder.name == ".Sent" or uids[-1] > len(uids)
        listed = {line.partition(" :")[2] for line in lines}
        files = [*folder.glob("cur/*"), *folder.glob("new/*")]
        assert {path.name.partition(":")[0] for path in files} == listed


def test_names_of_files_tell_size_time_and_flags(root: Path) -> None:
    seen = ""
    for path in of(root, "arkiv").glob("cur/*"):
        found = re.fullmatch(r"(\d+)\.M\d+P\d+\.bergen,S=(\d+),W=(\d+):2,(\w*)", path.name)
        assert found
        content = path.read_bytes()
        assert int(found[2]) == len(content)
        assert int(found[3]) == len(content.replace(b"\n", b"\r\n"))
        assert int(path.stat().st_mtime) == int(found[1])
        assert found[4] == "".join(sorted(found[4]))
        seen += found[4]
    assert set(seen) == set("FRSTabcde")
    keywords = (of(root, "arkiv") / "dovecot-keywords").read_text().splitlines()
    assert len(keywords) == len(maildir.KEYWORDS)
    assert list(of(root, "arkiv").glob("new/*"))


def test_subscriptions_name_one_folder_that_is_gone(root: Path) -> None:
    lines = (of(root, "kari") / "subscriptions").read_text().splitlines()
    assert lines[:2] == ["V\t2", ""]
    assert "Kunder\tFjellheim A\\2eS\\2e" in lines
    assert lines[-1] == "Slettet\t2012"


def test_everybody_who_logs_in_has_a_hash_that_newer_servers_take() -> None:
    chapter = (IMAGE / "history" / "30-mail.sh").read_text().replace("\\$", "$")
    for each in PEOPLE:
        if each.locked:
            continue
        if each.system:
            assert re.search(rf"--password \"\$6\$\S+\" {each.name}$", chapter, re.MULTILINE)
        else:
            login = re.escape(each.address("$DOMAIN"))
            assert re.search(rf"^{login}:{{(SHA(256|512)|BLF)-CRYPT}}\$", chapter, re.MULTILINE)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the blog's directory."""
    where = tmp_path_factory.mktemp("www")
    site.publish(where, articles=IMAGE / "web" / "articles", domain=DOMAIN)
    return where


def test_every_article_has_a_page_a_picture_and_an_entry_in_the_feed(pages: Path) -> None:
    articles = site.read(IMAGE / "web" / "articles")
    assert len(articles) >= 8
    feed = ET.fromstring((pages / "feed.xml").read_text())  # noqa: S314 - our own
    links = {each.attrib["href"] for each in feed.iter("{http://www.w3.org/2005/Atom}link")}
    for article in articles:
        assert (pages / article.path[1:]).exists()
        assert (pages / article.picture[1:]).exists()
        assert f"http://www.{DOMAIN}{article.path}" in links


def test_every_link_between_pages_leads_somewhere(pages: Path) -> None:
    for page in pages.rglob("*.html"):
        for link in re.findall(r'(?:href|src)="(/[^"]*)"', page.read_text()):
            target = pages / link[1:].replace("%20", " ")
            assert target.is_file() or (target / "index.html").is_file(), link


def test_pictures_are_pictures_and_each_its_own() -> None:
    one, other = (site.picture(name, width=60, height=30) for name in ("a", "b"))
    assert one == site.picture("a", width=60, height=30)
    assert one != other
    size = int.from_bytes(one[33:37])
    assert len(zlib.decompress(one[41 : 41 + size])) == 30 * (1 + 3 * 60)


def test_attachments_are_whole() -> None:
    [one] = [each for each in some(18) if each.kind == "attachment"]
    parsed = email.message_from_bytes(one.content, policy=policy.default)
    [file] = parsed.iter_attachments()
    assert base64.b64encode(file.get_content())[:40] in one.content.replace(b"\n", b"")

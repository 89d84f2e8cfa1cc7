"""The old server's web and mail as strangers and its people see them, before anything moves.

Budgets: none; what works today works here, and what must not work does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from uuid import uuid4

import pytest

from lab.lab import Lab
from lab.world.legacy.image.seed.people import PEOPLE, Person, person
from lab.world.machines import AUTHORITY, CA, FOREIGN_MAIL, MAILER
from lab.world.names import foreign_domain, machine_name

HAND_IN = """
import json, smtplib, sys
to, sender, server, content = json.load(sys.stdin)
with smtplib.SMTP(server, timeout=10) as smtp:
    smtp.ehlo("outside.net.example")
    print(smtp.mail(sender)[0], *(smtp.rcpt(each)[0] for each in to))
    if content:
        print(smtp.data(content.encode())[0])
"""
READ = """
import imaplib, json, ssl, sys, time
server, root, login, password, folder, wanted, patience = json.load(sys.stdin)
imap = imaplib.IMAP4_SSL(server, ssl_context=ssl.create_default_context(cafile=root), timeout=20)
imap.login(login, password)
deadline = time.monotonic() + patience
while True:
    imap.select(folder, readonly=True)
    found = imap.search(None, *wanted)[1][0].split()
    if found or time.monotonic() > deadline:
        break
    time.sleep(0.2)
print(len(found))
"""
SUBMIT = """
import json, smtplib, ssl, sys
server, root, login, password, sender, to, content = json.load(sys.stdin)
context = ssl.create_default_context(cafile=root)
with smtplib.SMTP(server, 587, timeout=10) as smtp:
    smtp.starttls(context=context)
    smtp.login(login, password)
    smtp.sendmail(sender, to, content)
"""


@pytest.fixture(scope="module", autouse=True)
def _bare(lab_at: Callable[[str], Lab]) -> None:
    lab_at("bare")


def outside(lab: Lab, program: str, *arguments: object) -> list[str]:
    """Run a Python program on the outside machine and return the words that it printed."""
    argv = ["python3", "-c", program]
    return lab.ssh.run("outside", argv, stdin=json.dumps(arguments)).stdout.split()


def get(lab: Lab, url: str, *options: str) -> tuple[int, str, str]:
    """Return a page's status, where it sends one on to, and its content."""
    told = "\n%{http_code} %{redirect_url}"
    argv = ["curl", "-sS", "-m10", "--cacert", AUTHORITY, "-w", told, *options, url]
    content, _, last = lab.ssh.run("outside", argv).stdout.rpartition("\n")
    status, _, target = last.partition(" ")
    return int(status), target, content


def mailed(lab: Lab, to: str, *, sender: str = "", body: str = "Hei.") -> str:
    """Hand a message for *to* to the foreign mail server and return the word in its subject."""
    word = uuid4().hex
    sender = sender or f"astrid@{foreign_domain(lab.fleet).rstrip('.')}"
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: {word}\r\nMessage-ID: <{word}@test>"
    content = f"{head}\r\n\r\n{body}\r\n"
    server = machine_name(lab.fleet, MAILER).rstrip(".")
    assert outside(lab, HAND_IN, [to], sender, server, content) == ["250", "250", "250"]
    return word


def in_mailbox(
    lab: Lab, owner: Person, wanted: list[str], *, folder: str = "INBOX", patience: int = 20
) -> int:
    """Log in by IMAP with the owner's password and return how many messages match."""
    domain = lab.fleet.domain
    login, password = owner.login(domain), owner.password
    server = f"mail.{domain}"
    found = outside(lab, READ, server, AUTHORITY, login, password, folder, wanted, patience)
    return int(found[0])


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_blog_is_served_by_both_schemes(lab: Lab, scheme: str) -> None:
    status, _, index = get(lab, f"{scheme}://www.{lab.fleet.domain}/")
    assert status == 200
    articles = re.findall(r'href="(/artikler/[^"]+)"', index)
    assert len(articles) >= 8
    status, _, page = get(lab, f"{scheme}://www.{lab.fleet.domain}{articles[0]}")
    assert status == 200
    [picture] = re.findall(r'src="(/bilder/[^"]+)"', page)
    status, _, told = get(
        lab, f"{scheme}://web.{lab.fleet.domain}{picture}", "-o", "/dev/null", "-D", "-"
    )
    assert "Content-Type: image/png" in told


@pytest.mark.parametrize(
    ("path", "status", "target"),
    [
        ("/om%20oss.html", 200, ""),
        ("/bl%C3%A5b%C3%A6r/", 200, ""),
        ("/data/", 200, ""),
        ("/feed.xml", 200, ""),
        ("/node/12", 301, "/artikler/2014/03/kp-indeksen.html"),
        ("/index.php?page=3", 301, "/arkiv/"),
        ("/nothing-here", 404, ""),
        ("/wiki/Forside", 410, ""),
        ("/privat/hytta.txt", 403, ""),
    ],
)
def test_odd_addresses_answer_as_they_always_did(
    lab: Lab, path: str, status: int, target: str
) -> None:
    got, sent_to, content = get(lab, f"http://www.{lab.fleet.domain}{path}")
    assert (got, sent_to.removeprefix(f"http://www.{lab.fleet.domain}")) == (status, target)
    assert ("Look up instead" in content) == (status == 404)


def test_the_guest_book_takes_an_entry(lab: Lab) -> None:
    book = f"https://foreningen.kunder.{lab.fleet.domain}/"
    text = f"Takk for sist! {uuid4().hex} æøå"
    status, target, _ = get(
        lab, book, "--data-urlencode", "name=Turid", "--data-urlencode", f"text={text}"
    )
    assert (status, target) == (303, f"{book}?thanks=1")
    assert text in get(lab, book)[2]
    assert get(lab, f"{book}data/entries.txt")[0] == 403


@pytest.mark.parametrize("name", ["kari", "ingrid"])
def test_mail_from_elsewhere_arrives_and_is_read_with_the_owners_password(
    lab: Lab, name: str
) -> None:
    owner = person(name)
    word = mailed(lab, owner.address(lab.fleet.domain))
    assert in_mailbox(lab, owner, ["SUBJECT", word]) == 1


@pytest.mark.parametrize(
    ("to", "name"),
    [("postmaster@{}", "ingrid"), ("whatever@kunder.{}", "kunde"), ("styret@lister.{}", "per.ole")],
)
def test_aliases_lists_and_the_catch_all_deliver(lab: Lab, to: str, name: str) -> None:
    word = mailed(lab, to.format(lab.fleet.domain))
    assert in_mailbox(lab, person(name), ["SUBJECT", word]) == 1


def test_a_filter_files_mail_into_a_folder(lab: Lab) -> None:
    kari = person("kari")
    to = kari.address(lab.fleet.domain)
    word = mailed(lab, to, sender="salg@fjellheim.example")
    wanted = ["SUBJECT", word, "KEYWORD", "viktig"]
    assert in_mailbox(lab, kari, wanted, folder='"Kunder/Fjellheim A.S."') == 1


def test_what_is_submitted_with_a_password_reaches_people_elsewhere(lab: Lab) -> None:
    kari, word, domain = person("kari"), uuid4().hex, lab.fleet.domain
    to = f"turid@{foreign_domain(lab.fleet).rstrip('.')}"
    outside(
        *(lab, SUBMIT, f"smtp.{domain}", AUTHORITY, kari.login(domain), kari.password),
        *(kari.address(domain), to, f"Subject: {word}\r\n\r\nHei.\r\n"),
    )
    there = f"until grep -rqs {word} {FOREIGN_MAIL}/new; do sleep 0.1; done"
    assert lab.engine.run(MAILER, ["timeout", "20", "sh", "-c", there], check=False).ok


def test_mail_waits_outside_while_the_old_server_is_away(lab: Lab) -> None:
    old, kari = lab.fleet.legacy.name, person("kari")
    lab.ssh.run(old, ["systemctl", "stop", "postfix@-.service"])
    try:
        word = mailed(lab, kari.address(lab.fleet.domain))
        assert in_mailbox(lab, kari, ["SUBJECT", word], patience=2) == 0
    finally:
        lab.ssh.run(old, ["systemctl", "start", "postfix@-.service"])
    assert in_mailbox(lab, kari, ["SUBJECT", word], patience=30) == 1


def test_the_old_server_relays_for_nobody(lab: Lab) -> None:
    domain = lab.fleet.domain
    strangers = [
        *("x@elsewhere.example", f"x%elsewhere.example@{domain}", "@mail.a.example:x@b.example"),
        *(f"x@foreign.{domain}", f'"x@elsewhere.example"@{domain}', f"nobody@{domain}"),
    ]
    for sender in ("a@fjordpost.example", f"kari@{domain}", ""):
        said = outside(lab, HAND_IN, strangers, sender, f"mail.{domain}", "")
        assert said[0] == "250"
        assert all(code[0] in "45" for code in said[1:]), dict(
            zip(strangers, said[1:], strict=True)
        )


def test_every_message_of_the_past_is_there(lab: Lab) -> None:
    largest = PEOPLE[-1]
    assert in_mailbox(lab, largest, ["ALL"]) == lab.fleet.lab_mail.messages
    assert in_mailbox(lab, person("kari"), ["LARGER", str(50 * 1024 * 1024)]) == 1
    assert in_mailbox(lab, person("ingrid"), ["ALL"], folder='"M&APg-ter &- referater"') > 0


def test_the_acme_authority_answers_to_a_name_that_is_believed(lab: Lab) -> None:
    status, _, directory = get(lab, f"https://{machine_name(lab.fleet, CA).rstrip('.')}/dir")
    assert status == 200
    assert {"newNonce", "newAccount", "newOrder"} <= set(json.loads(directory))

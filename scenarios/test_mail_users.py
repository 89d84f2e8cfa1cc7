"""Those who write and read mail see nothing when nothing happens, and whatever is broken.

They are tried on the old server, with some of it broken on purpose behind everybody's back.

Budgets: 0 messages lost, doubled or sent back, 0 refused log-ins, 0 relayed, 5 s without a mailbox,
as for the step; what exceeds them must be told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab.lab import Lab
from lab.verdict import Budget, Outcome, Verdict
from lab.watch import Watch
from lab.watch_mail import MailBudget
from lab.world.legacy.image.seed.people import person

MAIL = MailBudget(at_least=15, settle=20.0)
SPAN = 20.0
AWAY = 8.0
OLD = "bergen"

# A message that its owner has dealt with, answered and with a keyword; and one that came.
DEALT_WITH = "/home/ingrid/Maildir/.M&APg-ter &- referater/cur"
BREAK = """
    newer() {{ find "$@" -newer {since} -exec grep -l '^Subject: gp-' {{}} + 2>&- | head -n 1; }}
    # A program that reads may rename it in between.
    until one=$(newer {came}/new {came}/cur) && rm "$one" 2>&-; do sleep 0.3; done
    until one=$(newer '{dealt_with}' -name '*:2,RS*') && mv "$one" "${{one%:2,*}}:2," 2>&-; do
        sleep 0.3
    done
"""
SINCE = "/run/broken-since"


@pytest.fixture(scope="module", autouse=True)
def _bare(lab_at: Callable[[str], Lab]) -> None:
    lab_at("bare")


def watched(lab: Lab, title: str) -> Watch:
    """Let everybody play."""
    return Watch(lab=lab, title=title, budget=Budget(), mail=MAIL)


def told(watch: Watch) -> dict[str, Verdict]:
    """Return the verdicts by what they are about."""
    return {each.subject.partition(": ")[2] or "look-ups": each for each in watch.verdicts}


def said(watch: Watch) -> list[str]:
    """Return the verdicts as people read them."""
    return [str(each) for each in watch.verdicts]


def failing(watch: Watch) -> set[str]:
    """Return what is not as it should be."""
    return {name for name, each in told(watch).items() if each.outcome is not Outcome.OK}


@contextmanager
def changed(lab: Lab, setting: str, value: str) -> Iterator[None]:
    """Let the old mail server have another setting."""
    before = lab.ssh.run(OLD, ["postconf", "-h", setting]).stdout.strip()
    reload = "postfix reload"
    lab.ssh.run(OLD, f"postconf -e '{setting}={value}' && {reload}")
    try:
        yield
    finally:
        lab.ssh.run(OLD, f"postconf -e '{setting}={before}' && {reload}")


@pytest.mark.slow
def test_when_nothing_happens_everybody_is_content(lab: Lab) -> None:
    with watched(lab, "Nothing happens to mail") as watch:
        time.sleep(SPAN)
        watch.hold_enough()
    assert failing(watch) == set(), said(watch)


@pytest.mark.slow
def test_mailboxes_that_are_away_are_missed_and_nothing_is_lost(lab: Lab) -> None:
    with watched(lab, "Mailboxes are away") as watch:
        time.sleep(AWAY)
        lab.ssh.run(OLD, ["systemctl", "stop", "dovecot.socket", "dovecot.service"], check=False)
        time.sleep(AWAY)
        # Postfix would hesitate for a minute, and try again after five, by itself.
        lab.ssh.run(OLD, ["systemctl", "start", "dovecot.service"])
        lab.ssh.run(OLD, ["systemctl", "restart", "postfix@-.service"])
        time.sleep(AWAY)
        watch.hold_enough()
        lab.ssh.run(OLD, ["postqueue", "-f"])
    found = told(watch)
    assert found["imap"].outcome is Outcome.FAIL
    assert AWAY < found["imap"].figures.gap < AWAY + 10
    assert all(each.gap > MAIL.imap.gap for each in found["imap"].targets)
    # Whoever sends cannot log in either.
    assert failing(watch) <= {"imap", "logins", "submission", "mail"}, said(watch)
    # A server that goes between writing a message and saying so is given it again (RFC 1047).
    twice = "there more than once"
    assert [each for each in found["mail"].reasons if twice not in each] == [], said(watch)


def test_what_is_broken_behind_everybodys_back_is_told(lab: Lab) -> None:
    script = BREAK.format(
        came=f"{person('kunde').maildir(lab.fleet.domain)}", dealt_with=DEALT_WITH, since=SINCE
    )
    lab.ssh.run(OLD, ["touch", SINCE])
    with watched(lab, "Mail is broken on purpose") as watch:
        with (
            changed(lab, "mynetworks", "0.0.0.0/0 [::]/0"),
            changed(lab, "virtual_alias_maps", "inline:{nobody@nowhere.example=nobody}"),
        ):
            time.sleep(2 * AWAY)
        lab.ssh.run(OLD, script, timeout=60)
        watch.hold_enough()
    found = told(watch)
    assert failing(watch) == {"mail", "relay", "flags and folders"}, said(watch)
    assert all(each.failed for each in found["relay"].targets)
    reasons = " ".join(found["mail"].reasons)
    for what in ("1 lost", "refused for good", "sent back"):
        assert f"{what}: gp-" in reasons
    assert found["flags and folders"].reasons[0].startswith("1 with other flags: gp-")

"""Oslo loses power while it takes mail, as a virtual machine: what "250 OK" was worth.

A container that is killed keeps what its kernel had cached. A virtual machine's kernel dies with
it, so only what was written to the disk is there afterwards.

Budgets: every message that was accepted is on Oslo's own disk after the next boot, in a mailbox or
in a queue, while Bergen cannot be asked; nothing on it is corrupt, no unit has failed.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Callable, Iterator

import pytest

from lab.faults import Faults
from lab.lab import Lab
from lab.milestones import Milestones
from lab.parallel import meanwhile
from lab.world.names import foreign_domain

pytestmark = pytest.mark.slow

CUTS = 10
A_SECOND = 20
# Until the first message is accepted, and until the power is cut after that.
WARM_SECONDS, LONGEST_SECONDS = 5.0, 15.0
# Six sessions hand over messages at the rate asked for, and print the mark of each one accepted.
# Whoever gets no answer is not told that it was accepted, and does not count.
SENDERS = r"""
import smtplib, sys, threading, time
address, sender, rate, seconds, prefix, *people = sys.argv[1:]
start, end = time.monotonic(), time.monotonic() + float(seconds)
turn, lock, said = iter(range(10**9)), threading.Lock(), threading.Lock()
def work():
    smtp = None
    while True:
        with lock:
            number = next(turn)
        due = start + number / float(rate)
        if due > end:
            return
        time.sleep(max(0, due - time.monotonic()))
        mark, to = f"{prefix}-{number:05d}.", people[number % len(people)]
        text = f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {mark}\r\n" \
               f"Message-ID: <{mark}@power.example>\r\n\r\n" + "A line of text.\r\n" * 60
        try:
            if smtp is None:
                smtp = smtplib.SMTP(address, 25, timeout=10)
            smtp.sendmail(sender, [to], text)
        except (OSError, smtplib.SMTPException) as error:
            with said:
                print("no", type(error).__name__, str(error)[:100], file=sys.stderr, flush=True)
            smtp = None
            if time.monotonic() > end:
                return
            time.sleep(0.5)
        else:
            with said:
                print(mark, flush=True)
threads = [threading.Thread(target=work) for _ in range(6)]
[each.start() for each in threads]
[each.join() for each in threads]
"""
# Mailboxes, Postfix' queue, and what the journal of the mail holds of Oslo's own.
ON_DISK = "grep -rahoE '{prefix}-[0-9]{{5}}[.]' /srv/vmail /var/spool/postfix 2>/dev/null | sort -u"
CORRUPT = "journalctl --boot --no-pager | grep -iE 'corrupt|broken index|EXT4-fs error' || true"


@pytest.fixture(scope="module")
def pair(lab: Lab, lab_at: Callable[[str], Lab]) -> Iterator[Lab]:
    """Return the lab with mail served by both, in which Oslo is a virtual machine.

    It starts from the container's milestone, so no step is made in an emulated machine.
    """
    lab_at("mail_ha")
    lab.down()
    lab.choose("oslo=vagrant")
    Milestones(lab=lab).restore("mail_ha")
    yield lab
    lab.down()
    lab.choose("docker")


@pytest.mark.parametrize("number", range(CUTS))
def test_what_was_accepted_is_on_the_disk_after_a_power_cut(pair: Lab, number: int) -> None:
    prefix = f"cut{number}-{secrets.token_hex(4)}"
    wait = random.uniform(WARM_SECONDS, LONGEST_SECONDS)  # noqa: S311 - no secret
    people = pair.ssh.run("oslo", ["doveadm", "user", "*"]).stdout.split()
    sender = f"astrid@{foreign_domain(pair.fleet).rstrip('.')}"
    sending = [
        *("python3", "-c", SENDERS, str(pair.site.address("oslo").v4), sender),
        *(str(A_SECOND), str(wait + 5), prefix, *people),
    ]

    def send() -> list[str]:
        said = pair.ssh.run("outside", sending, timeout=120, check=False)
        return re.findall(rf"{prefix}-\d{{5}}\.", said.stdout)

    faults = Faults(lab=pair)
    with meanwhile(send) as sent, faults.partition("oslo", "bergen"):
        until = f"until grep -rqa {prefix} /srv/vmail; do sleep 0.5; done; sleep {wait:.1f}"
        pair.ssh.run("oslo", until, timeout=120, check=False)
        with faults.power_loss("oslo"):
            accepted = sent.result()
        found = pair.engine.run("oslo", ["sh", "-c", ON_DISK.format(prefix=prefix)], timeout=60)
        assert len(accepted) >= A_SECOND
        assert sorted(set(accepted) - set(found.output.split())) == []
        assert pair.engine.run("oslo", ["sh", "-c", CORRUPT], timeout=60).output == ""

"""Mail when a server dies, as the README promises it: each cell states what it may cost.

What was accepted is never lost, and nobody is told that it is: 0 lost, 0 sent back, copies at most
one in a thousand. It is shown to whoever reads it within 30 s of its acceptance. Whoever reads is
without service for no longer than the name's time to live (10 s) and 5 s. Of what people change in
their mailboxes, flags and folders, the last second before a death may be lost, and up to three
things that were thrown away may come back. In the end both servers hold the same: folders, numbers,
messages, flags.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest
from letting_in import both_opened, opened

from lab.drain import Drain
from lab.faults import Faults
from lab.lab import Lab
from lab.mail_takeover import Takeover
from lab.operate import in_lab
from lab.operator.enrolment import Enrolment
from lab.pair.strikes import PAIR
from lab.steps.certificates import obtain_certificates
from lab.verdict import Budget, Outcome
from lab.watch import Watch
from lab.watch_mail import RACED, MailBudget

TTL = 10.0
WITHOUT = Budget(failed=1_000, gap=TTL + 5.0, at_least=200)
# Whoever sends does so every 3 s, and tries again after half a second.
UNSENT = Budget(failed=1_000, gap=TTL + 5.0 + 3.5)
# What was changed and shown in the last second may have died with it, numbers with the messages;
# who wants something done to an old number is told.
ALONE = MailBudget(at_least=60, imap=WITHOUT, submission=UNSENT, late=30.0, unsynced=1.0, refused=2)
DEAD = replace(ALONE, revived=RACED, alike=15.0)
# The other one serves: whoever is there has to come over once.
DRAINED = MailBudget(
    at_least=60,
    imap=Budget(failed=12, gap=2.0, at_least=200),
    submission=Budget(failed=0, gap=15.0),
    alike=15.0,
)
# Both sides were written to: of what went different ways both stay, under new numbers, without the
# flags that somebody sets in the very moment in which they get them.
SPLIT = MailBudget(at_least=60, refused=5, revived=RACED, overtaken=3, alike=15.0)
# Names are the matter of test_failover_dns: who asks a dead server may have to ask another.
NAMES = Budget(failed=1_000, at_least=1_000)
AWAY_SECONDS = 40.0
SPLIT_SECONDS = 20.0
MAIL = ["dovecot.service", "postfix.service"]


@pytest.fixture
def pair(lab_at: Callable[[str], Lab]) -> Lab:
    """Return the lab with mail served by both, which were started together and are alike."""
    lab = lab_at("mail_ha")
    both_opened(lab)
    for host in PAIR:
        lab.ssh.run(host, ["replicator", "wait", "--timeout", "60"], timeout=70)
    return lab


def watching(lab: Lab, title: str, mail: MailBudget, *, both_sides: bool = False) -> Watch:
    """Return users of the mail."""
    return Watch(lab=lab, title=title, budget=NAMES, mail=mail, both_sides=both_sides)


def well(watch: Watch) -> bool:
    """Whether everything was within its budget."""
    return {each.outcome for each in watch.verdicts} == {Outcome.OK}


@contextmanager
def away(lab: Lab, fault: AbstractContextManager[None], host: str) -> Iterator[None]:
    """Let a host be away for a while, and come back."""
    with fault:
        time.sleep(AWAY_SECONDS)  # the outage itself
        yield
    opened(lab, host)


def test_oslo_loses_power_and_comes_back(pair: Lab) -> None:
    with watching(pair, "Oslo loses power, mail", DEAD) as watch:
        watch.hold(mail=15)
        with away(pair, Faults(lab=pair, marks=watch.marks).power_loss("oslo"), "oslo"):
            pass
        watch.hold_enough()
    assert well(watch), watch.verdicts


@pytest.mark.slow
def test_the_disk_of_oslo_is_destroyed_and_nothing_is_lost(pair: Lab) -> None:
    with watching(pair, "Oslo's disk is destroyed, mail", replace(ALONE, doubled=10)) as watch:
        watch.hold(mail=30)
        with watch.marks.span("fault", "disk destroyed oslo"):
            pair.engine.kill(["oslo"])
            pair.engine.remove(["oslo"])
        # What it had accepted for people elsewhere is sent by Bergen when somebody says so.
        Takeover(operator=in_lab(pair), host=pair.fleet.production).apply()
        watch.hold_enough()
        time.sleep(AWAY_SECONDS - 10)
    assert well(watch), watch.verdicts


@pytest.mark.slow
def test_people_write_on_both_sides_of_a_cut_and_find_everything_afterwards(pair: Lab) -> None:
    with watching(pair, "Oslo and Bergen are cut off, mail", SPLIT, both_sides=True) as watch:
        watch.hold(mail=15)
        with Faults(lab=pair, marks=watch.marks).partition("oslo", "bergen"):
            time.sleep(SPLIT_SECONDS)  # the cut itself
            watch.hold_enough()
    assert well(watch), watch.verdicts


@pytest.mark.slow
def test_bergen_loses_power_and_comes_back(pair: Lab) -> None:
    with watching(pair, "Bergen loses power, mail", DEAD) as watch:
        watch.hold(mail=15)
        with away(pair, Faults(lab=pair, marks=watch.marks).power_loss("bergen"), "bergen"):
            pass
        watch.hold_enough()
    assert well(watch), watch.verdicts


@pytest.mark.slow
def test_oslo_is_cut_off_from_everybody(pair: Lab) -> None:
    with watching(pair, "Oslo is cut off, mail", DEAD) as watch:
        watch.hold(mail=15)
        with Faults(lab=pair, marks=watch.marks).silent_cut("oslo"):
            time.sleep(AWAY_SECONDS)  # the outage itself
        watch.hold_enough()
    assert well(watch), watch.verdicts


@pytest.mark.slow
def test_planned_work_on_oslo_costs_nothing(pair: Lab) -> None:
    operator = in_lab(pair)
    drain = Drain(operator=operator, host=pair.fleet.production)
    with watching(pair, "Planned work on Oslo, mail", DRAINED) as watch:
        watch.hold(mail=15)
        drain.drain()
        pair.ssh.run("oslo", ["systemctl", "stop", *MAIL])
        watch.hold_enough()
        pair.ssh.run("oslo", ["systemctl", "start", *MAIL])
        drain.undrain()
    assert well(watch), watch.verdicts


@pytest.mark.slow
def test_bergen_is_rebuilt_from_bare_and_gets_everything_from_oslo(pair: Lab) -> None:
    operator = in_lab(pair)
    with watching(pair, "Bergen is rebuilt, mail", DEAD) as watch:
        watch.hold(mail=15)
        with watch.marks.span("fault", "disk destroyed bergen"):
            pair.reinstall("bergen")
            enrolment = Enrolment(ssh=operator.ssh, site=operator.site, puppet=operator.puppet)
            enrolment.enrol("bergen", key=operator.secrets.enrolment_key)
        obtain_certificates(operator, "bergen")
        opened(pair, "bergen")
        watch.hold_enough()
    assert well(watch), watch.verdicts


@pytest.mark.slow
def test_a_host_that_comes_back_to_a_dead_peer_opens_by_itself(pair: Lab) -> None:
    faults = Faults(lab=pair)
    with faults.power_loss("bergen"):
        with faults.power_loss("oslo"):
            pass
        assert not pair.ssh.run("oslo", ["mail-pair", "status"], check=False).ok
        opened(pair, "oslo")
    opened(pair, "bergen")

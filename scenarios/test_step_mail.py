"""Step `mail`: every mailbox moves from Bergen's hand-made server to Oslo, while people use it.

Budgets: every message that anybody accepted is in the right mailbox once; people who read are
without service for 5 s at most; nothing bounces; nobody relays for strangers; no look-up fails.
The same back, from wherever it stands, with what arrived on Oslo; and whatever breaks meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from moments import At, AtTask, PulledPlug, pull_the_plug
from test_step_web import CERTIFICATE, expired

from lab.faults import Faults
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator
from lab.operator.old_mail import SERVING, OldMail
from lab.rehearsal import Rehearsed, perform
from lab.steps import StepCheckError, StepError, step_class
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.mail_cutover import Point, Take
from lab.steps.mail_move import Move
from lab.verdict import Budget, Outcome
from lab.watch import Watch
from lab.watch_mail import MailBudget

CUTOVER = Budget(failed=0, gap=2.0, at_least=5_000)
NOBODY_NOTICES = Budget(failed=0, at_least=1_000)
MAIL = MailBudget(at_least=60)
# While a host is away nobody is told anything new: that is its own outage, and not the step's.
ITS_OWN_ABSENCE = Budget(failed=1_000_000)

PLANT = f"""
    cp -a /etc/dovecot/users /etc/dovecot/users.true
    echo 'KARI@nordlys.example:{{SHA512-CRYPT}}x::::' >>/etc/dovecot/users
    sed -i 's/^aase@nordlys.example:[^:]*:/aase@nordlys.example::/' /etc/dovecot/users
    cp -a /etc/aliases /etc/aliases.true
    echo 'bilder: "|/home/odd/bin/bilder"' >>/etc/aliases; newaliases
    cd /var/vmail/nordlys.example/post/Maildir
    touch cur/1.unreadable:2,S; chmod 000 cur/1.unreadable:2,S
    cd .Sent; cp -a dovecot-uidlist dovecot-uidlist.true; echo '12 :again' >>dovecot-uidlist
    for end in pem key; do cp -a {CERTIFICATE}.$end {CERTIFICATE}.$end.true; done
    awk '/BEGIN .*KEY/ {{ key = 1 }} {{ print >(key ? "{CERTIFICATE}.key" : "{CERTIFICATE}.pem") }}'
"""
CLEAR = f"""
    mv /etc/dovecot/users.true /etc/dovecot/users
    mv /etc/aliases.true /etc/aliases; newaliases
    cd /var/vmail/nordlys.example/post/Maildir
    rm -f cur/1.unreadable:2,S; mv .Sent/dovecot-uidlist.true .Sent/dovecot-uidlist
    for end in pem key; do mv {CERTIFICATE}.$end.true {CERTIFICATE}.$end; done
"""


def move_of(operator: Operator) -> Move:
    """Return the move of the mail that the step makes."""
    fleet = operator.fleet
    return Move(op=operator, old=fleet.legacy, new=fleet.host("oslo"))


def watch_of(lab: Lab, title: str, *, budget: Budget = NOBODY_NOTICES) -> Watch:
    """Return users of the mail, and people who look names up."""
    return Watch(lab=lab, title=title, budget=budget, mail=MAIL)


def interrupted(lab: Lab, *, title: str, waiting: bool) -> None:
    """Make the step up to a phase, and be interrupted there."""
    operator = replace(in_lab(lab), report=At(title=title, action=pull_the_plug, waiting=waiting))
    with pytest.raises(PulledPlug):
        perform(step_class("mail")(operator=operator))


def as_before(lab: Lab) -> bool:
    """Whether the names lead to Bergen, which serves by itself, and Oslo takes no mail."""
    operator = in_lab(lab)
    oslo, bergen = (str(lab.site.address(host).v4) for host in ("oslo", "bergen"))
    answer = operator.dns.query(oslo, f"mail.{lab.fleet.domain}", "A").answer
    listening = lab.ssh.run("oslo", ["ss", "-Htln", "sport = :993"]).stdout
    state = OldMail(ssh=lab.ssh, host="bergen").state()
    return (
        [str(record) for rrset in answer for record in rrset if rrset.rdtype == 1] == [bergen]
        and (state.mode, state.present, state.dovecot) == (SERVING, False, True)
        and not listening.strip()
    )


@contextmanager
def planted(lab: Lab, operator: Operator) -> Iterator[None]:
    """Let much be wrong with the old server, and with a zone."""
    control = operator.puppet.control
    zones = lab.ssh.read(control, CONTENT_FILE)
    without = [line for line in zones.splitlines() if "name: kunder, " not in line]
    lab.ssh.run("bergen", PLANT, stdin=expired(lab))
    lab.ssh.write(control, CONTENT_FILE, "\n".join(without) + "\n")
    try:
        yield
    finally:
        lab.ssh.write(control, CONTENT_FILE, zones)
        lab.ssh.run("bergen", CLEAR)


def test_what_is_wrong_already_is_told_before_anything_is_touched(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("web")
    operator = in_lab(lab)
    stage = operator.stage.read()
    with planted(lab, operator), pytest.raises(StepCheckError) as told:
        step_class("mail")(operator=operator).check()
    for wrong in (
        "kari@nordlys.example exists 2 times",
        "aase@nordlys.example has no password",
        "mail for bilder@bergen.nordlys.example goes to",
        "post@nordlys.example: not readable: ./cur/1.unreadable:2,S",
        "post@nordlys.example: not a list of numbers: ./.Sent/dovecot-uidlist",
        "the certificate of the mail server on bergen expired on",
        "kunder.nordlys.example has no MX record",
    ):
        assert wrong in str(told.value)
    assert operator.stage.read() == stage
    assert not OldMail(ssh=lab.ssh, host="bergen").state().present


@pytest.fixture(scope="module")
def made(make_step: Callable[[str, Budget], Rehearsed]) -> Rehearsed:
    """Make the step once for the scenarios that look at its result."""
    return make_step("mail", CUTOVER)


def test_no_message_is_lost_and_hardly_anybody_waits_while_the_mail_moves(made: Rehearsed) -> None:
    assert {each.outcome for each in made.verdicts} == {Outcome.OK}, made.verdicts


@pytest.mark.usefixtures("made")
def test_made_again_it_changes_nothing(operator: Operator) -> None:
    before = operator.stage.read()
    perform(step_class("mail")(operator=operator))
    assert operator.stage.read() == before
    assert operator.puppet.agent("oslo").changed == 0


def test_resumed_and_then_undone_half_way_nothing_is_lost(lab_at: Callable[[str], Lab]) -> None:
    lab = lab_at("web")
    with watch_of(lab, "The mail goes back half-way") as watch:
        interrupted(lab, title=Take.title, waiting=False)
        interrupted(lab, title=Point.title, waiting=True)
        step_class("mail")(operator=in_lab(lab)).rollback()
        watch.hold_enough()
    assert {each.outcome for each in watch.verdicts} == {Outcome.OK}, watch.verdicts
    assert as_before(lab)


def test_oslo_loses_power_in_the_middle_of_the_move_and_nobody_notices(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("web")
    with watch_of(lab, "Oslo loses power while mail moves", budget=ITS_OWN_ABSENCE) as watch:
        faults = Faults(lab=lab, marks=watch.marks)
        with ExitStack() as dark:
            report = AtTask(
                title="Copy 9 mailboxes",
                action=lambda: dark.enter_context(faults.power_loss("oslo")),
            )
            with pytest.raises(StepError) as told:
                perform(step_class("mail")(operator=replace(in_lab(lab), report=report)))
        assert "oslo" in str(told.value)
        perform(step_class("mail")(operator=in_lab(lab)))
        watch.hold_enough()
    assert {each.outcome for each in watch.verdicts} == {Outcome.OK}, watch.verdicts

"""Step `mail`: every mailbox moves from Bergen's hand-made server to Oslo, while people use it.

Budgets: every message that anybody accepted is in the right mailbox once; people who read are
without service for 5 s at most; nothing bounces; nobody relays for strangers; no look-up fails.
The same back, from wherever it stands, with what arrived on Oslo; and whatever breaks meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from forgetting import forgotten
from moments import At, AtTask, PulledPlug, pull_the_plug
from test_legacy import SUBMIT, outside
from test_step_web import CERTIFICATE, expired

from lab.errors import CouldNotError
from lab.faults import Faults
from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator
from lab.operator.mailboxes import STORE
from lab.operator.old_mail import SERVING, OldMail
from lab.real_clients import RealClient
from lab.rehearsal import Rehearsed, perform
from lab.steps import StepCheckError, step_class
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.mail_cutover import Point
from lab.steps.mail_take import Take
from lab.verdict import Budget, Outcome
from lab.watch import Watch
from lab.watch_mail import MailBudget
from lab.world.legacy.image.seed.people import person
from lab.world.machines import FOREIGN_MAIL, MAILER
from lab.world.names import foreign_domain

CUTOVER = Budget(failed=0, gap=2.0, at_least=5_000)
NOBODY_NOTICES = Budget(failed=0, at_least=1_000)
MAIL = MailBudget(at_least=60)
# A folder cannot wait for room: whoever wants one is told so.
NO_ROOM = MailBudget(at_least=60, refused=20)
STOP_MAIL = ["systemctl", "stop", "postfix", "dovecot"]
DEFERRED = "until [ $(postqueue -j | wc -l) -ge 3 ]; do sleep 0.3; done"
# While a host is away nobody is told anything new: that is its own outage of half a minute at most.
ITS_OWN_ABSENCE = Budget(failed=3_000)
# Nor do programs find Bergen meanwhile: the only name server is on Oslo at this stage.
NAMELESS = MailBudget(at_least=60, imap=ITS_OWN_ABSENCE, submission=ITS_OWN_ABSENCE)

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


def watch_of(
    lab: Lab, title: str, *, budget: Budget = NOBODY_NOTICES, mail: MailBudget = MAIL
) -> Watch:
    """Return users of the mail, and people who look names up."""
    return Watch(lab=lab, title=title, budget=budget, mail=mail)


def interrupted(lab: Lab, *, title: str, waiting: bool) -> None:
    """Make the step up to a phase, and be interrupted there."""
    operator = replace(in_lab(lab), report=At(title=title, action=pull_the_plug, waiting=waiting))
    with pytest.raises(PulledPlug):
        perform(step_class("mail")(operator=operator))


@contextmanager
def small_store(lab: Lab) -> Iterator[None]:
    """Let Oslo's mailboxes be on a volume that can be filled; what comes meanwhile goes with it."""
    with ExitStack() as lasting:
        lasting.callback(lab.ssh.run, "oslo", ["systemctl", "start", "dovecot", "postfix"])
        lab.ssh.run("oslo", STOP_MAIL)
        lasting.enter_context(Faults(lab=lab).small_volume("oslo", STORE, megabytes=1500))
        lasting.callback(lab.ssh.run, "oslo", STOP_MAIL)
        lab.ssh.run("oslo", ["systemctl", "start", "dovecot", "postfix"])
        yield


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
def made(lab_at: Callable[[str], Lab], make_step: Callable[[str, Budget], Rehearsed]) -> Rehearsed:
    """Make the step once for the scenarios that look at its result."""
    lab = lab_at("web")
    RealClient.forget(lab)  # of a lab that was here before
    kari = RealClient(lab=lab, name="kari")
    kari.pull()
    kari.keep_first()
    return make_step("mail", CUTOVER)


def test_no_message_is_lost_and_hardly_anybody_waits_while_the_mail_moves(made: Rehearsed) -> None:
    assert {each.outcome for each in made.verdicts} == {Outcome.OK}, made.verdicts


@pytest.mark.usefixtures("made")
def test_made_again_it_changes_nothing(operator: Operator) -> None:
    before = operator.stage.read()
    perform(step_class("mail")(operator=operator))
    assert operator.stage.read() == before
    assert operator.puppet.agent("oslo").changed == 0


@pytest.mark.usefixtures("made")
def test_programs_download_nothing_again(lab: Lab) -> None:
    kari = RealClient(lab=lab, name="kari")
    had = kari.pulled()
    said = kari.pull()
    assert had <= kari.pulled(), said
    assert kari.repeated(had) == [], said
    for server in ("bergen", "oslo"):
        assert kari.first(server) == kari.kept_first(), server


@pytest.mark.usefixtures("made")
def test_what_people_send_is_signed_so_that_strangers_can_tell(lab: Lab) -> None:
    kari, word, domain = person("kari"), uuid4().hex, lab.fleet.domain
    trust = f"{RealClient.HOME}/authorities.pem"
    to = f"turid@{foreign_domain(lab.fleet).rstrip('.')}"
    content = f"From: {kari.address(domain)}\r\nTo: {to}\r\nSubject: {word}\r\n\r\nHei.\r\n"
    arguments = [f"smtp.{domain}", trust, kari.login(domain), kari.password]
    outside(lab, SUBMIT, *arguments, kari.address(domain), to, content)
    find = f"until grep -rls 'Subject: {word}' {FOREIGN_MAIL}/new; do sleep 0.1; done"
    found = lab.engine.run(MAILER, ["timeout", "20", "sh", "-c", find]).output.split()[0]
    message = lab.engine.run(MAILER, ["cat", found]).output
    verify = "import sys, dkim; print(dkim.verify(sys.stdin.buffer.read()))"
    said = lab.ssh.run("outside", ["python3", "-c", verify], stdin=message.replace("\n", "\r\n"))
    assert said.stdout.strip() == "True"
    assert f"d={domain};" in message.replace("\n", " ")


@pytest.mark.usefixtures("made")
def test_a_full_disk_keeps_mail_waiting_and_loses_none(lab: Lab) -> None:
    with small_store(lab), watch_of(lab, "The disk of Oslo is full", mail=NO_ROOM) as watch:
        with Faults(lab=lab, marks=watch.marks).full_volume("oslo", STORE):
            lab.ssh.run("oslo", ["timeout", "60", "sh", "-c", DEFERRED])
        lab.ssh.run("oslo", ["postqueue", "-f"])
        watch.hold_enough()
    assert all_well(watch), watch.verdicts


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_undone_it_brings_back_what_has_arrived_since(lab: Lab) -> None:
    with watch_of(lab, "The mail goes back") as watch:
        step_class("mail")(operator=in_lab(lab)).rollback()
        watch.hold_enough()
    assert all_well(watch), watch.verdicts
    assert as_before(lab)


@pytest.mark.slow
def test_resumed_and_then_undone_half_way_nothing_is_lost(lab_at: Callable[[str], Lab]) -> None:
    lab = lab_at("web")
    with watch_of(lab, "The mail goes back half-way") as watch:
        interrupted(lab, title=Take.title, waiting=False)
        interrupted(lab, title=Point.title, waiting=True)
        step_class("mail")(operator=in_lab(lab)).rollback()
        watch.hold_enough()
    assert all_well(watch), watch.verdicts
    assert as_before(lab)


@pytest.mark.slow
def test_oslo_loses_power_in_the_middle_of_the_move_and_nobody_notices(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("web")
    title = "Oslo loses power while mail moves"
    with Watch(lab=lab, title=title, budget=ITS_OWN_ABSENCE, mail=NAMELESS) as watch:
        faults = Faults(lab=lab, marks=watch.marks)
        hindered(lab, at="Copy 9 mailboxes", fault=faults.power_loss("oslo"))
        forgotten(lab)
        perform(step_class("mail")(operator=in_lab(lab)))
        watch.hold_enough()
    assert all_well(watch), watch.verdicts


@pytest.mark.slow
def test_cut_off_from_bergen_at_the_last_moment_oslo_gets_nothing_and_bergen_serves_on(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("web")
    with watch_of(lab, "Oslo and Bergen are cut off while the last mail moves") as watch:
        faults = Faults(lab=lab, marks=watch.marks)
        told = hindered(lab, at="Move the last of it", fault=faults.partition("oslo", "bergen"))
        assert "bergen serves as before, nothing is lost" in told
        assert OldMail(ssh=lab.ssh, host="bergen").state().mode == SERVING
        perform(step_class("mail")(operator=in_lab(lab)))
        watch.hold_enough()
    assert all_well(watch), watch.verdicts


@pytest.mark.slow
def test_a_disk_that_fills_while_mail_is_copied_stops_the_step_and_loses_nothing(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("web")
    # Outermost: what was written to that volume goes with it.
    with (
        Faults(lab=lab).small_volume("oslo", STORE, megabytes=1500),
        watch_of(lab, "The disk of Oslo fills while mail is copied") as watch,
    ):
        faults = Faults(lab=lab, marks=watch.marks)
        told = hindered(lab, at="Copy 9 mailboxes", fault=faults.full_volume("oslo", STORE))
        assert "mailboxes were not carried" in told
        perform(step_class("mail")(operator=in_lab(lab)))
        watch.hold_enough()
    assert all_well(watch), watch.verdicts


def hindered(lab: Lab, *, at: str, fault: AbstractContextManager[None]) -> str:
    """Make the step with a fault from the task *at* on, and return what it says."""
    with ExitStack() as lasting:
        report = AtTask(title=at, action=lambda: lasting.enter_context(fault))
        with pytest.raises(CouldNotError) as told:
            perform(step_class("mail")(operator=replace(in_lab(lab), report=report)))
    return str(told.value)


def all_well(watch: Watch) -> bool:
    """Whether users saw no more than they were meant to."""
    return {each.outcome for each in watch.verdicts} == {Outcome.OK}

"""Step `mail_ha`: Bergen becomes the second mail server, beside Oslo, while people use the mail.

Budgets: no message is lost, doubled or sent back; readers are without service for 5 s at most,
while Oslo's Dovecot begins anew; both servers hold the same 15 s after the last change; no look-up
fails.
The same on the way back, with what Bergen has taken.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import pytest
from letting_in import both_opened

from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator
from lab.pair.strikes import PAIR
from lab.rehearsal import Rehearsed, perform
from lab.steps import step_class
from lab.steps.mail_seen import Look
from lab.verdict import Budget, Outcome
from lab.watch import Watch
from lab.watch_mail import MailBudget

JOINING = Budget(failed=0, gap=2.0, at_least=5_000)
NOBODY_NOTICES = Budget(failed=0, at_least=1_000)
# In whatever folder: a stranger who leaves out half of the head is put aside as spam.
HERE = "doveadm search -u kari@nordlys.example mailbox '*' subject {word} | grep -q ."


@pytest.fixture(scope="module")
def made(make_step: Callable[[str, Budget], Rehearsed]) -> Rehearsed:
    """Make the step once for the scenarios that look at its result."""
    return make_step("mail_ha", JOINING)


def test_nothing_is_lost_while_bergen_joins_and_both_hold_the_same(made: Rehearsed) -> None:
    assert {each.outcome for each in made.verdicts} == {Outcome.OK}, made.verdicts


@pytest.mark.slow  # the step itself ends with a second run of Puppet; here all of it is made again
@pytest.mark.usefixtures("made")
def test_made_again_it_changes_nothing(operator: Operator) -> None:
    before = operator.stage.read()
    perform(step_class("mail_ha")(operator=operator))
    assert operator.stage.read() == before


@pytest.mark.usefixtures("made")
def test_what_bergen_takes_is_on_oslo_within_a_second_or_two(lab: Lab, operator: Operator) -> None:
    word = uuid4().hex
    look = Look(
        dial=partial(operator.ssh.dial, str(lab.site.address("bergen").v4)),
        trust=operator.acme.believing(),
        name=f"mail2.{lab.fleet.domain}",
        domain=lab.fleet.domain,
        reader=f"kari@{lab.fleet.domain}",
    )
    both_opened(lab)
    with look.relay() as smtp:
        assert isinstance(smtp, smtplib.SMTP)
        smtp.sendmail("a@far.example", [look.reader], f"Subject: {word}\r\n\r\nHei.\r\n")
    until = f"until {HERE.format(word=word)}; do sleep 0.1; done"
    for host in PAIR:
        lab.ssh.run(host, ["timeout", "5", "sh", "-c", until])


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_undone_oslo_has_all_that_bergen_has_taken(lab: Lab) -> None:
    mail = MailBudget(at_least=60)
    with Watch(lab=lab, title="Bergen leaves", budget=NOBODY_NOTICES, mail=mail) as watch:
        step_class("mail_ha")(operator=in_lab(lab)).rollback()
        watch.hold_enough()
    assert {each.outcome for each in watch.verdicts} == {Outcome.OK}, watch.verdicts
    listening = lab.ssh.run("bergen", ["ss", "-Htln", "sport = :993 or sport = :25"]).stdout
    assert not listening.strip()
    answers = in_lab(lab).dns.query(str(lab.site.address("oslo").v4), lab.fleet.domain, "MX").answer
    assert "mail2" not in str(answers)

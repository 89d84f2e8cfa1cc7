"""People of a lab's mailboxes: who they are, and what is in their mailboxes in the end."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lab.history import History
from lab.lab import Lab
from lab.operator import Operator
from lab.operator.ssh import SshError
from lab.operator.zones import RecordSet, Zone
from lab.steps.dns import Dns
from lab.steps.mail_ha_move import Move as Pair
from lab.steps.mail_move import Move
from lab.users.mail_census import Census
from lab.users.mail_ledger import changes_balance, mail_balance
from lab.users.mail_plan import IMAP, LOGIN, RELAY, SUBMISSION, Account, MailUsers
from lab.users.mail_standard import on_both_sides, standard_mail_users
from lab.users.mail_twins import Compared
from lab.users.plan import both
from lab.users.probes import Plan
from lab.users.session import shipped
from lab.verdict import Budget, Figures, Outcome, Verdict, guarded, judge
from lab.world.legacy.image.seed.people import PEOPLE
from lab.world.machines import FOREIGN_MAIL, MAILER, OUTSIDE, RESOLVER
from lab.world.names import foreign_domain, machine_address, machine_name

RACED: Final = 3
"""Where there are two servers: what people throw away just as a full synchronisation reads that
very folder may be there again (docs/decisions.md). Those of the lab throw something away every
few seconds, each of them."""

_MANY: Final = 1_000
_SPARE: Final = 10.0
_MAY_CHANGE: Final = (" lost: ", " there more than once: ")
_ABROAD: Final = """
import json, pathlib, re, sys
found, returned = [], []
for path in pathlib.Path(sys.argv[1]).glob("*/*"):
    text = path.read_text("utf-8", "replace").replace("\\r", "")
    head, _, body = text.partition("\\n\\n")
    to = re.search(r"^Delivered-To: (.*)$", head, re.M)
    mark = re.search(r"^Message-ID: <(gp-[0-9a-f]{16})@", head, re.M | re.I)
    if to and mark:
        found.append([to[1].strip().lower(), mark[1]])
    elif "\\nAction: failed" in body:
        returned += set(re.findall(r"gp-[0-9a-f]{16}", body))
print(json.dumps([found, returned]))
"""


@dataclass(frozen=True, kw_only=True)
class MailBudget:
    """What may become of mail, and of those who read and write it.

    Attributes:
        at_least: messages that must have been accepted, or nothing is known.
        late: seconds from acceptance by the fleet until a reader is shown a message; any when
            None.
        settle: seconds after the end in which what is under way may still arrive.
        imap: for readers. Each try to connect again counts as failed: it is the gap that matters.
        submission: for those who send; each refused try counts as failed.
        logins: for the right password.
        relay: for strangers.
        refused: changes of flags and folders that may be refused: whoever wanted them knows.
        unsynced: seconds before a fault in which what people change may be lost; messages are not.
        doubled: messages that people elsewhere may get twice.
        revived: what people have thrown away, or filed elsewhere, that may be there again: no
            loss, but a nuisance (:data:`RACED`).
        overtaken: messages whose flags may be what they were before two servers that were both
            written to merged what they have (docs/decisions.md).
        alike: seconds after the end within which both servers must hold the same; None where
            there is one server.
    """

    at_least: int = 50
    late: float | None = None
    settle: float = 90.0
    imap: Budget = field(default_factory=lambda: Budget(failed=_MANY, gap=5.0, at_least=200))
    submission: Budget = field(default_factory=lambda: Budget(failed=_MANY, gap=15.0))
    logins: Budget = field(default_factory=Budget)
    relay: Budget = field(default_factory=lambda: Budget(at_least=10))
    refused: int = 0
    unsynced: float = 0.0
    doubled: int = 0
    revived: int = 0
    overtaken: int = 0
    alike: float | None = None


def moving(
    operator: Operator, zones: Sequence[Zone]
) -> dict[tuple[str, str], tuple[RecordSet, ...]]:
    """Return the records that the step changes: absolute name and type -> what they may be."""
    reached = operator.stage.reached()
    if Dns.name not in reached:
        return {}  # they are still the old server's own
    if "wipe" in reached:  # the old server is no more
        known = {zone.origin: zone for zone in zones}
        return Pair.of(operator).changing(known) if "web_ha" in reached else {}
    return Move.of(operator).changing({zone.origin: zone for zone in zones})


def mail_users(lab: Lab, *, both_sides: bool = False) -> MailUsers:
    """Return the people of a lab.

    Args:
        lab: the lab.
        both_sides: whether some write to each of two servers by its address.
    """
    fleet, site = lab.fleet, lab.site
    domain = fleet.domain
    addresses = [site.address(host) for host in (fleet.legacy, fleet.production)]
    users = standard_mail_users(
        resolver=both(machine_address(site, RESOLVER)),
        domain=domain,
        accounts=[
            Account(
                name=one.name,
                login=one.login(domain),
                password=one.password,
                address=one.address(domain),
            )
            for one in PEOPLE
            if not one.locked
        ],
        mailer=machine_name(fleet, MAILER).rstrip("."),
        foreign=foreign_domain(fleet).rstrip("."),
        servers=[str(each) for one in addresses for each in (one.v4, one.v6)],
        twins=[str(one.v4) for one in addresses[::-1]],
    )
    return on_both_sides(users) if both_sides else users


def census(lab: Lab, plan: Plan) -> Census:
    """Read every mailbox, from outside and by its owner, and what came to those elsewhere."""
    found = Census.of(outside(lab, plan, "lab.users.mail_census"))
    abroad = lab.engine.run(MAILER, ["python3", "-c", _ABROAD, FOREIGN_MAIL]).output
    arrived, returned = json.loads(abroad)
    return found + Census(
        abroad=tuple((address, mark) for address, mark in arrived), returned=tuple(returned)
    )


def compare(lab: Lab, plan: Plan) -> Compared:
    """Compare what both servers hold, from outside and by the owners of the mailboxes."""
    return Compared.of(outside(lab, plan, "lab.users.mail_twins"))


def outside(
    lab: Lab, plan: Plan, program: str, *arguments: str, seconds: int = 60
) -> dict[str, Any]:
    """Return what a program of the users says, run once on their machine.

    Args:
        lab: the lab.
        plan: what it reads first of all.
        program: its module.
        arguments: more that it is given.
        seconds: that it may take.

    Raises:
        SshError: it failed, or took longer.
    """
    directory = f"/run/generalprove-census-{secrets.token_hex(4)}"
    lab.ssh.write(OUTSIDE, f"{directory}/users.zip", shipped())
    lab.ssh.write(OUTSIDE, f"{directory}/plan.json", plan.to_json())
    command = [
        *("env", f"PYTHONPATH={directory}/users.zip", "timeout", str(seconds)),
        *("python3", "-m", program, f"{directory}/plan.json", *arguments),
    ]
    try:
        said = lab.ssh.run(OUTSIDE, command, timeout=seconds + _SPARE).stdout
        found: dict[str, Any] = json.loads(said)
    finally:
        lab.ssh.run(OUTSIDE, ["rm", "-rf", directory], check=False)
    return found


def alike(lab: Lab, *, plan: Plan, seconds: float, subject: str) -> Verdict:
    """Judge whether both servers come to hold the same.

    Args:
        lab: the lab.
        plan: whose mailboxes.
        seconds: from now, within which they must.
        subject: what to call it.
    """
    start = time.monotonic()
    while True:
        begun = time.monotonic() - start
        try:
            found, why = compare(lab, plan), ""
        except SshError as error:
            found, why = Compared(), f"cannot be compared: {error}"
        done = bool(found.messages and not found.count)
        if done or begun > seconds:
            break
        time.sleep(0.5)
    told = [f"{found.count:,} not the same on both: {'; '.join(found.different)}"]
    reasons = [] if done else [why] if why else told
    known = bool(found.messages)
    return Verdict(
        subject=subject,
        outcome=Outcome.OK if done else Outcome.FAIL if known else Outcome.UNKNOWN,
        reasons=tuple(reasons),
        notes=(f"the same {begun:.1f} s after the end",) if done else (),
        figures=Figures(total=found.messages, failed=found.count, slowest=begun),
    )


def verdicts(
    lab: Lab, history: Callable[[], History], *, plan: Plan, budget: MailBudget, title: str
) -> Iterator[Verdict]:
    """Judge what became of mail and of its people, once nothing is under way any more.

    Args:
        lab: the lab.
        history: returns what they saw.
        plan: what they did.
        budget: what it may cost.
        title: what happened meanwhile.
    """
    found = Census()

    def mail() -> Verdict:
        nonlocal found
        deadline = time.monotonic() + budget.settle
        while True:
            over = time.monotonic() > deadline
            try:
                found = census(lab, plan)
            except SshError:
                if over:
                    raise
                continue  # a server may still be on its way back
            verdict = mail_balance(
                history(),
                users=plan.mail,
                census=found,
                subject=f"{title}: mail",
                late=budget.late,
                at_least=budget.at_least,
                unsynced=budget.unsynced,
                doubled=budget.doubled,
                revived=budget.revived,
            )
            # A copy that both servers have delivered is taken out once they have met again.
            said = " ".join(verdict.reasons)
            if over or not any(each in said for each in _MAY_CHANGE):
                return verdict
            time.sleep(1)

    if budget.alike is not None:
        subject, seconds = f"{title}: both servers", budget.alike
        yield guarded(subject, lambda: alike(lab, plan=plan, seconds=seconds, subject=subject))
    yield guarded(f"{title}: mail", mail)
    for kind, allowed, what in (
        (IMAP, budget.imap, "imap"),
        (LOGIN, budget.logins, "logins"),
        (SUBMISSION, budget.submission, "submission"),
        (RELAY, budget.relay, "relay"),
    ):
        subject = f"{title}: {what}"
        yield guarded(subject, lambda: judge(history(), subject=subject, kind=kind, budget=allowed))  # noqa: B023
    subject = f"{title}: flags and folders"
    yield guarded(
        subject,
        lambda: changes_balance(
            history(),
            users=plan.mail,
            census=found,
            subject=subject,
            refused=budget.refused,
            unsynced=budget.unsynced,
            revived=budget.revived,
            overtaken=budget.overtaken,
        ),
    )

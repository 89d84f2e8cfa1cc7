"""How fast mail moves, beside the plain tools on the same mailboxes: part of ``invoke bench``."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import Final, Protocol

from lab.lab import Lab
from lab.operate import in_lab
from lab.operator.mail_accounts import Account
from lab.operator.mailboxes import HOME, STORE
from lab.real_clients import RealClient
from lab.steps.mail_cutover import phases
from lab.steps.mail_move import Move
from lab.steps.mail_take import Copy
from lab.steps.phases import Passage
from lab.world.legacy.image.seed.people import PEOPLE

_WAIT: Final = "bench::wait"
_AT_ONCE: Final = 4


class Told(Protocol):
    """Takes a figure: what it is, its value, its goal (at most, or at least) and its unit."""

    def __call__(
        self,
        what: str,
        value: float,
        *,
        goal: float | None = None,
        unit: str,
        least: bool = False,
    ) -> None:
        """Take it."""


def measure(lab: Lab, *, told: Told) -> None:
    """Measure a first copy of all mailboxes: the step's, doveadm alone, mbsync.

    Args:
        lab: at the milestone before the step; afterwards the new server has been set up.
        told: takes the figures.
    """
    operator = in_lab(lab)
    move = Move.of(operator)
    before = list(takewhile(lambda phase: phase.name != Copy.name, phases(move)))
    Passage(
        phases=before,
        observe=move.observe,
        stage=operator.stage,
        key=_WAIT,
        report=operator.report,
    ).forth()
    accounts = move.directory.accounts

    def emptied() -> None:
        # One that was interrupted may have left copies running.
        script = f"""
            pkill -KILL -u vmail -x doveadm && while pgrep -u vmail -x doveadm; do sleep 0.1; done
            systemctl stop dovecot.service
            rm -rf {STORE}/*
            systemctl start dovecot.service
        """
        operator.ssh.run(move.new.name, f"set +e\n{script}", timeout=300)

    def ours() -> None:
        move.mailboxes.forth(accounts)

    def plain() -> None:
        for each in accounts:
            operator.ssh.run(move.new.name, _plain(each), timeout=600)

    def by_imap() -> None:
        clients = [RealClient(lab=lab, name=each.name) for each in PEOPLE if not each.locked]
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            list(pool.map(RealClient.pull, clients))

    seconds: dict[str, float] = {}
    messages = 0
    for name, carry in (("step mail", ours), ("doveadm backup", plain), ("mbsync", by_imap)):
        emptied()
        RealClient.forget(lab)
        seconds[name] = _seconds(carry)
        # sdbox keeps each message in a file of its own.
        said = operator.ssh.run(move.new.name, f"find {STORE} -name 'u.*' | wc -l").stdout
        messages = messages or int(said)
        told(f"messages moved by {name}", messages / seconds[name], unit="/s")
    fastest = min(seconds["doveadm backup"], seconds["mbsync"])
    told(
        "  time of the step's by the fastest of the others",
        seconds["step mail"] / fastest,
        goal=1.1,
        unit="",
    )


def _plain(account: Account) -> list[str]:
    run = ["setpriv", "--reuid", "vmail", "--regid", "vmail", "--init-groups"]
    return [*run, f"{HOME}/dsync", "forth", account.address, account.login]


def _seconds(action: Callable[[], None]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun

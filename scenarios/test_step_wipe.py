"""Step `wipe`: Bergen is made anew and becomes the standby, when nothing depends on it any more.

Budgets: 0 failed look-ups, pages and entries, no message lost, while it is wiped; whatever still
depends on it is named before anything is touched; somebody who uses it stops the step, somebody
who only scans its ports does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from moments import At, AtTask, PulledPlug, pull_the_plug

from lab.lab import Lab
from lab.operate import in_lab
from lab.operator import Operator, reinstall, zone_data
from lab.operator.callers import PORTS
from lab.operator.reinstall import RELEASE
from lab.operator.zones import Zone, record_set
from lab.parallel import side_by_side
from lab.rehearsal import Rehearsed, perform
from lab.steps import StepCheckError, StepError, step_class
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.wipe_last import Wipe
from lab.steps.wipe_phases import Watched
from lab.verdict import Budget, Outcome

NOBODY_NOTICES = Budget(failed=0, gap=2.0, at_least=5_000)
LATE = "/var/vmail/nordlys.example/kari/Maildir/new/1.late.bergen"
BOOK = "/var/www/foreningen/data/entries.txt"

PLANT = f"""
    postconf -e defer_transports=smtp
    postfix reload
    echo 'nobody will get this' | sendmail -f root astrid@fjordpost.example
    printf 'Subject: late\\n\\nlate\\n' >{LATE}
    cp -a {BOOK} {BOOK}.true
    echo '{{"name": "late"}}' >>{BOOK}
    until [ -n "$(find /var/spool/postfix/deferred -type f)" ]; do sleep 0.2; done
"""
CLEAR = f"""
    postsuper -d ALL
    postconf -X defer_transports
    postfix reload
    rm -f {LATE}
    mv {BOOK}.true {BOOK}
"""


@contextmanager
def planted(lab: Lab, operator: Operator) -> Iterator[None]:
    """Let much depend on Bergen: two records, a message, mail and an entry that came late."""
    control = operator.puppet.control
    text = lab.ssh.read(control, CONTENT_FILE)
    content = zone_data.from_hiera(text)
    zone = content[lab.fleet.domain]
    values = {
        ("gammel", "A"): [str(lab.site.address("bergen").v4)],
        ("lister", "MX"): ["10 mail", "20 bergen"],
    }
    kept = [each for each in zone.records if (each.name, each.type) not in values]
    kept += [
        record_set(zone.origin, name=name, ttl=20, rdtype=rdtype, values=listed)
        for (name, rdtype), listed in values.items()
    ]
    content[zone.origin] = Zone.of(zone.origin, zone.soa, kept)
    lab.ssh.run("bergen", PLANT)
    lab.ssh.write(control, CONTENT_FILE, zone_data.to_hiera(content.values()))
    try:
        yield
    finally:
        lab.ssh.write(control, CONTENT_FILE, text)
        lab.ssh.run("bergen", CLEAR)


def visit(lab: Lab) -> None:
    """Ask Bergen for a page by its address, as a program does in which that is written down."""
    address = str(lab.site.address("bergen").v4)
    page = ["--resolve", f"www.{lab.fleet.domain}:80:{address}", f"http://www.{lab.fleet.domain}/"]
    lab.ssh.run("outside", ["curl", "--silent", "--output", "/dev/null", *page])


def scan(lab: Lab) -> None:
    """Knock at every port of Bergen, and see what speaks HTTP there."""
    address = lab.site.address("bergen")
    knocks = "\n".join(
        f"nc -z -w 2 {one} {port} || true" for one in (address.v4, address.v6) for port in PORTS
    )
    lab.ssh.run("outside", f"{knocks}\ncurl --silent --output /dev/null http://{address.v4}/")


class WhileScanned(At):
    """Lets somebody scan while the step waits, and does something when a phase begins.

    Args:
        lab: the lab.
        title: of the phase.
        action: what happens then.
    """

    def __init__(self, *, lab: Lab, title: str, action: Callable[[], object]) -> None:
        super().__init__(title=title, action=action)
        self.said: list[str] = []
        self._lab = lab

    def say(self, text: str) -> None:
        """Print the line, and remember it."""
        self.said.append(text)
        super().say(text)

    def countdown(self, text: str, seconds: float) -> None:
        """Wait, and be scanned."""
        scan(self._lab)
        super().countdown(text, seconds)


def interrupted(lab: Lab, report: At | AtTask) -> None:
    """Make the step until it is interrupted."""
    with pytest.raises(PulledPlug):
        perform(step_class("wipe")(operator=replace(in_lab(lab), report=report)))


def test_whatever_depends_on_bergen_is_named_before_anything_is_touched(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("mail")
    operator = in_lab(lab)
    stage = operator.stage.read()
    with planted(lab, operator), pytest.raises(StepCheckError) as told:
        step_class("wipe")(operator=operator).check()
    for wrong in (
        f"gammel.nordlys.example. A {lab.site.address('bergen').v4} leads to bergen",
        "lister.nordlys.example. MX 20 bergen.nordlys.example. leads to bergen",
        "1 messages wait in the queue of bergen",
        "1 messages came into /var/vmail/nordlys.example/kari/Maildir on bergen",
        "the data of foreningen was changed on bergen after it had moved: entries.txt",
    ):
        assert wrong in str(told.value)
    assert operator.stage.read() == stage
    assert lab.ssh.run("bergen", "nft list tables 2>/dev/null || true").stdout == ""


@pytest.mark.slow
def test_somebody_who_uses_bergen_stops_it_and_a_scanner_does_not(
    lab_at: Callable[[str], Lab],
) -> None:
    lab = lab_at("mail")
    operator = in_lab(lab)
    before = operator.ssh.read(operator.puppet.control, CONTENT_FILE)
    interrupted(lab, AtTask(title="Compare every file", action=pull_the_plug))
    assert "wipe::backup" not in operator.stage.read()
    visited = At(title=Watched.title, action=lambda: visit(lab), waiting=True)
    with pytest.raises(StepCheckError) as told:
        perform(step_class("wipe")(operator=replace(operator, report=visited)))
    assert "used http://www.nordlys.example on bergen" in str(told.value)
    # The same again with a scan; interrupted before the wipe.
    report = WhileScanned(lab=lab, title=Wipe.title, action=pull_the_plug)
    interrupted(lab, report)
    assert any("to port 25: 1" in each for each in report.said)
    assert operator.stage.read()["wipe::backup"]
    step_class("wipe")(operator=operator).rollback()
    assert reinstall.look(lab.ssh, "bergen").system == "debian-12"
    after = operator.ssh.read(operator.puppet.control, CONTENT_FILE)
    assert records(after) == records(before)
    assert lab.ssh.run("bergen", ["nft", "list", "tables"]).stdout == ""


@pytest.fixture(scope="module")
def made(make_step: Callable[[str, Budget], Rehearsed]) -> Rehearsed:
    """Make the step once for the scenarios that look at its result."""
    return make_step("wipe", NOBODY_NOTICES)


def test_bergen_becomes_the_standby_and_nobody_notices(made: Rehearsed, lab: Lab) -> None:
    assert {each.outcome for each in made.verdicts} == {Outcome.OK}, made.verdicts
    assert reinstall.look(lab.ssh, "bergen").system == RELEASE


@pytest.mark.slow  # the step itself ends with a second run of Puppet; here all of it is made again
@pytest.mark.usefixtures("made")
def test_made_again_it_changes_nothing(lab: Lab, operator: Operator) -> None:
    before = operator.stage.read()
    perform(step_class("wipe")(operator=operator))
    assert operator.stage.read() == before
    runs = side_by_side(operator.puppet.agent, [*lab.fleet.hosts])
    assert [run.changed for run in runs] == [0, 0, 0]


@pytest.mark.usefixtures("made")
def test_it_is_not_undone_and_everything_can_be_had_from_the_backup(
    lab: Lab, operator: Operator
) -> None:
    with pytest.raises(StepError, match="restic --repo /srv/backup/bergen"):
        step_class("wipe")(operator=operator).rollback()
    password = operator.secrets.password("backup/bergen")
    dump = """
        RESTIC_PASSWORD=$(cat); export RESTIC_PASSWORD
        restic --no-cache --repo /srv/backup/bergen dump latest /etc/nordlys-emergency.txt
    """
    assert "call Kjell" in lab.ssh.run("oslo", dump, stdin=password).stdout


def records(text: str) -> list[str]:
    """Return what a file of zones says but for the serials."""
    return [line for line in text.splitlines() if "serial:" not in line]

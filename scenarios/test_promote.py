"""Promotion to a stand-in for production: what passed goes there, and comes back when it hurts.

Budgets, in look-ups of users who never stop asking: a good change, a refused one and one that
closes SSH cost nothing; one that takes Oslo's DNS away is noticed and undone within 60 s.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from moments import AtTask
from standin import COMMON, StandIn

from lab.errors import Exit
from lab.operator.registrar import ManualRegistrar
from lab.operator.ssh import Ssh, SshError
from lab.promote.acceptance import AcceptanceCheckError
from lab.promote.signing import Signer
from lab.promote.site_lock import SiteLock
from lab.verdict import Budget, Outcome
from lab.watch import Watch

NOBODY_NOTICES = Budget(failed=0, at_least=500)
UNDONE_IN_TIME = Budget(failed=10_000, gap=60, at_least=500)

PDNS_ELSEWHERE = {COMMON: ("", 'profile::dns::settings: {local-port: "5300"}\n')}
DNS_FOR_THE_FLEET = {
    "puppet/site/profile/manifests/dns/server.pp": (
        "ports     => [53],",
        "ports     => [53],\n    from      => 'fleet',",
    )
}
NO_SSH = {"puppet/site/profile/manifests/ssh.pp": ("ports => [22]", "ports => [2222]")}
ONE_WITHOUT_CATALOG = {
    "puppet/data/role/control.yaml": ("version: 17", "version: seventeen"),
}


def test_a_good_change_reaches_every_host_and_nobody_notices(standin: StandIn) -> None:
    commit = standin.journal(400)
    standin.prove()
    with Watch(lab=standin.lab, title="A good change", budget=NOBODY_NOTICES) as watch:
        done = standin.promote("--apply")
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    assert set(standin.releases().values()) == {commit[:12]}
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)
    standin.base = commit


def test_the_same_again_is_nothing_to_do(standin: StandIn) -> None:
    standin.git("reset", "--quiet", "--hard", standin.base)
    standin.prove()
    done = standin.promote("--apply")
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    assert "nothing to do" in done.stdout


def test_what_was_not_rehearsed_is_refused(standin: StandIn) -> None:
    standin.journal(300)
    done = standin.promote("--apply")
    assert done.returncode == Exit.REFUSED, done.stdout + done.stderr
    assert "pytest scenarios/test_step_dns.py" in done.stdout


def test_a_tree_with_changes_of_its_own_is_refused(standin: StandIn) -> None:
    standin.journal(350)
    standin.prove()
    (standin.checkout / COMMON).open("a").write("# by the way\n")
    done = standin.promote("--apply")
    assert done.returncode == Exit.REFUSED, done.stdout + done.stderr
    assert COMMON in done.stdout


def test_evidence_that_is_too_old_is_refused(standin: StandIn) -> None:
    standin.journal(360)
    standin.prove(ago=timedelta(days=15))
    done = standin.promote("--apply")
    assert done.returncode == Exit.REFUSED, done.stdout + done.stderr
    assert "more than 14 days ago" in done.stdout


def test_forged_evidence_is_refused_here_and_there(standin: StandIn, tmp_path: Path) -> None:
    standin.journal(370)
    stranger = Signer.own(tmp_path / "stranger")
    standin.prove(signer=stranger)
    done = standin.promote("--apply")
    assert done.returncode == Exit.REFUSED, done.stdout + done.stderr
    # And a stranger who leaves our own gate out is refused by the control host itself.
    with pytest.raises(AcceptanceCheckError):
        standin.push_past_the_gate()


def test_what_does_not_compile_for_one_host_touches_none(standin: StandIn) -> None:
    standin.commit(ONE_WITHOUT_CATALOG)
    standin.prove()
    done = standin.promote("--apply")
    assert done.returncode == Exit.REFUSED, done.stdout + done.stderr
    assert "tromso" in done.stdout
    assert "version" in done.stdout


@pytest.mark.slow
def test_an_edit_by_hand_stops_the_promotion_unless_it_is_accepted(standin: StandIn) -> None:
    ssh, edited = standin.operator().ssh, "/etc/chrony/chrony.conf"
    commit = standin.journal(380)
    standin.prove()
    ssh.run("oslo", f"echo '# by hand' >>{edited}")
    try:
        refused = standin.promote("--apply")
        assert refused.returncode == Exit.REFUSED, refused.stdout + refused.stderr
        assert f"File[{edited}]" in refused.stdout
        done = standin.promote("--apply", "--accept", f"File[{edited}]")
        assert done.returncode == Exit.OK, done.stdout + done.stderr
        standin.base = commit
        assert not ssh.run("oslo", ["grep", "by hand", edited], check=False).ok
    finally:
        ssh.run("oslo", f"sed -i '/^# by hand$/d' {edited}")


@pytest.mark.slow  # the next one is undone the same way, and harder to notice
def test_a_change_that_takes_dns_away_is_undone(standin: StandIn) -> None:
    standin.commit(PDNS_ELSEWHERE)
    standin.prove()
    with Watch(lab=standin.lab, title="DNS goes away", budget=UNDONE_IN_TIME) as watch:
        done = standin.promote("--apply")
    assert done.returncode == Exit.ROLLED_BACK, done.stdout + done.stderr
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


def test_a_change_that_only_users_notice_is_undone(standin: StandIn) -> None:
    standin.commit(DNS_FOR_THE_FLEET)
    standin.prove()
    with Watch(lab=standin.lab, title="Only users notice", budget=UNDONE_IN_TIME) as watch:
        done = standin.promote("--apply")
    assert done.returncode == Exit.ROLLED_BACK, done.stdout + done.stderr
    assert "failed" in done.stderr
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


def test_a_change_that_closes_ssh_undoes_itself(standin: StandIn) -> None:
    standin.commit(NO_SSH)
    standin.prove()
    with Watch(lab=standin.lab, title="SSH is closed", budget=NOBODY_NOTICES) as watch:
        done = standin.promote("--apply")
    assert done.returncode == Exit.ROLLED_BACK, done.stdout + done.stderr
    assert watch.verdict.outcome is Outcome.OK, str(watch.verdict)


def test_of_two_promotions_at_once_one_is_told_of_the_other(standin: StandIn) -> None:
    standin.journal(390)
    standin.prove()
    operator = standin.operator()
    with SiteLock(ssh=operator.ssh, host=operator.puppet.control).held("the other one"):
        done = standin.promote("--apply")
    assert done.returncode == Exit.REFUSED, done.stdout + done.stderr
    assert "the other one" in done.stderr


def test_a_host_with_another_key_is_not_talked_to(standin: StandIn, tmp_path: Path) -> None:
    access = standin.lab.access
    trusted, known = access.directory / "known_hosts", tmp_path / "known_hosts"
    shutil.copy(trusted, known)
    config = tmp_path / "ssh_config"
    config.write_text(access.config.read_text().replace(str(trusted), str(known)))
    stranger = Signer.own(tmp_path / "stranger").public()
    others = [line for line in known.read_text().splitlines() if not line.startswith("oslo")]
    for entry in (f"oslo {stranger}", ""):
        known.write_text("\n".join([*others, entry, ""]))
        # The address of a socket must be short.
        with TemporaryDirectory() as sockets:
            ssh = Ssh(config=config, control_dir=Path(sockets))
            with pytest.raises(SshError, match="Host key verification failed"):
                ssh.run("oslo", ["true"])
            ssh.close()


def test_a_person_at_the_registrar_is_told_what_to_do_and_checked(standin: StandIn) -> None:
    operator = standin.operator()
    zone = operator.fleet.domain
    there = operator.registrar.delegation(zone).ds
    assert there
    for wanted in (frozenset[str](), there):
        person = AtTask(
            title="Waiting until the parent",
            action=partial(operator.registrar.set_ds, zone, wanted),
        )
        manual = ManualRegistrar(tree=operator.tree, report=person, timeout=30, poll=0.5)
        manual.set_ds(zone, wanted)
        assert operator.registrar.delegation(zone).ds == wanted
        assert any("At the registrar" in line for line in person.said)

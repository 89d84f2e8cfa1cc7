"""A milestone is keyed by what made it, and by nothing that does not matter."""

from pathlib import Path

import pytest

from lab.milestones import fingerprint

PARTS = {
    "fleet.yaml": "hosts",
    "lab/machines.py": "machines",
    "lab/world/router.py": "router",
    "puppet/manifests/site.pp": "site",
    "lab/operator/ssh.py": "ssh",
    "lab/steps/base.py": "base",
    "lab/steps/control.py": "control",
    "lab/steps/dns.py": "dns",
    "lab/users/client.py": "probes",
    "docs/readme.md": "docs",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in PARTS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def key(project: Path, step: str, block: int = 0) -> str:
    return fingerprint(step=step, block=block, project=project)


def test_the_same_inputs_give_the_same_key(project: Path) -> None:
    assert key(project, "control") == key(project, "control")


@pytest.mark.parametrize("changed", ["fleet.yaml", "lab/machines.py", "lab/world/router.py"])
def test_what_makes_the_machines_changes_every_key(project: Path, changed: str) -> None:
    before = {step: key(project, step) for step in ("bare", "control", "dns")}
    (project / changed).write_text("changed")
    assert all(key(project, step) != old for step, old in before.items())


@pytest.mark.parametrize("changed", ["puppet/manifests/site.pp", "lab/operator/ssh.py"])
def test_puppet_and_the_operator_change_all_but_the_bare_machines(
    project: Path, changed: str
) -> None:
    bare, control = key(project, "bare"), key(project, "control")
    (project / changed).write_text("changed")
    assert key(project, "bare") == bare
    assert key(project, "control") != control


def test_a_step_changes_its_own_key_and_those_after_it(project: Path) -> None:
    control, dns = key(project, "control"), key(project, "dns")
    (project / "lab/steps/dns_phases.py").write_text("one more module of the step")
    assert key(project, "control") == control
    assert key(project, "dns") != dns


def test_a_step_whose_name_begins_like_another_one_is_not_that_one(project: Path) -> None:
    before = {step: key(project, step) for step in ("web", "mail", "web_ha")}
    (project / "lab/steps/web_ha_move.py").write_text("a module of the later step")
    assert {step for step, old in before.items() if key(project, step) != old} == {"web_ha"}


@pytest.mark.parametrize("changed", ["lab/users/client.py", "docs/readme.md"])
def test_probes_and_documents_change_nothing(project: Path, changed: str) -> None:
    before = key(project, "dns")
    (project / changed).write_text("changed")
    assert key(project, "dns") == before


def test_another_block_of_addresses_is_another_milestone(project: Path) -> None:
    assert key(project, "bare", 0) != key(project, "bare", 1)


def test_moving_text_from_one_file_to_another_is_a_change(project: Path) -> None:
    before = key(project, "bare")
    (project / "lab/world/a").write_text("")
    assert key(project, "bare") != before

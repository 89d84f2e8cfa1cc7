"""The control host's own check: the very file that Puppet installs there, with real keys."""

from __future__ import annotations

import importlib.util
import io
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from promotion import FAILOVER, NOW, PASSED, STEP, Checkout, tamper

from lab.operator.release import Release
from lab.operator.site_files import as_yaml
from lab.operator.stage import REACHED
from lab.promote.evidence import signature_of
from lab.promote.signing import ALLOWED

PROGRAM = Path(__file__).parents[1] / "puppet/site/profile/files/promotion/accept.py"
ONE = f"{STEP}::test_one"


class Clock(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override] # it stands still
        """Return the moment of the test."""
        assert tz is UTC
        return NOW


@dataclass(frozen=True, kw_only=True)
class ControlHost:
    """A control host in a directory."""

    program: ModuleType
    root: Path
    checkout: Checkout
    release: str

    @property
    def files(self) -> Path:
        """Where the release is."""
        return self.root / "releases" / self.release

    def judge(self) -> int:
        """Bring all evidence there is and let it judge."""
        target = self.root / "evidence" / self.release
        target.mkdir(parents=True, exist_ok=True)
        for path in self.checkout.evidence.directory.glob("*"):
            (target / path.name).write_bytes(path.read_bytes())
        code: int = self.program.main([self.release])
        return code


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Checkout) -> ControlHost:
    spec = importlib.util.spec_from_file_location("accept", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec.loader.exec_module(program)
    root = tmp_path / "tromso"
    for name, path in {
        "RELEASES": "releases",
        "EVIDENCE": "evidence",
        "STAGE": "stage.yaml",
        "SIGNERS": "allowed_signers",
        "SETTINGS": "promotion.json",
    }.items():
        monkeypatch.setattr(program, name, root / path)
    monkeypatch.setattr(program, "datetime", Clock)
    release = Release.of(checkout.path / "puppet")
    target = root / "releases" / release.name
    with tarfile.open(fileobj=io.BytesIO(release.archive())) as archive:
        archive.extractall(target, filter="data")
    (root / "stage.yaml").write_text(f"# Written\n---\n{REACHED}:\n- control\nother::key: 1\n")
    (root / "allowed_signers").write_bytes((checkout.path / ALLOWED).read_bytes())
    (root / "promotion.json").write_text('{"max_age_days": 14}')
    return ControlHost(program=program, root=root, checkout=checkout, release=release.name)


Said = pytest.CaptureFixture[str]


def test_what_has_been_shown_is_accepted(host: ControlHost, capsys: Said) -> None:
    host.checkout.show()
    assert host.judge() == 0
    assert capsys.readouterr().out == ""


def test_it_computes_the_digest_that_the_release_has(host: ControlHost) -> None:
    release = Release.of(host.checkout.path / "puppet")
    assert host.program.digest(host.files) == release.digest


def test_a_pass_after_a_failure_is_accepted_and_a_failure_after_a_pass_is_not(
    host: ControlHost, capsys: Said
) -> None:
    host.checkout.show({ONE: "failed"}, ago=timedelta(hours=3))
    host.checkout.show(ago=timedelta(hours=2))
    assert host.judge() == 0
    host.checkout.show({ONE: "failed"}, ago=timedelta(hours=1))
    assert host.judge() == 1
    assert capsys.readouterr().out == f"{ONE}: the latest result is not passed\n"


def test_without_evidence_it_is_refused(host: ControlHost, capsys: Said) -> None:
    assert host.judge() == 1
    assert "no evidence" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (ONE, f"{ONE}: not shown"),
        (f"{STEP}::test_two[b]", f"{STEP}::test_two: not shown"),
        (f"{FAILOVER}::test_three", f"{FAILOVER}::test_three: not shown"),
    ],
)
def test_every_scenario_is_wanted_and_every_case_of_it(
    host: ControlHost, capsys: Said, missing: str, reason: str
) -> None:
    host.checkout.show({key: verdict for key, verdict in PASSED.items() if key != missing})
    assert host.judge() == 1
    assert capsys.readouterr().out.splitlines() == [f"{reason} on this content"]


@pytest.mark.parametrize("ago", [timedelta(days=15), timedelta(hours=-3)])
def test_old_and_future_evidence_is_refused(
    host: ControlHost, capsys: Said, ago: timedelta
) -> None:
    host.checkout.show(ago=ago)
    assert host.judge() == 1
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_limit_is_the_one_that_puppet_wrote(host: ControlHost) -> None:
    host.checkout.show(ago=timedelta(days=2))
    assert host.judge() == 0
    (host.root / "promotion.json").write_text('{"max_age_days": 1}')
    assert host.judge() == 1


def change(path: Path, _: ControlHost) -> None:
    tamper(path, "8.10.0", "8.99.0")


def unsign(path: Path, _: ControlHost) -> None:
    signature_of(path).unlink()


def garble(path: Path, _: ControlHost) -> None:
    signature_of(path).write_text("-----BEGIN SSH SIGNATURE-----\njunk\n")


def sign_again(path: Path, host: ControlHost) -> None:
    signature_of(path).write_bytes(host.checkout.stranger.sign(path.read_bytes()))


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (change, "changed after it was signed"),
        (unsign, "not signed"),
        (garble, "signed by nobody who may"),
        (sign_again, "signed by nobody who may"),
    ],
)
def test_forged_evidence_is_refused_even_beside_good(
    host: ControlHost,
    capsys: Said,
    forge: Callable[[Path, ControlHost], None],
    reason: str,
) -> None:
    host.checkout.show()
    forge(host.checkout.show(), host)
    assert host.judge() == 1
    assert reason in capsys.readouterr().out


def test_a_list_in_the_pushed_release_lets_nobody_in(host: ControlHost) -> None:
    stranger = host.checkout.stranger
    (host.files / ALLOWED.removeprefix("puppet/")).write_text(f"{stranger.line()}\n")
    host.checkout.show(signer=stranger)
    assert host.judge() == 1


def test_what_another_text_of_a_scenario_has_shown_counts_for_nothing(
    host: ControlHost, capsys: Said
) -> None:
    host.checkout.show(ago=timedelta(hours=3))
    text = (host.checkout.path / STEP).read_text()
    host.checkout.change(STEP, text.replace("pass", "assert 1", 1))
    host.checkout.show({ONE: "passed"})
    assert host.judge() == 1
    assert capsys.readouterr().out == f"{STEP}::test_two: not shown on this content\n"


def test_a_signature_for_something_else_is_refused(
    host: ControlHost, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    public = " ".join(host.checkout.signer.public().split()[:2])
    (host.root / "allowed_signers").write_text(f"oda {public}\n")
    with monkeypatch.context() as patch:
        patch.setattr("lab.promote.signing.NAMESPACE", "git")
        host.checkout.show()
    assert host.judge() == 1
    assert "changed after it was signed" in capsys.readouterr().out


def test_evidence_of_other_content_is_refused(host: ControlHost, capsys: Said) -> None:
    host.checkout.show()
    with (host.files / "manifests/site.pp").open("a") as file:
        file.write("include role::more\n")
    assert host.judge() == 1
    assert "exactly this content" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["manifests/more.pp", "modules/stdlib/more.pp"])
def test_a_file_more_is_other_content(host: ControlHost, name: str) -> None:
    host.checkout.show()
    (host.files / name).write_text("")
    assert host.judge() == 1


def test_a_link_in_a_release_is_refused(host: ControlHost, capsys: Said) -> None:
    host.checkout.show()
    (host.files / "manifests/link.pp").symlink_to("/etc/passwd")
    assert host.judge() == 1
    assert "neither a file nor a directory" in capsys.readouterr().out


def test_a_release_under_anothers_name_is_refused(host: ControlHost, capsys: Said) -> None:
    host.checkout.show()
    (host.files / "REVISION").write_text("0123456789ab\n")
    assert host.judge() == 1
    assert "another name" in capsys.readouterr().out


def test_a_well_signed_file_that_is_no_statement_is_refused(
    host: ControlHost, capsys: Said
) -> None:
    for content in ("[]", "{", '{"subject": 1}', '{"subject": [], "predicateType": ""}'):
        path = host.checkout.show()
        path.write_text(content)
        signature_of(path).write_bytes(host.checkout.signer.sign(path.read_bytes()))
        assert host.judge() == 1
        assert "malformed" in capsys.readouterr().out


def test_a_further_step_needs_its_own_scenarios(host: ControlHost, capsys: Said) -> None:
    host.checkout.show()
    (host.root / "stage.yaml").write_text(f"---\n{REACHED}:\n  - control\n  - dns\n")
    assert host.judge() == 1
    assert capsys.readouterr().out == "scenarios/test_step_dns.py: no scenarios are known\n"


@pytest.mark.parametrize(
    "stage",
    [
        "",
        "---\nother::key: 1\n",
        "---\nstage::reached: [control]\n",
        "---\nstage::reached:\nother::key: 1\n",
        "---\nstage::reached:\n- control\nstage::reached:\n- dns\n",
        "---\nstage::reached:\n- {control: 1}\n",
        "---\nstage::reached:\n- ../control\n",
    ],
)
def test_a_stage_that_is_not_understood_is_not_guessed_at(
    host: ControlHost, capsys: Said, stage: str
) -> None:
    host.checkout.show()
    (host.root / "stage.yaml").write_text(stage)
    assert host.judge() == 3
    assert "stage" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a", "b"],
        ["../../etc"],
        ["a/../b"],
        [".."],
        [""],
        ["a\n"],
        ["-n"],
        ["0123456789ab"],
    ],
)
def test_what_is_not_the_name_of_a_release_is_not_judged(
    host: ControlHost, arguments: list[str]
) -> None:
    host.checkout.show()
    assert host.program.main(arguments) == 3


@pytest.mark.parametrize("name", ["allowed_signers", "promotion.json", "stage.yaml"])
def test_without_what_it_judges_by_it_cannot_tell(host: ControlHost, name: str) -> None:
    host.checkout.show()
    (host.root / name).unlink()
    assert host.judge() == 3


def test_it_reads_the_stage_as_the_operator_writes_it(host: ControlHost) -> None:
    text = as_yaml({REACHED: ["control", "dns_secondary"], "a::b": ["x"], "z": {"y": "- no"}})
    assert host.program.steps(text) == ["control", "dns_secondary"]

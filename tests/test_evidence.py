"""Statements are signed, added, and judged when they are read."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from promotion import PASSED, STEP, Checkout, new_key, tamper

from lab.promote.evidence import signature_of
from lab.promote.results import latest
from lab.promote.signing import (
    CHANGED,
    KEY_VARIABLE,
    UNKNOWN,
    UNREADABLE,
    UNSIGNED,
    Signer,
    SigningError,
    claimed_key,
    verify,
)
from lab.promote.statement import PREDICATE_TYPE, Statement, StatementError
from lab.promote.tree import Tree


def test_what_is_recorded_is_read_again(checkout: Checkout) -> None:
    checkout.show()
    (stored,) = checkout.stored()
    assert stored.good
    assert stored.signature.signer == "oda"
    assert stored.statement is not None
    assert stored.statement.tree == Tree.of(checkout.path)
    assert {one.scenario: str(one.verdict) for one in stored.statement.results} == PASSED
    assert stored.statement.results[0].figures == {"gap": 0.1}


def test_others_read_it_as_a_test_result_of_in_toto(checkout: Checkout) -> None:
    path = checkout.show({f"{STEP}::test_one": "failed", f"{STEP}::test_two[a]": "skipped"})
    said = json.loads(path.read_text())
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == PREDICATE_TYPE
    subjects = {one["name"]: one["digest"] for one in said["subject"]}
    tree = Tree.of(checkout.path)
    assert subjects["commit"] == {"gitCommit": tree.commit}
    assert subjects["puppet"] == {"sha256": tree.parts["puppet"]}
    assert said["predicate"]["result"] == "FAILED"
    assert said["predicate"]["failedTests"] == [f"{STEP}::test_one"]
    assert said["predicate"]["warnedTests"] == [f"{STEP}::test_two[a]"]
    assert said["predicate"]["passedTests"] == []
    # Of a resource one of these must be there.
    assert all({"uri", "digest", "content"} & set(r) for r in said["predicate"]["configuration"])


def test_runs_are_added(checkout: Checkout) -> None:
    paths = {checkout.show() for _ in range(3)}
    assert len(paths) == len(checkout.stored()) == 3


def test_a_statement_is_never_overwritten(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = checkout.show()
    content = first.read_bytes()
    monkeypatch.setattr("secrets.token_hex", lambda _: first.stem.rpartition("-")[2])
    monkeypatch.setattr("lab.promote.evidence.datetime", _Fixed(first.stem.partition("-")[0]))
    with pytest.raises(Exception, match="exists"):
        checkout.show({f"{STEP}::test_one": "failed"})
    assert first.read_bytes() == content
    assert not list(first.parent.glob(".*"))


class _Fixed:
    """A clock whose time is a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def now(self, _: object) -> _Fixed:
        return self

    def __format__(self, _: str) -> str:
        return self._text


def test_other_trees_are_left_out_on_demand_and_nothing_else(checkout: Checkout) -> None:
    checkout.show()
    checkout.change("fleet.yaml", "name: other\n")
    wanted = {checkout.show(), checkout.show(signer=checkout.stranger), checkout.show()}
    max(wanted).write_text("unreadable")
    found = checkout.evidence.statements(of=Tree.of(checkout.path))
    assert {stored.path for stored in found} == wanted
    assert len(checkout.stored()) == 4


def test_changed_after_signing(checkout: Checkout) -> None:
    path = checkout.show({f"{STEP}::test_one": "failed"})
    tamper(path, "failed", "passed")
    (stored,) = checkout.stored()
    assert (stored.good, stored.wrong) == (False, CHANGED)


def test_signed_by_somebody_else(checkout: Checkout) -> None:
    checkout.show(signer=checkout.stranger)
    (stored,) = checkout.stored()
    assert (stored.good, stored.wrong) == (False, UNKNOWN)
    assert stored.signature.key == " ".join(checkout.stranger.public().split()[:2])


def test_not_signed_and_signed_illegibly(checkout: Checkout) -> None:
    first, second = checkout.show(), checkout.show()
    signature_of(first).unlink()
    signature_of(second).write_text("-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n")
    assert {stored.wrong for stored in checkout.stored()} == {UNSIGNED, UNREADABLE}


def test_a_signature_for_something_else_counts_for_nothing(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    everything = tmp_path / "allowed"
    everything.write_text(f"oda {' '.join(checkout.signer.public().split()[:2])}\n")
    monkeypatch.setattr("lab.promote.signing.NAMESPACE", "git")
    signature = checkout.signer.sign(b"data")
    monkeypatch.undo()
    assert not verify(b"data", signature, allowed=everything).good
    assert verify(b"data", checkout.signer.sign(b"data"), allowed=everything).good


def test_a_well_signed_file_that_is_no_statement_counts_for_nothing(checkout: Checkout) -> None:
    path = checkout.show()
    path.write_text("{}")
    signature_of(path).write_bytes(checkout.signer.sign(b"{}"))
    (stored,) = checkout.stored()
    assert stored.signature.good
    assert (stored.good, stored.wrong) == (False, "unreadable")


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"_type": "x", "predicateType": "y"}'])
def test_what_is_no_statement_is_told(data: bytes) -> None:
    with pytest.raises(StatementError):
        Statement.decode(data)


@pytest.mark.parametrize("data", [b"", b"junk", b"U1NIU0lH", b"\xff" * 40])
def test_no_key_is_read_from_junk(data: bytes) -> None:
    assert claimed_key(data) == ""


def test_a_key_is_made_once_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    first = Signer.own(tmp_path / "signing")
    assert Signer.own(tmp_path / "signing") == first
    assert first.key.stat().st_mode & 0o077 == 0
    name, namespaces, kind, _ = first.line().split()
    assert "@" in name
    assert (namespaces, kind) == ('namespaces="generalprove"', "ssh-ed25519")


def test_the_environment_names_another_key(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(checkout.stranger.key))
    assert Signer.own() == checkout.stranger


def test_a_key_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="ssh-keygen"):
        Signer(key=tmp_path / "none").sign(b"data")


def test_a_key_without_its_public_half_beside_it_is_read(tmp_path: Path) -> None:
    signer = new_key(tmp_path / "key", "oda")
    line = signer.line()
    Path(f"{signer.key}.pub").unlink()
    assert signer.line() == line


def test_a_list_has_a_key_wherever_its_comment_is(checkout: Checkout) -> None:
    signer, line = checkout.signer, checkout.signer.line()
    assert all(signer.is_listed(text) for text in (line, f"# who\n{line}\n", f"{line} a comment\n"))
    assert not any(signer.is_listed(text) for text in ("", f"# {line}\n", checkout.stranger.line()))


def test_the_latest_result_counts_and_a_failure_before_it_is_shown(checkout: Checkout) -> None:
    one = f"{STEP}::test_one"
    checkout.show({one: "passed"}, ago=timedelta(hours=1))
    checkout.show({one: "failed"}, ago=timedelta(hours=3))
    checkout.show({one: "skipped"}, ago=timedelta(hours=2))
    gate = checkout.gate()
    found = latest(gate.tree, checkout.stored(), gate.files)[one]
    assert found.passed
    assert str(found) == "passed after 1 failed of the same tree"


def test_a_failure_of_another_tree_is_not_this_ones(checkout: Checkout) -> None:
    one = f"{STEP}::test_one"
    checkout.show({one: "failed"})
    checkout.change("fleet.yaml", "name: other\n")
    checkout.show({one: "passed"})
    gate = checkout.gate()
    assert str(latest(gate.tree, checkout.stored(), gate.files)[one]) == "passed"

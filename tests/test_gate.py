"""Nothing goes to the real servers that was not shown, lately, of exactly this tree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from promotion import FAILOVER, PASSED, STEP, Checkout, tamper

from lab.promote import proven
from lab.promote.signing import ALLOWED
from lab.promote.versions import Versions, parse

ONE = f"{STEP}::test_one"
TWO_B = f"{STEP}::test_two[b]"


def test_what_has_been_shown_may_pass(checkout: Checkout) -> None:
    checkout.show()
    assert checkout.refusals() == []


def test_several_runs_together_show_it(checkout: Checkout) -> None:
    for scenario, verdict in PASSED.items():
        checkout.show({scenario: verdict})
    assert checkout.refusals() == []


def without(*scenarios: str) -> dict[str, str]:
    return {key: verdict for key, verdict in PASSED.items() if key not in scenarios}


@pytest.mark.parametrize(
    ("shown", "what", "remedy"),
    [
        (without(ONE), "test_step_control.py: not shown on this tree: test_one", STEP),
        (without(TWO_B), "test_step_control.py: not shown on this tree: test_two", STEP),
        (without(f"{FAILOVER}::test_three"), "test_failover_control.py: not shown", FAILOVER),
        (PASSED | {ONE: "failed"}, "the latest result is failed: test_one", STEP),
        (PASSED | {TWO_B: "skipped"}, "the latest result is skipped: test_two", STEP),
        (PASSED | {ONE: "unfinished"}, "the latest result is unfinished: test_one", STEP),
    ],
)
def test_what_was_not_shown_is_refused(
    checkout: Checkout, shown: dict[str, str], what: str, remedy: str
) -> None:
    checkout.show(shown)
    (refusal,) = checkout.refusals()
    assert what in refusal.what
    assert refusal.remedy == f"`pytest {remedy}`"
    assert "\n" not in str(refusal)


def test_a_failure_after_a_pass_is_refused_and_a_pass_after_it_is_not(checkout: Checkout) -> None:
    checkout.show()
    checkout.show({ONE: "failed"}, ago=timedelta(minutes=30))
    (refusal,) = checkout.refusals()
    assert "failed: test_one" in refusal.what
    checkout.show({ONE: "passed"}, ago=timedelta(minutes=20))
    assert checkout.refusals() == []


@pytest.mark.parametrize(
    ("ago", "what"),
    [
        (timedelta(days=15), "shown more than 14 days ago"),
        (timedelta(hours=-3), "dated in the future"),
    ],
)
def test_old_and_future_evidence_is_refused(checkout: Checkout, ago: timedelta, what: str) -> None:
    checkout.show(ago=ago)
    assert [what in refusal.what for refusal in checkout.refusals()] == [True, True]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("puppet/manifests/site.pp", "include role::other\n"),
        ("lab/steps/control.py", "NAME = 'other'\n"),
    ],
)
def test_evidence_of_another_tree_counts_for_nothing(
    checkout: Checkout, name: str, content: str
) -> None:
    checkout.show()
    checkout.change(name, content)
    assert len(checkout.refusals()) == 2


def test_evidence_of_another_text_of_a_scenario_counts_for_nothing(checkout: Checkout) -> None:
    checkout.show()
    checkout.change(STEP, (checkout.path / STEP).read_text().replace("pass", "assert 1", 1))
    (refusal,) = checkout.refusals()
    assert "test_step_control.py: not shown on this tree: test_one, test_two" in refusal.what


def test_a_dirty_tree_is_refused(checkout: Checkout) -> None:
    checkout.show()
    (checkout.path / "scenarios/conftest.py").write_text("")
    (refusal,) = checkout.refusals()
    assert "scenarios/conftest.py" in refusal.what
    assert "git commit" in refusal.remedy


def test_evidence_changed_after_signing_is_refused(checkout: Checkout) -> None:
    checkout.show()
    path = checkout.show({ONE: "failed"})
    tamper(path, "failed", "passed")
    (refusal,) = checkout.refusals()
    assert refusal.what == f"the evidence {path.name} is changed after it was signed"
    assert str(path) in refusal.remedy


def test_a_key_of_ones_own_that_may_not_sign_yet_gets_its_line(checkout: Checkout) -> None:
    checkout.show(signer=checkout.stranger)
    checkout.show(signer=checkout.stranger)
    first, *others = checkout.refusals()
    assert "your key may not sign yet (2 of your statements do not count)" in first.what
    assert first.remedy.endswith(f"{ALLOWED} and commit it: {checkout.stranger.line()}")
    assert len(others) == 2


def test_somebody_elses_key_is_not_offered_to_be_let_in(checkout: Checkout) -> None:
    checkout.show(signer=checkout.stranger)
    gate = checkout.gate()
    with_own = type(gate)(
        tree=gate.tree,
        files=gate.files,
        steps=gate.steps,
        now=gate.now,
        signer=checkout.signer.line(),
    )
    first, *_ = with_own.refusals(checkout.stored())
    assert "signed by nobody who may" in first.what
    assert "ssh-ed25519" not in str(first)


def test_forged_evidence_of_another_tree_is_nobodys_business(checkout: Checkout) -> None:
    checkout.show(signer=checkout.stranger)
    checkout.change("fleet.yaml", "name: other\n")
    checkout.show()
    assert checkout.refusals() == []


def test_a_step_without_scenarios_is_refused(checkout: Checkout) -> None:
    checkout.show()
    (refusal,) = checkout.gate(steps=["control", "dns"]).refusals(checkout.stored())
    assert refusal.what == "there is no scenarios/test_step_dns.py"


def test_where_no_step_was_made_nothing_is_waved_through(checkout: Checkout) -> None:
    checkout.show()
    (refusal,) = checkout.gate(steps=[]).refusals(checkout.stored())
    assert "no step" in refusal.what


@pytest.mark.parametrize(
    ("has", "ok"),
    [
        (Versions(debian="13", agent="8.10.0"), True),
        (Versions(debian="13", agent="8.11.0"), False),
        (Versions(debian="14", agent="8.10.0"), False),
    ],
)
def test_other_versions_in_production_are_refused(
    checkout: Checkout, has: Versions, *, ok: bool
) -> None:
    checkout.show()
    refusals = checkout.refusals(production={"oslo": has})
    assert (refusals == []) is ok
    for refusal in refusals:
        assert f"oslo runs {has}, rehearsed was Debian 13, puppet-agent 8.10.0" in refusal.what


def test_a_host_that_was_never_rehearsed_is_refused(checkout: Checkout) -> None:
    checkout.show()
    (refusal,) = checkout.refusals(production={"bergen": Versions(debian="13", agent="8.10.0")})
    assert "nothing known" in refusal.what


def test_versions_are_read_as_a_host_says_them() -> None:
    said = "debian=13\npuppet-agent=8.10.0-5\npuppetserver=\n"
    assert parse(said) == Versions(debian="13", agent="8.10.0-5")


@pytest.fixture
def shown(checkout: Checkout) -> Callable[[], dict[str, proven.Row]]:
    """Return what ``./invoke evidence`` has a row for."""

    def rows() -> dict[str, proven.Row]:
        found = proven.proven(checkout.gate(), checkout.stored())
        return {row.scenario: row for row in found.rows}

    return rows


def test_the_table_shows_what_stands_in_the_way(
    checkout: Checkout, shown: Callable[[], dict[str, proven.Row]]
) -> None:
    checkout.show({TWO_B: "failed"}, ago=timedelta(hours=3))
    checkout.show({ONE: "passed", f"{STEP}::test_two[a]": "passed"})
    rows = shown()
    assert (rows["test_one"].result, rows["test_one"].missing) == ("passed", "")
    assert rows["test_one"].signer == "oda"
    assert rows["test_two"].result == "failed"
    assert rows["test_three"].missing == "not shown on this tree"
    checkout.show({TWO_B: "passed"}, ago=timedelta(hours=1))
    assert shown()["test_two"].missing == ""

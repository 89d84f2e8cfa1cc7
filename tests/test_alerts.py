"""Whether every alert says what whoever gets it must know."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

PROJECT = Path(__file__).parents[1]
RULES = YAML(typ="safe").load(
    (PROJECT / "puppet/site/profile/files/monitoring/rules.yml").read_text(encoding="utf-8")
)
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
RUNBOOK = (PROJECT / "docs/runbook.md").read_text(encoding="utf-8")
TESTED = (PROJECT / "puppet/spec/rules/rules_test.yml").read_text(encoding="utf-8")


def by_name(rule: dict[str, Any]) -> str:
    return str(rule["alert"])


@pytest.mark.parametrize("rule", ALERTS, ids=by_name)
def test_an_alert_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert set(said) == {"summary", "means", "action", "runbook"}
    assert all(text.strip() for text in said.values())
    assert said["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
    assert f"\n## {rule['alert']}\n" in RUNBOOK


@pytest.mark.parametrize("rule", ALERTS, ids=by_name)
def test_every_alert_was_seen_to_fire(rule: dict[str, Any]) -> None:
    assert f'alertname="{rule["alert"]}"' in TESTED


def test_the_runbook_has_no_alert_that_there_is_not() -> None:
    assert re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE) == [by_name(rule) for rule in ALERTS]


def without_what_was_seen(page: str) -> list[str]:
    """Return the lines of a page, of its table's what was seen on one machine left out."""
    lines = page.splitlines()
    return [line.rsplit("|", 5)[0] if line.startswith("|") else line for line in lines]


def test_the_table_for_people_is_the_one_that_is_tried() -> None:
    made = subprocess.run(
        [sys.executable, "scenarios/alert_table.py"],
        cwd=PROJECT,
        env=dict(os.environ, PYTHONPATH=str(PROJECT)),
        capture_output=True,
        text=True,
        check=True,
    )
    page = (PROJECT / "docs/alerts.md").read_text(encoding="utf-8")
    assert without_what_was_seen(made.stdout) == without_what_was_seen(page)

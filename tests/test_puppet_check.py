"""The checks of the Puppet code say what is wrong and where; tried on what the tools print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lab.fleet import Fleet
from lab.puppet_check import STATE, checks, located, made_up_site, wrong_in_specs
from lab.toolbox import Output


def output(text: str, *, stderr: str = "") -> Output:
    return Output(code=1, stdout=text.encode(), stderr=stderr)


PARSER = """\
Error: Could not parse for environment production: Syntax error at '}' \
(file: /repo/puppet/site/profile/manifests/time.pp, line: 11, column: 3)
"""
COMPILER = """\
tromso (server): Evaluation Error: Class[Profile::Time]:
  expects a value for parameter 'pools'
  has no parameter named 'pool' (file: site/role/base.pp, line: 3, column: 3) on node tromso.lab
"""
COMPILED = """\
puppet/site/role/base.pp:3: tromso (server): Evaluation Error: Class[Profile::Time]: \
expects a value for parameter 'pools' has no parameter named 'pool' on node tromso.lab\
"""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (PARSER, "puppet/site/profile/manifests/time.pp:11: Syntax error at '}'"),
        (COMPILER, COMPILED),
        (
            "site/profile/manifests/time.pp:8: double quoted string containing no variables",
            "puppet/site/profile/manifests/time.pp:8: double quoted string containing no variables",
        ),
        (
            "./data/common.yaml:3:1: [error] duplication of key (key-duplicates)",
            "puppet/data/common.yaml:3:1: [error] duplication of key (key-duplicates)",
        ),
        ("something else broke", "something else broke"),
    ],
)
def test_a_complaint_begins_with_its_place(said: str, shown: str) -> None:
    assert located(said) == [shown]


def test_several_complaints_stay_several() -> None:
    assert located("a.pp:1: one\nb.pp:2: two\n") == ["puppet/a.pp:1: one", "puppet/b.pp:2: two"]


def test_a_failed_example_is_one_line() -> None:
    example = {
        "status": "failed",
        "file_path": "./spec/classes/firewall_spec.rb",
        "line_number": 8,
        "full_description": "profile::firewall drops",
        "exception": {"message": "expected that\n  it would"},
    }
    passed = {"status": "passed"}
    said = "a warning\n" + json.dumps({"examples": [passed, example], "messages": []})
    assert wrong_in_specs(output(said)) == [
        "puppet/spec/classes/firewall_spec.rb:8: profile::firewall drops: expected that it would"
    ]


def test_specs_that_could_not_be_loaded_are_no_success() -> None:
    said = json.dumps({"examples": [], "messages": ["\nAn error occurred while loading ./spec/x"]})
    assert wrong_in_specs(output(said)) == ["An error occurred while loading ./spec/x"]
    assert wrong_in_specs(output("", stderr="rspec: not found")) == ["rspec: not found"]


def test_the_made_up_site_has_what_a_control_host_has(tmp_path: Path) -> None:
    (tmp_path / "stage.yaml").write_text("thing: 1\n", encoding="utf-8")
    with made_up_site(Fleet.load(), examples=tmp_path) as site:
        state = next(path for path, at in site.items() if at == STATE)
        found = {path.relative_to(state).as_posix() for path in state.rglob("*.*yaml")}
        assert {"stage.yaml", "site/site.yaml", "site/nodes/oslo.eyaml"} <= found
        text = (state / "site/nodes/oslo.eyaml").read_text(encoding="utf-8")
        assert "profile::wireguard::private_key: ENC[PKCS7," in text
        data = YAML(typ="safe").load((state / "site/site.yaml").read_text(encoding="utf-8"))
        assert set(data["fleet::hosts"]) == set(Fleet.load().hosts)
    assert not state.exists()


def test_every_template_is_checked() -> None:
    repository = Path(__file__).parent.parent / "puppet"
    argv = next(check.argv for check in checks(repository) if check.title == "templates parse")
    found = set(repository.glob("site/*/templates/**/*.epp"))
    assert found
    assert {path.relative_to(repository).as_posix() for path in found} <= set(argv)

"""What the programs make of a host, of the zones and of letters, before anybody is asked."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import dns.message
import dns.rrset
import pytest

FILES = Path(__file__).parents[1] / "puppet/site/profile/files"

SUMMARY = """---
version:
  config: abc
  puppet: 8.10.0
resources:
  changed: 2
  corrective_change: 1
  failed: 0
  out_of_sync: 5
  total: 312
time:
  file: 1.5
  last_run: 1764430000
events:
  failure: 0
"""
DUMP = """KEY\tPUBLIC\t51820\toff
A=\t(none)\t198.18.10.10:51820\t10.83.0.10/32\t1764430001\t10\t20\t25
B=\t(none)\t(none)\t10.83.0.20/32\t0\t0\t0\toff
"""


def program(path: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return one of the programs as a module."""
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(name, FILES / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    module = program("metrics/fleet_metrics.py", monkeypatch)
    monkeypatch.setattr(module, "SUMMARY", tmp_path / "summary.yaml")
    monkeypatch.setattr(module, "HELD", tmp_path / "held")
    monkeypatch.setattr(module, "BACKUPS", tmp_path / "backup")
    monkeypatch.setattr(module, "IN_FORCE", tmp_path / "production")
    return module


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return program("monitoring/fleet_look.py", monkeypatch)


def lines(metrics: ModuleType, part: str) -> list[str]:
    text = metrics.as_text(getattr(metrics, part)())
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_puppets_last_run_is_told(metrics: ModuleType) -> None:
    metrics.SUMMARY.write_text(SUMMARY)
    found = lines(metrics, "puppet")
    for wanted in (
        "fleet_puppet_last_run_seconds 1764430000.0",
        "fleet_puppet_drifted 1.0",
        "fleet_puppet_compiled 1",
        "fleet_puppet_differing 3.0",
        "fleet_puppet_held_since_seconds 0",
    ):
        assert wanted in found


def test_a_run_that_got_no_catalog_is_not_taken_for_a_good_one(metrics: ModuleType) -> None:
    metrics.SUMMARY.write_text("---\nversion:\n  config:\ntime:\n  last_run: 1764430000\n")
    assert "fleet_puppet_compiled 0" in lines(metrics, "puppet")


def test_what_cannot_be_found_out_is_named_and_hides_nothing_else(metrics: ModuleType) -> None:
    (metrics.BACKUPS / "bergen/snapshots").mkdir(parents=True)
    found = metrics.measure(
        {"puppet": metrics.puppet, "backups": lambda: metrics.backups(["bergen"])}
    )
    text = metrics.as_text(found)
    assert 'fleet_metrics_failed{part="puppet"} 1' in text
    assert 'fleet_metrics_failed{part="backups"} 0' in text
    assert 'fleet_backup_last_seconds{client="bergen"} 0.0' in text
    assert text.count("# TYPE fleet_metrics_failed gauge") == 1


def test_peers_are_known_by_their_address_in_the_mesh(metrics: ModuleType) -> None:
    peers = {"10.83.0.10": "oslo", "10.83.0.20": "bergen"}
    assert metrics.handshakes(DUMP, peers) == {"oslo": 1764430001, "bergen": 0}


def test_the_release_in_force_is_told_where_there_is_one(metrics: ModuleType) -> None:
    assert lines(metrics, "release") == []
    metrics.IN_FORCE.symlink_to("../releases/20261129-abc")
    (line,) = lines(metrics, "release")
    assert line.startswith('fleet_release_since_seconds{release="20261129-abc"} ')


def test_labels_are_escaped(metrics: ModuleType) -> None:
    sample = metrics.Sample(name="a", meaning="b", value=1, labels={"unit": 'x"\\\n'})
    assert str(sample) == 'a{unit="x\\"\\\\\\n"} 1'


def test_servers_that_say_different_things_are_seen(look: ModuleType) -> None:
    here, there = frozenset({"198.18.10.10"}), frozenset({"198.18.20.20"})
    assert not look.differing({"a": here, "c": here})
    assert look.differing({"a": here, "b": there})
    assert look.differing({"a": here, "b": frozenset()})


def test_a_silent_server_denies_nothing_and_is_asked_once(
    look: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask(address: str, *_: object) -> None:
        asked.append(address)
        raise OSError("silent")

    monkeypatch.setattr(look, "ask", ask)
    silent: set[str] = set()
    found = [dict(look._answers("www.a.", rdtype, ["x"], silent)) for rdtype in ("A", "AAAA")]
    assert (found, asked) == ([{}, {}], ["x"])
    assert not look.nothing(found)
    assert not look.nothing([{"x": frozenset()}, {"x": frozenset({"fd18::1"})}])
    assert look.nothing([{"x": frozenset()}, {"x": frozenset()}])


def test_addresses_are_found_behind_aliases(look: ModuleType) -> None:
    answer = dns.message.make_response(dns.message.make_query("www.a.example.", "A"))
    answer.answer = [
        dns.rrset.from_text("www.a.example.", 20, "IN", "CNAME", "a.example."),
        dns.rrset.from_text("a.example.", 20, "IN", "A", "198.18.10.10", "198.18.20.20"),
    ]
    assert look.addresses(answer, "A") == {"198.18.10.10", "198.18.20.20"}
    assert look.full("@", "a.example").to_text() == "a.example."
    assert look.full("www", "a.example").to_text() == "www.a.example."


def test_every_way_of_a_letter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = program("monitoring/fleet_letter.py", monkeypatch)
    found = letter.told(["oslo", "bergen"], {("oslo", "oslo"): 0.5, ("oslo", "bergen"): 2.0})
    assert 'fleet_letter_ok{instance="bergen",given_to="oslo",copied="yes"} 1' in found
    assert 'fleet_letter_ok{instance="oslo",given_to="bergen",copied="yes"} 0' in found
    assert 'fleet_letter_seconds{instance="bergen",given_to="oslo",copied="yes"} 2.000' in found
    assert not any(
        line.startswith('fleet_letter_seconds{instance="oslo",given_to="bergen') for line in found
    )


def test_a_metric_may_have_a_label_of_any_name(look: ModuleType) -> None:
    metrics = look.Metrics()
    metrics.add("fleet_lookup_ok", "Whether a name is found.", 1, name="www.a.example")
    metrics.add("fleet_lookup_ok", "Whether a name is found.", 0, name="a.example")
    assert metrics.lines == [
        "# HELP fleet_lookup_ok Whether a name is found.",
        "# TYPE fleet_lookup_ok gauge",
        'fleet_lookup_ok{name="www.a.example"} 1',
        'fleet_lookup_ok{name="a.example"} 0',
    ]


@pytest.mark.parametrize(
    ("part", "program"), [("queue", "POSTQUEUE"), ("powerdns", "PDNS_CONTROL")]
)
def test_a_service_that_does_not_run_is_nothing_that_failed_to_be_measured(
    metrics: ModuleType, monkeypatch: pytest.MonkeyPatch, part: str, program: str
) -> None:
    monkeypatch.setattr(metrics, program, Path("/bin/false"))
    monkeypatch.setattr(metrics, "runs", lambda _: False)
    assert list(getattr(metrics, part)()) == []
    monkeypatch.setattr(metrics, "runs", lambda _: True)
    with pytest.raises(metrics.subprocess.CalledProcessError):
        list(getattr(metrics, part)())

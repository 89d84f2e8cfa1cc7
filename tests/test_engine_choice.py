"""Which engine makes which machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest

from lab.console import SilentReporter
from lab.engine.base import EngineError, MachineSpec, State
from lab.engine.choice import parse
from lab.engine.mixed import MixedEngine
from lab.engine.vagrant_command import complaint
from lab.fleet import Fleet
from lab.lab import Lab
from lab.store import Store

HOSTS = ["oslo", "bergen", "tromso"]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("docker", {}),
        ("vagrant", dict.fromkeys(HOSTS, "vagrant")),
        ("oslo=vagrant", {"oslo": "vagrant"}),
        ("oslo=vagrant,tromso=vagrant", {"oslo": "vagrant", "tromso": "vagrant"}),
        ("vagrant, bergen=docker", {"oslo": "vagrant", "tromso": "vagrant"}),
    ],
)
def test_a_lab_has_one_engine_or_some_hosts_have_another(text: str, chosen: dict[str, str]) -> None:
    assert parse(text, hosts=HOSTS) == chosen


@pytest.mark.parametrize("text", ["", "virtualbox", "oslo", "oslo=", "oslo=kvm", "=vagrant"])
def test_an_engine_that_is_not_there_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(EngineError) as told:
        parse(text, hosts=HOSTS)
    assert "\n" not in str(told.value)
    assert "--engine" in str(told.value)


def test_a_host_that_is_not_there_is_refused() -> None:
    with pytest.raises(EngineError, match="no host 'olso'"):
        parse("olso=vagrant", hosts=HOSTS)


class Noted:
    """An engine that notes what it is asked."""

    def __init__(self, *, name: str, forms: tuple[str, ...] = ("",), broken: bool = False) -> None:
        self.name = name
        self.forms = forms
        self.broken = broken
        self.asked: list[tuple[str, ...]] = []

    def states(self) -> Mapping[str, State]:
        """Return none."""
        return {}

    def create(self, specs: Sequence[MachineSpec]) -> None:
        """Note the names."""
        self.asked.append(("create", *(spec.name for spec in specs)))

    def kill(self, names: Sequence[str]) -> None:
        """Note the names."""
        self.asked.append(("kill", *names))

    def sweep(self) -> None:
        """Note it, and fail where it has to."""
        self.asked.append(("sweep",))
        if self.broken:
            raise EngineError("oslo cannot be removed")

    def images(self, prefix: str) -> Sequence[str]:
        """Return one name."""
        return [f"{prefix}{len(self.forms)}"]


def both(*, broken: bool = False) -> tuple[Noted, Noted, MixedEngine]:
    containers = Noted(name="Docker")
    virtual = Noted(name="Vagrant", forms=("recipe", ""), broken=broken)
    mixed = MixedEngine(
        containers=containers,  # type: ignore[arg-type]
        virtual=virtual,  # type: ignore[arg-type]
        named=["oslo"],
    )
    return containers, virtual, mixed


def test_every_machine_goes_to_its_engine() -> None:
    containers, virtual, mixed = both()
    mixed.create([MachineSpec(name=name, image="x") for name in ("router", "oslo", "bergen")])
    mixed.kill(["bergen"])
    assert virtual.asked == [("create", "oslo")]
    assert containers.asked == [("create", "router", "bergen"), ("kill", "bergen")]


def test_its_milestones_are_no_container_labs_but_it_starts_from_those_too() -> None:
    _, _, mixed = both()
    assert mixed.forms == ("oslo=recipe", "")
    assert mixed.images("p") == ["p1", "p2"]


def test_virtual_machines_that_cannot_be_removed_keep_no_container() -> None:
    containers, _, mixed = both(broken=True)
    with pytest.raises(EngineError, match="oslo cannot be removed"):
        mixed.sweep()
    assert containers.asked == [("sweep",)]


def test_a_record_says_which_hosts_were_virtual() -> None:
    _, _, mixed = both()
    assert mixed.name == "Docker; Vagrant for oslo"


def test_a_lab_with_unreadable_notes_can_be_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("GENERALPROVE_DISKS", str(tmp_path / "disks"))
    client = Mock()
    client.containers.list.return_value = []
    monkeypatch.setattr("lab.lab.connect", lambda **_: client)
    notes = Store(lab="second").directory / "lab.json"
    notes.parent.mkdir(parents=True)
    notes.write_text("{")
    Lab(name="second", fleet=Fleet.load(), report=SilentReporter()).down()
    assert not notes.exists()


def test_what_vagrant_complains_of_is_not_where_in_its_code() -> None:
    log = "==> oslo: Starting\nThe box is gone (Gone)\n\tfrom /usr/lib/a.rb:1:in `b'\n"
    assert complaint(log) == "The box is gone (Gone)"

"""A virtual machine on paper: facts in, files and XML out."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.engine.base import EngineError, File, MachineSpec
from lab.engine.virsh import answer, parse_domains
from lab.engine.vm_plan import NETWORK, Computer, Ground, device, files, nic, size, vagrant_plan
from lab.engine.wiring import Cable

CABLE = Cable(machine="oslo", v4=IPv4Address("198.18.10.10"), v6=IPv6Address("fd18:0:10::10"))
HOSTS = File(content="127.0.1.1 oslo\n")
SPEC = MachineSpec(
    name="oslo",
    image="generalprove/base:1",
    files={"/etc/lab/hosts": HOSTS},
    cores=8,
    memory_mb=16384,
    cable=CABLE,
    gateway=IPv4Address("198.18.0.1"),
)
LAPTOP = Computer(cores=4, memory_mb=16384, driver="kvm")
GROUND = Ground(disk=Path("/d/disk.qcow2"), kernel=Path("/d/kernel"), initrd=Path("/d/initrd"))


def plan(computer: Computer) -> dict[str, object]:
    made = vagrant_plan(
        lab="second",
        spec=SPEC,
        ground=GROUND,
        directory=Path("/m/oslo"),
        seed="0123456789abcdef",
        computer=computer,
    )
    found: dict[str, object] = made["machines"]["oslo"]
    return found


def test_a_machine_has_its_hardware_as_far_as_it_is_here() -> None:
    assert size(SPEC, LAPTOP) == (4, 4096)
    assert size(SPEC, Computer(cores=16, memory_mb=131072, driver="kvm")) == (8, 16384)
    assert size(SPEC, Computer(cores=1, memory_mb=2048, driver="kvm")) == (1, 1024)


def test_it_gets_its_files_its_names_and_its_network_before_it_starts() -> None:
    found = files(SPEC)
    assert found["/etc/hosts"] == found["/etc/lab/hosts"] == HOSTS
    assert found["/etc/hostname"].content == "oslo\n"
    assert "Address=198.18.10.10/32" in str(found[NETWORK].content)


def test_a_saved_disk_keeps_its_names_and_gets_the_network_of_this_lab() -> None:
    saved = MachineSpec(name="oslo", image="saved", cable=CABLE, gateway=SPEC.gateway)
    assert list(files(saved)) == [NETWORK]


@pytest.mark.parametrize("spec", [{"uplink": True}, {"cache": "/var/cache"}])
def test_what_only_a_container_has_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(EngineError, match="no uplink and no cache"):
        files(MachineSpec(name="mirror", image="x", **spec))  # type: ignore[arg-type]


def test_the_box_is_started_by_the_kernel_on_it_and_talks_on_the_serial_line() -> None:
    found = plan(LAPTOP)
    assert (found["driver"], found["kernel"], found["initrd"]) == ("kvm", "/d/kernel", "/d/initrd")
    assert "root=/dev/vda" in str(found["command_line"])
    assert "console=ttyS0" in str(found["command_line"])
    assert found["console"] == "/m/oslo/console"


def test_only_an_emulated_machine_goes_without_the_kernels_guards() -> None:
    assert "mitigations" not in str(plan(LAPTOP)["command_line"])
    slow = Computer(cores=2, memory_mb=8192, driver="qemu")
    assert "mitigations=off" in str(plan(slow)["command_line"])
    assert slow.pace > LAPTOP.pace == 1


@given(st.from_regex(r"[a-z][a-z0-9-]{0,19}", fullmatch=True), st.sampled_from(["oslo", "bergen"]))
def test_device_names_fit_into_the_kernels_and_are_the_cards_own(lab: str, machine: str) -> None:
    assert len(device(lab, machine)) <= 15
    assert f"dev='{device(lab, machine)}'" in nic(lab, machine)


def test_two_labs_share_no_device_and_no_card() -> None:
    assert device("one", "oslo") != device("two", "oslo")
    assert nic("one", "oslo") != nic("two", "oslo")
    assert nic("one", "oslo") == nic("one", "oslo")


def test_libvirts_list_is_read() -> None:
    text = " 1    gp-a-oslo   running\n -    gp-a-bergen   shut off\n\n"
    assert parse_domains(text) == {"gp-a-oslo": "running", "gp-a-bergen": "shut off"}


def test_the_agents_last_word_is_read() -> None:
    assert answer({"exited": True, "exitcode": 3, "out-data": "aGkK"}).output == "hi\n"
    assert answer({"exited": True, "exitcode": 3}).code == 3
    assert answer({"exited": True, "signal": 9}).code == 137

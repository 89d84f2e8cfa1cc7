"""What is different on two hosts."""

from hypothesis import given
from hypothesis import strategies as st

from lab.fidelity import ASPECTS, LOOK, Difference, differences, parse

SAID = """\
== kernel
release\t6.12
interface eth0\tvirtio_net
== sysctls
net.ipv4.ip_forward\t0
net.ipv4.conf.eth0.forwarding\t0
== packages
udev\t257
"""


def test_what_a_host_said_is_read_aspect_by_aspect() -> None:
    found = parse(SAID)
    assert found["kernel"] == {"release": "6.12", "interface eth0": "virtio_net"}
    assert found["packages"] == {"udev": "257"}


def test_only_what_is_not_the_same_is_told() -> None:
    other = parse(SAID.replace("udev\t257\n", "").replace("6.12", "6.18"))
    assert differences(parse(SAID), other) == [
        Difference(aspect="kernel", what="release", one="6.12", other="6.18"),
        Difference(aspect="packages", what="udev", one="257", other=""),
    ]


def test_what_differs_on_any_two_machines_is_left_out() -> None:
    other = parse(SAID.replace("eth0.forwarding\t0", "eth0.forwarding\t1"))
    assert differences(parse(SAID), other) == []


def test_the_look_asks_for_every_aspect() -> None:
    assert all(f"echo '== {aspect}'" in LOOK for aspect in ASPECTS)


@given(st.text())
def test_no_answer_is_too_odd_to_be_read(text: str) -> None:
    assert differences(parse(text), parse(text)) == []

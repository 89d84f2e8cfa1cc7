"""How much memory each service takes."""

from __future__ import annotations

import pytest

from lab.footprint import parsed

SAID = """\
Pss 2000 /init.scope
SwapPss 0 /init.scope
Pss 300000 /system.slice/puppetserver.service
SwapPss 1500 /system.slice/puppetserver.service
Pss 1000 /system.slice/system-postfix.slice/postfix@-.service/inner
Pss 1500 /system.slice/system-postfix.slice/postfix@-.service
Pss 10 /
"""


def test_memory_is_summed_for_each_service() -> None:
    found = parsed(SAID)
    assert found.services == {
        "init.scope": 2.0,
        "puppetserver.service": 300.0,
        "postfix@-.service": 2.5,
        "/": 0.01,
    }
    assert found.total == pytest.approx(304.51)
    assert found.swapped == pytest.approx(1.5)
    assert str(found).splitlines()[0] == "   300.0 MB  puppetserver.service"


def test_of_nothing_nothing_is_said() -> None:
    assert parsed("").total == 0

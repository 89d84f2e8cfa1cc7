"""A mail server that is dead for good: when the other one may send what it had accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hands import operator_in

from lab.mail_takeover import Takeover, TakeoverCheckError
from lab.operator.ssh import SshError
from lab.steps.mail_ha_facts import HOSTS


class Hosts:
    """Hosts that are spoken to, some of which do not answer."""

    def __init__(self, *dead: str) -> None:
        self.dead = dead
        self.said: list[tuple[str, list[str]]] = []

    def run(self, host: str, command: list[str], **_: Any) -> Any:
        """Answer."""
        if host in self.dead:
            raise SshError("no answer", where=host)
        self.said.append((host, command))

        class Result:
            stdout = "3 messages were delivered\n"

        return Result()


def takeover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosts: Hosts, *serving: str
) -> Takeover:
    operator = operator_in(tmp_path)
    monkeypatch.setattr(operator.ssh, "run", hosts.run)
    monkeypatch.setattr(operator.stage, "read", lambda: {HOSTS: list(serving)})
    return Takeover(operator=operator, host=operator.fleet.host("oslo"))


def test_a_dead_servers_mail_is_sent_by_the_other_after_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = Hosts("oslo")
    takeover(tmp_path, monkeypatch, hosts, "oslo", "bergen").apply()
    replay = ["mail-journal", "replay", "--peer-is-dead"]
    assert hosts.said == [("bergen", replay), ("bergen", [*replay, "--apply"])]


def test_a_server_that_lives_sends_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts()
    with pytest.raises(TakeoverCheckError, match="sends what it had accepted itself"):
        takeover(tmp_path, monkeypatch, hosts, "oslo", "bergen").apply()
    assert hosts.said == [("oslo", ["true"])]


@pytest.mark.parametrize("serving", [(), ("oslo",), ("bergen",)])
def test_a_server_that_is_not_one_of_two_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serving: tuple[str, ...]
) -> None:
    with pytest.raises(TakeoverCheckError, match="together with another"):
        takeover(tmp_path, monkeypatch, Hosts("oslo"), *serving).check()

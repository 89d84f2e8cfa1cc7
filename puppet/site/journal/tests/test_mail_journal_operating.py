"""The commands: what they say, what they end with, and that a dry run changes nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path as Directory
from typing import Any

import pytest
from mail_journal import operating, postfix
from mail_journal.cli import main
from mail_journal.collector import Collector
from mail_journal.config import Config, ConfigError
from mail_journal.counts import Counts
from mail_journal.entry import new_id
from mail_journal.errors import Exit
from mail_journal.exchange import PeerError
from mail_journal.mailboxes import Copy
from mail_journal.postfix import Queued
from mail_journal.report import Metrics, Reporter, complaints
from mail_journal.store import Store

Said = pytest.CaptureFixture[str]
BASE = {
    "listen": "127.0.0.1",
    "peer": "127.0.0.1",
    "secret": "s" * 32,
    "doveadm_password": "p",
    "port": 1,
    "min_free": 0,
}


def configured(directory: Directory, **changes: object) -> Directory:
    for name in ("postfix", "spool/entries", "spool/replayed", "run"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    for name, text in {
        "domains": "e.test ours\n",
        "mailboxes": "u@e.test here\nv@e.test here\n",
        "aliases": "",
        "transport": "",
    }.items():
        (directory / "postfix" / name).write_text(text)
    document = BASE | {name: str(directory / name) for name in ("postfix", "spool", "run")}
    path = directory / "config.json"
    path.write_text(json.dumps(document | changes))
    return path


def test_a_configuration_is_read_and_what_is_wrong_with_it_is_said(tmp_path: Directory) -> None:
    config = Config.load(configured(tmp_path, max_age=60))
    assert (config.max_age, config.entries) == (60, tmp_path / "spool/entries")
    assert "s" * 32 not in repr(config)
    for changes, why in [({"colour": 1}, "no setting colour"), ({"secret": "short"}, "secret")]:
        with pytest.raises(ConfigError, match=why):
            Config.load(configured(tmp_path, **changes))
    with pytest.raises(ConfigError, match="Puppet"):
        Config.load(tmp_path / "missing.json")


class NoPeer:
    """A peer that is away."""

    def ask(self, question: Mapping[str, Any], *, seconds: float) -> Mapping[str, Any]:
        """Say nothing."""
        raise PeerError(f"{question} {seconds}", where="", reason="away", general=True)


class Boxes:
    """Dovecot, in memory."""

    def __init__(self, content: Mapping[str, list[Copy]]) -> None:
        self.content = {user: list(copies) for user, copies in content.items()}

    def ids(self, user: str, *, since: float) -> frozenset[str]:
        """Return the ids in one."""
        assert since >= 0
        return frozenset(copy.id for copy in self.content[user])

    def copies(self, user: str, *, since: float) -> list[Copy]:
        """Return what is in one."""
        assert since >= 0
        return self.content[user]

    def users(self) -> list[str]:
        """Return all."""
        return sorted(self.content)

    def expunge(self, user: str, *, folder: str, uid: int) -> None:
        """Remove one."""
        self.content[user] = [
            copy for copy in self.content[user] if (copy.folder, copy.uid) != (folder, uid)
        ]


@pytest.fixture
def service(tmp_path: Directory) -> Iterator[Directory]:
    """Return the configuration of a service that answers."""
    config = Config.load(configured(tmp_path))
    counts = Counts()
    store = Store(directory=config.entries, max_bytes=config.max_bytes, min_free=0)
    store.open(tidy=True)
    collector = Collector(
        store=store,
        peer=NoPeer(),
        mailboxes=Boxes({}),
        addresses=lambda: operating.the_addresses(config),
        notes=config.replayed,
        counts=counts,
    )
    collector.round()
    reporter = Reporter(config=config, store=store, collector=collector, counts=counts)
    server = Metrics(address="127.0.0.1", port=0, reporter=reporter, counts=counts)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield configured(tmp_path, metrics_port=server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


def test_status_says_what_is_wrong(service: Directory, capsys: Said) -> None:
    assert main(["--config", str(service), "status"]) == Exit.CHECK_FAILED
    assert "the milter does not run" in capsys.readouterr().out
    (service.parent / "run/milter.json").write_text('{"peer_up": 1, "journaled": 3}')
    assert main(["--config", str(service), "status"]) == Exit.OK
    assert "nothing is to be seen to" in capsys.readouterr().out
    (service.parent / "run/milter.json").write_text('{"peer_up": 0, "degraded_timeout": 2}')
    assert main(["--config", str(service), "status", "--json"]) == Exit.CHECK_FAILED
    found = json.loads(capsys.readouterr().out)
    assert (found["peer_up"], found["degraded"]) == (False, 2)


def test_status_of_a_service_that_is_not_there(tmp_path: Directory, capsys: Said) -> None:
    path = configured(tmp_path, metrics_port=1)
    assert main(["--config", str(path), "status"]) == Exit.COULD_NOT
    assert "systemctl status mail-journal" in capsys.readouterr().err


def test_every_bound_is_complained_about(tmp_path: Directory) -> None:
    config = Config.load(configured(tmp_path, max_age=60, max_bytes=100, min_free=10))
    fine = {
        "milter": True,
        "peer_up": True,
        "orphans": 0,
        "damaged": 0,
        "oldest": 1.0,
        "bytes": 10,
        "free": 100,
        "last_round": 1000.0,
    }
    assert list(complaints(fine, config=config, now=1010)) == []
    for change in [
        {"milter": False},
        {"peer_up": False},
        {"orphans": 1},
        {"damaged": 1},
        {"oldest": 61.0},
        {"bytes": 90},
        {"free": 9},
        {"last_round": 10.0},
    ]:
        assert len(list(complaints(fine | change, config=config, now=1010))) == 1


ONE, TWO = new_id(), new_id()


class Node:
    """A node that came back, in memory."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.running = False
        self.queue = {"Q1": ONE, "Q2": TWO, "Q3": ""}
        self.done: list[str] = []
        self.replayed: Mapping[str, list[str]] | None = {ONE: ["u@e.test"]}
        self.boxes = Boxes(
            {
                "u@e.test": [Copy(id="1", folder="INBOX", uid=uid, flags="") for uid in (1, 2)],
                "v@e.test": [],
            }
        )
        patch.setattr(postfix, "running", lambda: self.running)
        patch.setattr(postfix, "start", lambda: self.done.append("start"))
        patch.setattr(postfix, "purge", lambda ids: self.done.append(f"purge {','.join(ids)}"))
        patch.setattr(postfix, "journal_id", self.queue.__getitem__)
        patch.setattr(
            postfix,
            "queue",
            lambda: [Queued(queue_id=one, recipients=("u@e.test",)) for one in self.queue],
        )
        patch.setattr(operating, "the_peer", lambda _: self)
        patch.setattr(operating, "the_mailboxes", lambda _: self.boxes)
        patch.setattr(operating, "_sync", lambda command, **_: self.done.append(command))

    def ask(self, question: Mapping[str, Any], *, seconds: float) -> Mapping[str, Any]:
        """Say what the peer replayed."""
        if self.replayed is None:
            raise PeerError(f"away {seconds}", where="", reason="away", general=True)
        return {
            "replayed": {
                one: self.replayed[one] for one in question["replayed"] if one in self.replayed
            }
        }


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(monkeypatch)


def rejoin(directory: Directory, *options: str) -> int:
    return main(["--config", str(configured(directory)), "rejoin", *options])


def test_a_dry_run_says_what_would_be_purged(tmp_path: Directory, node: Node, capsys: Said) -> None:
    assert rejoin(tmp_path, "--sync", "sync") == Exit.OK
    assert "3 messages in the queue: 1 would be purged" in capsys.readouterr().out
    assert node.done == []


def test_a_node_syncs_purges_removes_second_copies_and_starts(
    tmp_path: Directory, node: Node
) -> None:
    assert rejoin(tmp_path, "--sync", "sync", "--apply") == Exit.OK
    assert node.done == ["sync", "purge Q1", "sync", "start"]
    assert [copy.uid for copy in node.boxes.content["u@e.test"]] == [1]


def test_before_postfix_starts_by_itself_only_the_queue_is_looked_at(
    tmp_path: Directory, node: Node
) -> None:
    assert rejoin(tmp_path, "--apply", "--no-start") == Exit.OK
    assert node.done == ["purge Q1"]
    assert len(node.boxes.content["u@e.test"]) == 2


def test_while_postfix_runs_nothing_is_begun(tmp_path: Directory, node: Node, capsys: Said) -> None:
    node.running = True
    assert rejoin(tmp_path, "--apply") == Exit.REFUSED
    assert "systemctl stop" in capsys.readouterr().err
    assert node.done == []


def test_without_the_peer_nothing_is_purged(tmp_path: Directory, node: Node, capsys: Said) -> None:
    node.replayed = None
    assert rejoin(tmp_path, "--apply") == Exit.COULD_NOT
    assert "--alone" in capsys.readouterr().err
    assert node.done == []
    assert rejoin(tmp_path, "--apply", "--alone") == Exit.OK
    assert node.done == ["purge ", "start"]


def test_second_copies_are_named_and_removed(tmp_path: Directory, node: Node, capsys: Said) -> None:
    path = str(configured(tmp_path))
    assert main(["--config", path, "dedupe"]) == Exit.OK
    assert "u@e.test: INBOX, number 2" in capsys.readouterr().out
    assert len(node.boxes.content["u@e.test"]) == 2
    assert main(["--config", path, "dedupe", "--sync", "sync"]) == Exit.OK
    assert node.done == []
    assert main(["--config", path, "dedupe", "--apply", "--sync", "sync"]) == Exit.OK
    assert len(node.boxes.content["u@e.test"]) == 1
    assert node.done == ["sync u@e.test"]
    assert main(["--config", path, "dedupe", "--apply", "--sync", "sync"]) == Exit.OK
    assert node.done == ["sync u@e.test"]


def test_a_wrong_command_line_is_explained(tmp_path: Directory, capsys: Said) -> None:
    for arguments in (["rejoin", "--force"], ["--help"], []):
        with pytest.raises(SystemExit):
            main(["--config", str(configured(tmp_path)), *arguments])
    said = capsys.readouterr()
    assert "examples:" in said.out
    assert "usage:" in said.err

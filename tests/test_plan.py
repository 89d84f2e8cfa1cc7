"""Plans: from recorded catalogs and a recorded report to what people are told.

``tests/plan`` holds parts of two real catalogs of Tromsø, as ``compile_catalogs.rb`` writes them:
the release as it stood, and one in which logging was changed for the occasion.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import random
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from lab.promote.blast import blast, reach
from lab.promote.catalog import SECRET, Catalog
from lab.promote.catalog_diff import Kind, diff, parameter
from lab.promote.catalogs import CatalogsError, Compiled, CompileError, compile_error
from lab.promote.catalogs import read as read_archive
from lab.promote.noop import Event, Look, NoopError
from lab.promote.noop import read as read_report
from lab.promote.plan import (
    DriftError,
    Plan,
    Verdict,
    as_json,
    host_plan,
    refuse_drift,
)
from lab.promote.plan_text import page, render, render_drift
from lab.report.plan import headline
from tests.test_report import Checked

RECORDED = Path(__file__).parent / "plan"


def record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return found


def catalog(recorded: dict[str, Any]) -> Catalog:
    return Catalog.read(recorded, texts=recorded.get("texts"))


OLD, NEW = catalog(record("old")), catalog(record("new"))
CHANGES = {change.ref: change for change in diff(OLD, NEW)}


def test_a_catalog_does_not_differ_from_itself() -> None:
    assert diff(OLD, OLD) == ()


def test_every_difference_on_the_host_is_found_and_no_other() -> None:
    assert {ref: change.kind for ref, change in CHANGES.items()} == {
        "File[/etc/nftables.conf]": Kind.CHANGED,
        "File[/etc/nginx/puppetboard.users]": Kind.CHANGED,
        "File[/etc/rsyslog.d/trial.conf]": Kind.ADDED,
        "File[/etc/ssh/sshd_config]": Kind.CHANGED,
        "File[/etc/systemd/journald.conf.d/fleet.conf]": Kind.CHANGED,
        "Package[rsyslog]": Kind.ADDED,
        "Service[puppet.service]": Kind.REMOVED,
        "Service[rsyslog.service]": Kind.ADDED,
    }


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_order_does_not_matter(chance: random.Random) -> None:
    shuffled = record("new")
    chance.shuffle(shuffled["resources"])
    chance.shuffle(shuffled["edges"])
    assert diff(OLD, catalog(shuffled)) == tuple(CHANGES.values())
    assert (
        reach(catalog(shuffled), tuple(CHANGES.values())).refs
        == reach(NEW, tuple(CHANGES.values())).refs
    )


def test_relationships_are_sets_and_order_is_no_change() -> None:
    other = record("old")
    for resource in other["resources"]:
        for name in ("before", "require", "notify", "subscribe"):
            if isinstance(resource["parameters"].get(name), list):
                resource["parameters"][name].reverse()
        resource["parameters"]["before"] = "Package[anything]"
    assert diff(OLD, catalog(other)) == ()


@pytest.mark.parametrize(
    ("ref", "line"),
    [
        ("File[/etc/systemd/journald.conf.d/fleet.conf]", "+SystemMaxUse=700M"),
        # Only referred to, and fetched when it is applied.
        ("File[/etc/ssh/sshd_config]", "+LoginGraceTime 20"),
        # Put together from fragments.
        (
            "File[/etc/nftables.conf]",
            '+\t\tip saddr @fleet4 tcp dport { 514 } accept comment "syslog"',
        ),
    ],
)
def test_files_are_shown_as_text_wherever_their_content_comes_from(ref: str, line: str) -> None:
    (text,) = CHANGES[ref].texts
    assert line in text.lines


def test_what_is_given_up_stays_on_the_host() -> None:
    change = CHANGES["Service[puppet.service]"]
    assert not change.effect
    assert change.ref not in reach(NEW, tuple(CHANGES.values())).refs


def test_a_secret_is_only_said_to_have_changed() -> None:
    (text,) = CHANGES["File[/etc/nginx/puppetboard.users]"].texts
    assert (text.hidden, text.lines) == ("secret", ())
    assert parameter("keys", {"a": SECRET + "1", "b": "2"}, {"a": SECRET + "3", "b": "2"}).secret


def test_a_file_whose_difference_is_not_to_be_shown_is_a_secret_too() -> None:
    other = copy.deepcopy(record("old"))
    for resource in other["resources"]:
        if resource["ref"] == "File[/etc/systemd/journald.conf.d/fleet.conf]":
            resource["parameters"] |= {"show_diff": False, "content": "password\n"}
    (change,) = diff(OLD, catalog(other))
    assert change.texts[0].hidden
    assert "password" not in repr(change)


def test_the_blast_radius_names_services_ports_and_packages() -> None:
    changes = tuple(CHANGES.values())
    found = blast(OLD, NEW, changes, reach(NEW, changes))
    assert [(one.name, one.verb) for one in found.services] == [
        ("nftables.service", "reload"),
        ("rsyslog.service", "start"),
        ("ssh.service", "reload"),
        ("systemd-journald.service", "restart"),
    ]
    assert list(map(str, found.opened)) == ["514/tcp from fleet", "514/udp from fleet"]
    assert (found.closed, found.installed, found.removed) == ((), ("rsyslog",), ())


def test_the_way_back_closes_the_ports_and_removes_no_package() -> None:
    changes = diff(NEW, OLD)
    found = blast(NEW, OLD, changes, reach(OLD, changes))
    assert list(map(str, found.closed)) == ["514/tcp from fleet", "514/udp from fleet"]
    assert (found.opened, found.installed, found.removed) == ((), (), ())


def test_a_restart_by_a_command_is_a_restart() -> None:
    other = record("old")
    for resource in other["resources"]:
        if resource["ref"] == "File[/etc/puppet/routes.yaml]":
            resource["files"] = {"": "another"}
    changed = catalog(other)
    changes = diff(OLD, changed)
    (service,) = blast(OLD, changed, changes, reach(changed, changes)).services
    assert (service.name, service.verb) == ("puppetserver.service", "restart")
    assert service.because == "File[/etc/puppet/routes.yaml]"


def made(*entries: tuple[str, dict[str, Any]], edges: list[list[str]] | None = None) -> Catalog:
    resources = [{"ref": ref, "parameters": values} for ref, values in entries]
    return Catalog.read({"resources": resources, "edges": edges or []})


def test_who_is_told_as_a_class_tells_all_inside() -> None:
    found = made(
        ("File[/a]", {"notify": "Class[B]"}),
        ("Class[B]", {"notify": ["Service[d]"]}),
        ("Service[b]", {}),
        ("File[/b]", {}),
        ("Service[d]", {}),
        ("Service[still]", {"ensure": "stopped", "subscribe": ["File[/a]"]}),
        edges=[["Class[B]", "Service[b]"], ["Class[B]", "File[/b]"]],
    )
    # The class has told its own when something in it reacted.
    assert found.refreshed(["File[/a]"]) == {"Service[b]": "File[/a]", "Service[d]": "Service[b]"}
    assert found.refreshed(["File[/b]"]) == {"Service[d]": "File[/b]"}
    assert found.refreshed(["File[/unknown]"]) == {}


def test_a_command_that_waits_to_be_told_is_not_touched_by_its_own_change() -> None:
    old = made(("Exec[x]", {"command": "/bin/a", "refreshonly": True}))
    new = made(("Exec[x]", {"command": "/bin/b", "refreshonly": True}))
    (change,) = diff(old, new)
    assert not reach(new, (change,)).refs


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            (
                "Evaluation Error: Error while evaluating a Function Call, "
                "Class[Profile::Journald]: parameter 'max_use' expects a String value, got Integer "
                "(file: site/profile/manifests/base.pp, line: 6, column: 3) on node oslo.example"
            ),
            (
                "site/profile/manifests/base.pp:6: Class[Profile::Journald]: parameter 'max_use' "
                "expects a String value, got Integer"
            ),
        ),
        (
            (
                "Unable to parse (data/nodes/oslo.yaml): did not find expected node content while "
                "parsing a flow node at line 2 column 1 on node oslo.lab.nordlys.example"
            ),
            (
                "data/nodes/oslo.yaml:2: did not find expected node content while "
                "parsing a flow node"
            ),
        ),
        (
            "Syntax error at '}' (file: site/role/manifests/control.pp, line: 9, column: 1)",
            "site/role/manifests/control.pp:9: Syntax error at '}'",
        ),
    ],
)
def test_an_error_says_where_first(message: str, said: str) -> None:
    assert str(compile_error(message)) == said


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content.encode())
            tar.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def test_a_host_that_does_not_compile_hides_no_other() -> None:
    files = {
        "new/real/tromso.json": json.dumps(record("new")),
        "new/real/oslo.error.json": json.dumps({"message": "no (file: a.pp, line: 3)"}),
        "new/texts/abc": "hello",
    }
    (found,) = read_archive(archive(files), ["new"], ["oslo", "tromso"], where="tromso")
    assert found.errors == {"oslo": CompileError(message="no", file="a.pp", line=3)}
    assert found.catalogs["tromso"].texts == {"abc": "hello"}


def test_a_tool_that_does_not_work_is_told_by_its_last_words() -> None:
    files = {"new.said": "ruby: No such file\n"}
    with pytest.raises(CatalogsError, match=r"tromso: release new .* ruby: No such file"):
        read_archive(archive(files), ["new"], ["oslo"], where="tromso")


def compiled(release: str, **catalogs: Catalog) -> Compiled:
    return Compiled(release=release, catalogs=catalogs, errors={})


def looked(*events: Event, failed: dict[str, str] | None = None) -> Look:
    return Look(host="tromso", release="new", events=events, failed=failed or {})


def planned(seen: Look | NoopError, *, new: Catalog = NEW) -> Plan:
    host = host_plan(
        "tromso", old=compiled("old", tromso=OLD), new=compiled("new", tromso=new), seen=seen
    )
    return Plan(
        old="old",
        new="new",
        hosts=(host,),
        fleet="nordlys",
        site="lab",
        made=datetime(2026, 11, 22, 17, 0, tzinfo=UTC),
        seconds=3.2,
    )


SSHD = OLD.content(OLD.resources["File[/etc/ssh/sshd_config]"])[""].checksum
PREDICTED = looked(
    Event(
        ref="File[/etc/ssh/sshd_config]",
        property="content",
        old=f"{{sha256}}{SSHD}",
        new="{sha256}2",
    ),
    Event(ref="Service[ssh.service]", property="refresh"),
)
BY_HAND = Event(ref="File[/etc/hosts]", property="mode", old="0664", new="0644")


def test_what_was_predicted_and_found_is_no_surprise() -> None:
    (host,) = planned(PREDICTED).hosts
    assert (host.verdict, host.unpredicted) == (Verdict.CHANGED, ())
    assert "File[/etc/rsyslog.d/trial.conf]" in host.already


def test_what_nobody_predicted_stops_a_promotion_unless_it_is_named() -> None:
    found = planned(looked(*PREDICTED.events, BY_HAND))
    assert found.unpredicted == (("tromso", "File[/etc/hosts]"),)
    assert found.unaccepted([]) == found.unpredicted
    assert found.unaccepted(["File[/etc/hosts]"]) == ()


@pytest.mark.parametrize(
    "event",
    [
        Event(ref="File[/etc/ssh/sshd_config]", property="content", old="{sha256}1", new="2"),
        Event(ref="File[/etc/ssh/sshd_config]", property="mode", old="0666", new="0644"),
        Event(ref="File[/etc/ssh/sshd_config]", property="ensure", old="absent", new="file"),
    ],
)
def test_an_edit_by_hand_does_not_hide_behind_a_change_of_the_same_file(event: Event) -> None:
    assert planned(looked(event)).unpredicted == (("tromso", "File[/etc/ssh/sshd_config]"),)


def test_what_follows_from_a_change_by_hand_is_accepted_with_it() -> None:
    routes = Event(ref="File[/etc/puppet/routes.yaml]", property="content", new="x")
    restart = Event(ref="Exec[puppetserver: restart]", property="refresh")
    found = planned(looked(routes, restart), new=OLD)
    assert [ref for _, ref in found.unpredicted] == ["File[/etc/puppet/routes.yaml]"]
    # A reaction to nothing is a surprise of its own.
    alone = planned(looked(restart), new=OLD)
    assert [ref for _, ref in alone.unpredicted] == ["Exec[puppetserver: restart]"]


def test_a_new_resource_that_cannot_be_looked_at_yet_is_no_drift() -> None:
    seen = looked(failed={"Service[rsyslog.service]": "no such unit", "Exec[odd]": "not found"})
    (host,) = planned(seen).hosts
    assert host.unseen == {"Service[rsyslog.service]": "no such unit"}
    assert host.unpredicted == ("Exec[odd]",)


def test_no_change_and_nothing_found_is_unchanged() -> None:
    found = planned(looked(), new=OLD)
    assert found.hosts[0].verdict is Verdict.UNCHANGED
    assert not found.changed
    assert headline(found).words == "Nothing to do"


def test_a_host_that_does_not_answer_is_an_error_that_still_says_what_was_predicted() -> None:
    found = planned(NoopError("Puppet did not look: no route", where="tromso"))
    assert [host.error for host in found.errors] == ["Puppet did not look: no route"]
    assert found.errors[0].changes


def test_a_report_says_what_would_be_done() -> None:
    found = read_report(json.loads((RECORDED / "report.json").read_text()), host="oslo")
    assert [(event.ref, event.property) for event in found.events] == [
        ("File[/etc/hosts]", "mode"),
        ("File[/etc/systemd/journald.conf.d/fleet.conf]", "content"),
        ("Service[systemd-journald.service]", "refresh"),
    ]
    assert found.events[1].new.startswith("{sha256}7d5e5456")


def test_a_secret_in_a_report_is_not_shown() -> None:
    event = {
        "status": "noop",
        "property": "content",
        "name": "content_changed",
        "redacted": True,
        "previous_value": "{sha256}1",
        "desired_value": "{sha256}2",
        "message": "current_value [redacted], should be [redacted] (noop)",
    }
    report = {
        "status": "unchanged",
        "release": "new",
        "errors": [],
        "told": [],
        "resources": [{"ref": "File[/s]", "failed": False, "events": [event]}],
    }
    (found,) = read_report(report, host="oslo").events
    assert (found.property, found.old, found.new) == ("content", "", "")


def test_a_run_without_a_catalog_did_not_look() -> None:
    report = {
        "status": "failed",
        "release": None,
        "told": [],
        "resources": [],
        "errors": [["Puppet", "no!"]],
    }
    with pytest.raises(NoopError, match="oslo: Puppet did not look: no!"):
        read_report(report, host="oslo")


def said(plan: Plan) -> str:
    out = Console(file=io.StringIO(), width=140)
    out.print(render(plan))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    return str(text)


def test_people_are_told_at_a_glance_and_in_detail() -> None:
    text = said(planned(looked(*PREDICTED.events, BY_HAND)))
    assert "3 added, 1 removed, 4 changed" in text
    assert "open 514/tcp from fleet, 514/udp from fleet" in text
    assert "+SystemMaxUse=700M" in text
    assert "content changed (secret)" in text
    assert "mode: 0664 -> 0644" in text
    assert "--accept 'File[/etc/hosts]'" in text


def test_no_checksum_of_a_secret_gets_out() -> None:
    found = planned(PREDICTED)
    for text in (said(found), json.dumps(as_json(found), default=str), page(found)):
        assert SECRET not in text


def test_the_same_change_is_told_once() -> None:
    one = planned(PREDICTED)
    two = dataclasses.replace(
        one, hosts=(dataclasses.replace(one.hosts[0], host="oslo"), *one.hosts)
    )
    assert said(two).count("SystemMaxUse=700M") == 1
    assert page(two).count("SystemMaxUse=700M") == 1
    assert "as on oslo" in page(two)


@pytest.mark.parametrize(
    "found",
    [
        planned(looked(*PREDICTED.events, BY_HAND, dataclasses.replace(BY_HAND, new="<b>"))),
        planned(looked(), new=OLD),
        planned(NoopError("<script>", where="tromso")),
    ],
)
def test_the_page_is_whole_and_fetches_nothing(found: Plan) -> None:
    html = page(found)
    checked = Checked()
    checked.feed(html)
    assert checked.open == []
    assert "<script>" not in html
    assert "<b>" not in html
    assert "://" not in html


def test_drift_is_an_error_and_none_is_not() -> None:
    refuse_drift(planned(looked(), new=OLD))
    found = planned(looked(BY_HAND), new=OLD)
    with pytest.raises(DriftError, match="not as release new says: tromso") as raised:
        refuse_drift(found)
    assert raised.value.exit_code == 1
    out = Console(file=io.StringIO(), width=140)
    out.print(render_drift(found))
    assert "0664" in out.file.getvalue()  # type: ignore[attr-defined]

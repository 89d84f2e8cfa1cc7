"""What to think of a run of Puppet, by its exit code, its summary and its words."""

from __future__ import annotations

import pytest

from lab.operator.puppet_run import PuppetCheckError, PuppetError, judge
from lab.operator.ssh import Result

Summary = dict[str, dict[str, object]]

SUMMARY: Summary = {
    "version": {"config": "0123456789ab", "puppet": "8.10.0"},
    "resources": {"changed": 3, "failed": 0, "failed_to_restart": 0, "out_of_sync": 3},
}


def ended(code: int, said: str = "") -> Result:
    return Result(host="oslo", command="puppet agent", code=code, stdout=said, stderr="")


def failed(number: int) -> Summary:
    return {"version": {"config": "x"}, "resources": {"failed": number, "out_of_sync": number}}


def test_a_run_with_changes_is_a_good_run() -> None:
    run = judge(ended(2), SUMMARY, seconds=4.5)
    assert (run.host, run.changed, run.failed, run.release) == ("oslo", 3, 0, "0123456789ab")


def test_a_run_without_changes_is_one_too() -> None:
    summary: Summary = {"version": {"config": "x"}, "resources": {"out_of_sync": 0, "failed": 0}}
    assert judge(ended(0), summary, seconds=4.5).changed == 0


def test_what_a_run_would_change_counts_as_changes() -> None:
    noop: Summary = {"version": {"config": "x"}, "resources": {"changed": 0, "out_of_sync": 7}}
    assert judge(ended(0), noop, seconds=4.5).changed == 7


@pytest.mark.parametrize("code", [4, 6])
def test_failures_are_told_by_the_first(code: int) -> None:
    said = "Info: Applying\nError: Could not start Service[puppetdb]\nError: another\n"
    with pytest.raises(PuppetCheckError, match=r"oslo: .* 2 resources: Could not start Service"):
        judge(ended(code, said), failed(2), seconds=1.0)


def test_a_command_that_failed_is_told_by_what_it_said() -> None:
    paths = [
        f"/Stage[main]/Profile::Dns/Profile::Dns::Primary[{z}]/Exec[dns: load {z}]" for z in "ab"
    ]
    notices = [
        f"Notice: {path}/returns: {word}" for path in paths for word in ("Loading", path[-2])
    ]
    errors = [
        f"Error: {each}"
        for path in paths
        for each in (
            "'/usr/local/sbin/pdns-zone load' returned 1 instead of one of [0]",
            f"{path}/returns: change from 'notrun' to ['0'] failed: returned 1",
        )
    ]
    with pytest.raises(PuppetCheckError, match=r"2 resources: Exec\[dns: load a\]: a$"):
        judge(ended(6, "\n".join([*notices, *errors])), failed(2), seconds=1.0)


def test_a_failure_is_one_whatever_the_exit_code_says() -> None:
    with pytest.raises(PuppetCheckError):
        judge(ended(0), failed(1), seconds=1.0)


def test_a_host_that_is_held_says_why() -> None:
    said = (
        "Notice: Skipping run of Puppet configuration client; administratively disabled "
        "(Reason: 'by a person');\nUse 'puppet agent --enable' to re-enable.\n"
    )
    with pytest.raises(PuppetError, match=r"administratively disabled \(Reason: 'by a person'\)"):
        judge(ended(1, said), {}, seconds=1.0)


def test_no_run_at_all_is_told_by_the_last_words() -> None:
    with pytest.raises(PuppetError, match="sh: puppet: not found"):
        judge(ended(127, "sh: puppet: not found\n"), {}, seconds=1.0)
    with pytest.raises(PuppetError, match="it said nothing"):
        judge(ended(1), {}, seconds=1.0)

"""What a release would change on the hosts as they really are: Puppet looks, and touches nothing.

The run leaves nothing on the host. Its report, its state and the plug-ins of a release that is
not in force go to a directory that is removed at the end; only the lock that keeps two runs
apart is the usual one. No report reaches PuppetDB. What the server was asked for does: PuppetDB
holds the catalog of the release looked at until the host's next run.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab.errors import CouldNotError
from lab.operator.puppet import RUN_SECONDS, Puppet
from lab.text import last_line

RESTARTED: Final = "refresh"
"""What an event is about when a resource would react to another."""

# Of a resource, a log has the whole path; of what only holds others, no more than its name.
_RESOURCE: Final = re.compile(r"/.*/([A-Z][\w:]*\[.*\])$")

# The report as JSON, without the types of Ruby that it names: only those of Puppet know them.
# A resource that would react to another has no event of its own, only a line of the log.
_READ_REPORT: Final = """
require "psych"; require "json"
tree = Psych.parse(File.read(ARGV[0])) or exit
tree.each { |node| node.tag = nil if node.respond_to?(:tag=) && node.tag.to_s.start_with?("!ruby") }
report = tree.to_ruby
all = report.fetch("resource_statuses", {}).values
told = report["logs"].to_a.select { |log| log["message"].start_with?("Would have triggered") }
found = all.select do |one|
  one["failed"] || one["failed_to_restart"] || !one["events"].to_a.empty?
end
logs = report["logs"].to_a.select { |log| %w[err alert crit emerg].include?(log["level"].to_s) }
puts JSON.generate(
  "status" => report["status"].to_s, "release" => report["configuration_version"],
  "errors" => logs.map { |log| [log["source"], log["message"]] },
  "told" => told.map { |log| log["source"] },
  "resources" => found.map do |one|
    events = one["events"].to_a.map do |event|
      event.slice("property", "previous_value", "desired_value", "message", "name", "redacted")
           .merge("status" => event["status"].to_s)
    end
    { "ref" => one["resource"], "events" => events,
      "failed" => one["failed"] || one["failed_to_restart"] || false }
  end
)
"""

_SCRIPT: Final = """
dir=$(mktemp -d /run/generalprove-noop.XXXXXX); trap 'rm -rf "$dir"' EXIT
mkdir "$dir/lib" "$dir/facts.d" "$dir/state" "$dir/public"
# What is there already need not be fetched.
cp -a /var/cache/puppet/lib/. "$dir/lib" 2>/dev/null || true
cp -a /var/cache/puppet/facts.d/. "$dir/facts.d" 2>/dev/null || true
printf 'agent:\\n  report:\\n    terminus: yaml\\n' >"$dir/routes.yaml"
"$@" --route_file "$dir/routes.yaml" --lastrunreport "$dir/report.yaml" \
    --statedir "$dir/state" --publicdir "$dir/public" \
    --agent_catalog_run_lockfile /var/cache/puppet/state/agent_catalog_run.lock \
    --agent_disabled_lockfile "$dir/held-by-nobody" \
    --libdir "$dir/lib" --plugindest "$dir/lib" --pluginfactdest "$dir/facts.d" \
    >"$dir/said" 2>&1 || true
if [ -s "$dir/report.yaml" ]; then
    ruby -e "$READ" "$dir/report.yaml"
else
    tail -n 20 "$dir/said" >&2; exit 1
fi
"""


class NoopError(CouldNotError):
    """A host could not be looked at."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that a run would do.

    Attributes:
        ref: the resource.
        property: what of it; ``refresh`` when it would react to another resource.
        old: as it is.
        new: as it is wanted.
        message: in Puppet's words.
    """

    ref: str
    property: str
    old: str = ""
    new: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a run that only looked found on one host.

    Attributes:
        host: its name.
        release: that it was asked about.
        events: what would be done.
        failed: resource -> why it could not be looked at.
    """

    host: str
    release: str
    events: tuple[Event, ...]
    failed: Mapping[str, str]


def look(puppet: Puppet, host: str, *, certname: str, environment: str) -> Look:
    """Let Puppet look at a host, whoever holds it.

    Args:
        puppet: Puppet there.
        host: its name.
        certname: its name in Puppet.
        environment: of the release.

    Raises:
        NoopError: it did not come so far as to look.
    """
    command = [
        *("puppet", "agent", "--onetime", "--no-daemonize", "--verbose", "--color=false"),
        *("--logdest", "console", "--noop", "--environment", environment),
        *("--server", puppet.server, "--certname", certname),
        *("--waitforcert", "0", "--waitforlock", "5", "--maxwaitforlock", "15m"),
    ]
    done = puppet.ssh.run(
        host,
        ["env", f"READ={_READ_REPORT}", "sh", "-euc", _SCRIPT, "sh", *command],
        timeout=RUN_SECONDS,
        check=False,
    )
    if not done.ok or not done.stdout.strip():
        raise NoopError(f"Puppet did not look: {last_line(done.stderr)}", where=host)
    return read(json.loads(done.stdout), host=host)


def read(report: Mapping[str, Any], *, host: str) -> Look:
    """Return what a report says, as the script on the host hands it over.

    Raises:
        NoopError: there was no catalog to look with.
    """
    resources = report["resources"]
    errors = [(source, message) for source, message in report["errors"]]
    if report["status"] == "failed" and not resources:
        said = errors[0][1] if errors else "it does not say why"
        raise NoopError(f"Puppet did not look: {said}", where=host)
    failed = {
        one["ref"]: next(
            (message for source, message in errors if f"/{one['ref']}" in str(source)),
            "it failed",
        )
        for one in resources
        if one["failed"]
    }
    events = [
        _event(one["ref"], event)
        for one in resources
        for event in one["events"]
        if event["status"] == "noop"
    ]
    told = [match[1] for source in report["told"] if (match := _RESOURCE.match(source))]
    events += [Event(ref=ref, property=RESTARTED) for ref in told]
    return Look(
        host=host,
        release=str(report["release"] or ""),
        events=tuple(sorted(set(events), key=lambda event: (event.ref, event.property))),
        failed=failed,
    )


def _event(ref: str, event: Mapping[str, Any]) -> Event:
    if event.get("redacted"):
        return Event(ref=ref, property=str(event["property"]), message="changes what is secret")
    return Event(
        ref=ref,
        property=str(event.get("property") or ""),
        old=_value(event.get("previous_value")),
        new=_value(event.get("desired_value")),
        message=str(event.get("message") or ""),
    )


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_value(inner) for inner in value)
    text = "" if value is None else str(value)
    # Puppet writes the checksum of a file that it has to fetch as bytes.
    if re.fullmatch(r"e3[\w+/]{20,}={0,2}", text):
        return base64.b64decode(text).decode(errors="replace")
    return text

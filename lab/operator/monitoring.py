"""What Prometheus and Alertmanager on the control host say, asked there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.errors import CouldNotError
from lab.operator.ssh import Ssh, SshError

PROMETHEUS: Final = "http://127.0.0.1:9090/prometheus"
ALERTMANAGER: Final = "http://127.0.0.1:9093/alertmanager"
WATCHDOG: Final = "Watchdog"
"""The alert that always fires, so that its absence is noticed outside."""


class MonitoringError(CouldNotError):
    """The monitoring gave no answer."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One answer to a question.

    Attributes:
        labels: whose it is.
        value: the number.
    """

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """The monitoring of one fleet.

    Attributes:
        ssh: the way to the control host.
        host: its name.
    """

    ssh: Ssh
    host: str

    def ask(self, question: str) -> list[Sample]:
        """Return what Prometheus answers to a question in PromQL, now.

        Raises:
            MonitoringError: it does not answer.
        """
        data = f"query={question}"
        found = self._json(["--data-urlencode", data, f"{PROMETHEUS}/api/v1/query"])
        return [
            Sample(labels=each["metric"], value=float(each["value"][1]))
            for each in found["data"]["result"]
        ]

    def silent(self) -> list[str]:
        """Return who does not tell anything, each with the reason.

        Raises:
            MonitoringError: Prometheus does not answer.
        """
        found = self._json([f"{PROMETHEUS}/api/v1/targets?state=active"])
        return [
            f"{each['labels']['job']} on {each['labels']['instance']} tells nothing: "
            f"{each['lastError'] or 'not asked yet'}"
            for each in found["data"]["activeTargets"]
            if each["health"] != "up"
        ]

    def firing(self) -> list[str]:
        """Return the alerts that fire, besides the one that always does.

        Raises:
            MonitoringError: Prometheus does not answer.
        """
        alerts = self._json([f"{PROMETHEUS}/api/v1/alerts"])["data"]["alerts"]
        return [
            each["annotations"]["summary"]
            for each in alerts
            if each["state"] == "firing" and each["labels"]["alertname"] != WATCHDOG
        ]

    def alert(self, *, name: str, annotations: Mapping[str, str], until: str) -> None:
        """Let Alertmanager tell people something.

        Args:
            name: of the alert.
            annotations: what is told.
            until: when it is over, ISO 8601.

        Raises:
            MonitoringError: it does not take it.
        """
        alert = [{"labels": {"alertname": name}, "annotations": dict(annotations), "endsAt": until}]
        options = ["--header", "Content-Type: application/json", "--data", json.dumps(alert)]
        self._curl([*options, f"{ALERTMANAGER}/api/v2/alerts"])

    def _json(self, options: Sequence[str]) -> dict[str, Any]:
        said = self._curl(options)
        try:
            found: dict[str, Any] = json.loads(said)
        except ValueError as error:
            raise MonitoringError(f"an answer that is none: {error}", where=self.host) from error
        return found

    def _curl(self, options: Sequence[str]) -> str:
        command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "20"]
        try:
            return self.ssh.run(self.host, [*command, *options]).stdout
        except SshError as error:
            raise MonitoringError(
                f"no answer: {error.what}",
                where=self.host,
                remedy="`systemctl status prometheus prometheus-alertmanager` there",
            ) from error

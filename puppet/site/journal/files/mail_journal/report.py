"""How the journal stands: for Prometheus, for programs and for people."""

from __future__ import annotations

import http
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mail_journal.bounded import Bounded, Patient
from mail_journal.collect import Why
from mail_journal.collector import Collector
from mail_journal.config import Config
from mail_journal.counts import Counts
from mail_journal.store import Store

WRITTEN_EVERY: Final = 2.0
STALE: Final = 15.0
"""Seconds after which a milter that writes nothing is not there."""

LATE_ROUND: Final = 120.0
"""Seconds after which somebody shall look why no entries are looked at."""

_PREFIX: Final = "mail_journal_"


def write_counts(path: Path, counts: Counts) -> None:
    """Write what the milter has counted, for the service that tells Prometheus; for ever."""
    while True:
        with suppress(OSError):
            new = path.with_suffix(".new")
            new.write_text(json.dumps(counts.all()))
            new.rename(path)
        threading.Event().wait(WRITTEN_EVERY)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the journal stands.

    Attributes:
        entries: how many messages of the peer's are kept here.
        bytes: how much they take.
        oldest: age of the oldest, in seconds.
        free: what the disk has left, in bytes.
        damaged: entries that were put aside.
        orphans: entries of a peer whose disks are gone; ``mail-journal replay`` is for them.
        unanswered: entries about which the peer does not answer.
        milter: whether the milter runs.
        peer_up: whether this node's messages get to the peer.
        degraded: messages since the milter started that are on this disk only.
        journaled: messages since the milter started that are on both.
        last_degraded: when one was on this disk only; seconds since 1970, 0 if never.
        last_round: when entries were last looked at; the same.
        wrong: what somebody shall see to, a sentence each.
    """

    entries: int
    bytes: int
    oldest: float
    free: int
    damaged: int
    orphans: int
    unanswered: int
    milter: bool
    peer_up: bool
    degraded: int
    journaled: int
    last_degraded: float
    last_round: float
    wrong: tuple[str, ...]


def complaints(standing: Mapping[str, Any], *, config: Config, now: float) -> Iterator[str]:
    """Say what somebody shall see to.

    Args:
        standing: everything but this.
        config: the bounds.
        now: the time, in seconds since 1970.
    """
    if not standing["milter"]:
        yield "the milter does not run: messages are accepted unjournaled"
    elif not standing["peer_up"]:
        yield "the peer does not take messages: they are accepted on this disk only"
    if standing["orphans"]:
        yield f"{standing['orphans']} messages of disks that are gone wait for a replay"
    if standing["damaged"]:
        yield f"{standing['damaged']} entries are damaged (*.damaged in {config.entries})"
    if standing["oldest"] > config.max_age:
        yield f"the oldest entry is {standing['oldest'] / 3600:.1f} hours old"
    if standing["bytes"] > 0.8 * config.max_bytes:
        yield f"the journal takes {standing['bytes']} of {config.max_bytes} bytes"
    if standing["free"] < config.min_free:
        yield f"the disk has {standing['free']} bytes left"
    if now - standing["last_round"] > LATE_ROUND:
        yield "no entries could be looked at for minutes (Dovecot or Postfix do not answer)"


class Reporter:
    """Puts together how the journal stands.

    Args:
        config: the bounds.
        store: the entries.
        collector: who looks at them.
        counts: what this service counted.
    """

    def __init__(
        self, *, config: Config, store: Store, collector: Collector, counts: Counts
    ) -> None:
        self._config = config
        self._store = store
        self._collector = collector
        self._counts = counts

    def _milter(self) -> Mapping[str, float]:
        with suppress(OSError, ValueError):
            if time.time() - self._config.counts.stat().st_mtime < STALE:
                return {name: float(it) for name, it in self._read_counts().items()}
        return {}

    def _read_counts(self) -> Mapping[str, Any]:
        document = json.loads(self._config.counts.read_text())
        return document if isinstance(document, dict) else {}

    def standing(self) -> Standing:
        """Return how the journal stands."""
        milter = self._milter()
        counts = self._counts.all()
        held = self._store.held()
        found: dict[str, Any] = {
            "entries": len(held),
            "bytes": self._store.bytes,
            "oldest": max((one.age() for one in held), default=0.0),
            "free": self._store.free(),
            "damaged": self._store.damaged,
            "orphans": self._collector.found.get(Why.ANOTHER_LIFE, 0),
            "unanswered": self._collector.found.get(Why.UNKNOWN, 0),
            "milter": bool(milter),
            "peer_up": bool(milter.get("peer_up", 0)),
            "degraded": int(sum(n for name, n in milter.items() if name.startswith("degraded_"))),
            "journaled": int(milter.get("journaled", 0)),
            "last_degraded": milter.get("last_degraded", 0.0),
            "last_round": counts.get("last_round", 0.0),
        }
        return Standing(
            **found, wrong=tuple(complaints(found, config=self._config, now=time.time()))
        )

    def metrics(self) -> str:
        """Return everything in Prometheus' text format."""
        standing = self.standing()
        lines: list[str] = []
        for name, value in asdict(standing).items():
            if isinstance(value, int | float):
                lines += _sample(name, "gauge", value)
        lines += _sample("complaints", "gauge", len(standing.wrong))
        for why in Why:
            number = self._collector.found.get(why, 0)
            lines.append(f'{_PREFIX}verdicts{{why="{why.name.lower()}"}} {number}')
        for where, counts in (("store", self._counts.all()), ("milter", self._milter())):
            for name, count in sorted(counts.items()):
                if name.endswith(("_sum", "_count")):
                    lines.append(f"{_PREFIX}{where}_{name} {count:.10g}")
                elif name in _SINGLE:
                    lines += _sample(f"{where}_{name}", "gauge", count)
                else:
                    lines += _sample(f"{where}_{name}_total", "counter", count)
        return "".join(f"{line}\n" for line in lines)


_SINGLE: Final = {"peer_up", "peer_answers", "last_round", "last_degraded"}


def _sample(name: str, kind: str, value: float) -> list[str]:
    return [f"# TYPE {_PREFIX}{name} {kind}", f"{_PREFIX}{name} {float(value):.10g}"]


class Metrics(Bounded):
    """Where Prometheus asks.

    Args:
        address: this node's on the mesh.
        port: where it listens.
        reporter: what it gets.
        counts: what happened.
    """

    def __init__(self, *, address: str, port: int, reporter: Reporter, counts: Counts) -> None:
        self.pages: Mapping[str, tuple[str, Callable[[], str]]] = {
            "/metrics": ("text/plain; version=0.0.4; charset=utf-8", reporter.metrics),
            "/status": ("application/json", lambda: json.dumps(asdict(reporter.standing()))),
        }
        super().__init__(
            address=address,
            port=port,
            handler=_Page,
            peers=(),
            counts=counts,
            idle=10.0,
            connections=16,
        )


class _Page(Patient):
    server: Metrics

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        """Answer with one of the pages; numbers, and nobody's mail."""
        kind, page = self.server.pages.get(self.path, ("text/plain", lambda: "not found\n"))
        content = page().encode()
        found = self.path in self.server.pages
        self.close_connection = True
        self.send_response_only(http.HTTPStatus.OK if found else http.HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

"""Looks every few seconds which entries are needed no longer, and lets them go."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from mail_journal import postfix, replayed
from mail_journal.addresses import Addresses
from mail_journal.collect import Case, There, Why, judge
from mail_journal.counts import Counts
from mail_journal.errors import JournalError
from mail_journal.exchange import PeerError
from mail_journal.replayed import Replayed
from mail_journal.store import Held, Store
from mail_journal.witness import FAR_BACK, Finder, look

INTERVAL: Final = 10.0
YOUNGEST: Final = 5.0
"""Seconds for which nobody asks about an entry: mostly it is not delivered yet."""

AT_ONCE: Final = 1000
PATIENCE: Final = 6
"""Every so many rounds an entry is looked for farther back that is not here yet."""

NOTES: Final = 30 * 86400.0
"""Seconds for which notes of a replay are kept for the peer to ask about."""

_ANSWER: Final = 60.0

_log = logging.getLogger(__name__)


class Asked(Protocol):
    """The peer."""

    def ask(self, question: Mapping[str, Any], *, seconds: float) -> Mapping[str, Any]:
        """Ask what has become of messages."""


class Collector:
    """Lets entries go.

    Args:
        store: the entries.
        peer: who accepted the messages.
        mailboxes: Dovecot here.
        addresses: reads Postfix's tables.
        notes: directory of what was replayed.
        counts: what happened, for metrics.
        queue: what is in Postfix's queue here.
    """

    def __init__(
        self,
        *,
        store: Store,
        peer: Asked,
        mailboxes: Finder,
        addresses: Callable[[], Addresses],
        notes: Path,
        counts: Counts,
        queue: Callable[[], list[postfix.Queued]] = postfix.queue,
    ) -> None:
        self._store = store
        self._peer = peer
        self._mailboxes = mailboxes
        self._addresses = addresses
        self._notes = notes
        self._counts = counts
        self._queue = queue
        self._missed: Counter[str] = Counter()
        self._ahead: Counter[str] = Counter()
        self.found: Mapping[Why, int] = {}

    def run(self) -> None:
        """Go on for ever; for a thread of its own."""
        while True:
            began = time.monotonic()
            try:
                self.round()
            except JournalError as error:
                self._counts.add("rounds_failed")
                _log.warning("no entry was let go: %s", error)
            except Exception:  # noqa: BLE001 - without this thread the journal would only grow
                self._counts.add("rounds_failed")
                _log.exception("no entry was let go")
            time.sleep(max(1.0, INTERVAL - (time.monotonic() - began)))

    def round(self, *, youngest: float = YOUNGEST) -> None:
        """Look once.

        Raises:
            JournalError: something did not answer; nothing was let go that is needed.
        """
        now = time.monotonic()
        due = [held for held in self._store.held() if now - held.known >= youngest]
        addresses = self._addresses()
        found: Counter[Why] = Counter()
        for at in range(0, len(due), AT_ONCE):
            found.update(self._some(due[at : at + AT_ONCE], addresses))
        self.found = found
        for counter in (self._missed, self._ahead):
            for entry_id in [one for one in counter if not self._store.get(one)]:
                del counter[entry_id]
        self._counts.set("last_round", time.time())
        replayed.forget(
            self._notes, kept=(held.head.id for held in self._store.held()), older=NOTES
        )

    def _far_back(self, entry_id: str) -> bool:
        return bool(self._missed[entry_id]) or self._ahead[entry_id] % PATIENCE == PATIENCE - 1

    def _some(self, due: Sequence[Held], addresses: Addresses) -> Counter[Why]:
        mailboxes = {
            held.head.id: addresses.targets(one.address for one in held.head.recipients).mailboxes
            for held in due
        }
        # Somebody's clock may be off: now and then, and before an entry is given up, it is looked
        # for farther back.
        ages = {
            held.head.id: held.age() + (FAR_BACK if self._far_back(held.head.id) else 0)
            for held in due
        }
        ids = look(self._mailboxes, [(mailboxes[one], ages[one]) for one in ages])
        cases = {
            held.head.id: Case(
                instance=held.head.instance,
                mailboxes=mailboxes[held.head.id],
                here=frozenset(
                    user for user in mailboxes[held.head.id] if held.head.id in ids.get(user, ())
                ),
                missed=self._missed[held.head.id],
            )
            for held in due
        }
        instance, there = self._ask(due, cases, ages)
        verdicts: Counter[Why] = Counter()
        for entry_id, case in cases.items():
            why = judge(case, instance=instance, there=there.get(entry_id))
            if why is Why.ANOTHER_LIFE and self._seen_to(entry_id):
                why = Why.DONE
            verdicts[why] += 1
            self._missed[entry_id] = case.missed + 1 if why is Why.NOWHERE else 0
            self._ahead[entry_id] += why is Why.AHEAD
            if why.goes:
                self._store.discard(entry_id)
                self._counts.add("collected")
        return verdicts

    def _ask(
        self, due: Sequence[Held], cases: Mapping[str, Case], ages: Mapping[str, float]
    ) -> tuple[str, Mapping[str, There]]:
        question = {
            "entries": {
                held.head.id: {
                    "queue_id": held.head.queue_id,
                    "age": ages[held.head.id],
                    "mailboxes": sorted(cases[held.head.id].mailboxes - cases[held.head.id].here),
                }
                for held in due
            }
        }
        try:
            answer = self._peer.ask(question, seconds=_ANSWER)
            there = {one: There.parse(said) for one, said in answer["entries"].items()}
            instance = str(answer["instance"])
        except PeerError as error:
            self._counts.set("peer_answers", 0)
            _log.debug("the peer does not say what has become of its messages: %s", error)
            return "", {}
        except (KeyError, TypeError, AttributeError) as error:
            self._counts.set("peer_answers", 0)
            _log.warning("the peer's answer is malformed: %r", error)
            return "", {}
        self._counts.set("peer_answers", 1)
        return instance, there

    def _seen_to(self, entry_id: str) -> bool:
        """Whether a replay did all that was to do for it, and it has left the queue here."""
        note = Replayed.read(self._notes, entry_id)
        if note is None or not note.whole:
            return False
        queued = {one.queue_id for one in self._queue()}
        return queued.isdisjoint(note.queue_ids)

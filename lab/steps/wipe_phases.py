"""The first phases of the wipe: nothing leads to the old host, nobody uses it, all of it is kept.

Nothing in them is lost, and each can be undone. The host is backed up while it is watched, and the
watch is a wait for the world's caches as well: whoever still comes when the longest of all times to
live is over, and uses something, has not come by a name.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from typing_extensions import override

from lab.operator import zone_data
from lab.operator.callers import Seen
from lab.parallel import meanwhile
from lab.steps.base import StepCheckError, StepError
from lab.steps.dns_facts import CONTENT_FILE
from lab.steps.mail_records import before, lacking, with_records
from lab.steps.moving import MovePhase
from lab.steps.web_facts import kept
from lab.steps.wipe_facts import (
    AFTER,
    BACKUP,
    BEFORE,
    CLIENTS,
    GONE,
    OLD,
    WATCHED,
    Facts,
)
from lab.steps.wipe_move import Move
from lab.steps.wipe_records import Records, forgotten
from lab.steps.wipe_remains import in_use

_OLDEST: Final = timedelta(days=3)
"""How old a backup may be when the host is wiped."""

_FRESH: Final = timedelta(hours=1)
"""How old it may be at the end of the watch; an older one is taken again, which sends little."""

_SPARE: Final = 1
_MOST_TOLD: Final = 8


class WipePhase(MovePhase[Facts, Move]):
    """A phase of the wipe."""

    def refuse_uses(self, seen: Seen) -> None:
        """See that nobody uses the old host; if somebody does, it is watched anew from now on.

        Raises:
            StepCheckError: somebody does, and who.
        """
        host = self.move.old.name
        if found := in_use(seen, host, ignored=self.move.ignored()):
            self.move.op.stage.update({WATCHED: None})
            self.move.callers.begin()
            raise StepCheckError(
                "; ".join(found[:_MOST_TOLD]),
                where=host,
                remedy="They do not come by a name of today: find them and tell them, then run the "
                "step again. Who shall not count goes into the list wipe::ignored of the stage",
            )


class Forget(WipePhase):
    """No record is left that only the old host needed."""

    name: ClassVar[str] = "forget"
    title: ClassVar[str] = "Take out the records that only the old server needed"
    undoing: ClassVar[str] = "Put the records of the old server back"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        if facts.after is None:
            return ["nobody has looked yet which records only the old server needs"]
        return self._otherwise(facts, facts.after)

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [] if facts.after is None else ["what the records were before is kept"]

    @override
    def do(self, facts: Facts) -> None:
        op, after = self.move.op, facts.after
        if after is None:
            after = forgotten(self.move.naming(facts.content), facts.content)
            was = before(after, facts.content)
            op.stage.update({BEFORE: kept(was), AFTER: kept(after)})
        for origin, sets in after.items():
            op.report.say(f"{origin}: {', '.join(map(str, sets))}")
        self._publish(facts, after)

    @override
    def undo(self, facts: Facts) -> None:
        self._publish(facts, facts.before)
        self.move.op.stage.update({BEFORE: None, AFTER: None})

    def _otherwise(self, facts: Facts, wanted: Records) -> list[str]:
        return [
            *lacking(wanted, facts.content, where="the data"),
            *lacking(wanted, facts.zones, where=self.move.new.name),
        ]

    def _publish(self, facts: Facts, wanted: Records) -> None:
        op = self.move.op
        content = with_records(facts.content, wanted)
        if content != facts.content:  # else it may hold the comments of people
            op.ssh.write(op.puppet.control, CONTENT_FILE, zone_data.to_hiera(content.values()))
        self.puppet()


class Watch(WipePhase):
    """Who comes to the old host, and uses it, is counted."""

    name: ClassVar[str] = "watch"
    title: ClassVar[str] = "Begin to watch who still comes to the old server"
    undoing: ClassVar[str] = "Stop watching"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        host = self.move.old.name
        if facts.host != OLD:
            return [] if facts.wiping else [f"{host} cannot be reached"]
        wrong = list(Forget(move=self.move).lacks(facts))
        return wrong + ([f"nobody watches who comes to {host}"] if facts.watching is None else [])

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        return [f"{self.move.old.name} is watched"] if facts.watching is not None else []

    @override
    def do(self, facts: Facts) -> None:
        if facts.host == GONE:
            host = self.move.old.name
            raise StepError("it cannot be reached", where=host, remedy="Bring it back first")
        if facts.watching is None:
            self.move.callers.begin()

    @override
    def undo(self, facts: Facts) -> None:
        if facts.host == OLD:
            self.move.callers.end()


class Keep(WipePhase):
    """Everything that is on the old host is kept elsewhere, and was read back."""

    name: ClassVar[str] = "backup"
    title: ClassVar[str] = "Back the old server up, read the backup back, compare it"
    undoing: ClassVar[str] = "Let the old server send no backups any more; what was sent stays"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Watch(move=self.move).lacks(facts))
        if not facts.backup:
            return [*wrong, f"there is no backup of {self.move.old.name} that was read back"]
        if facts.host == OLD and self.age(facts) > _OLDEST:
            wrong.append("the backup is too old")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        found = ["the stage has a backup"] if facts.backup else []
        sends = self.move.old.name in facts.clients
        return found + ([f"{self.move.old.name} may send backups"] if sends else [])

    @override
    def do(self, facts: Facts) -> None:
        move, op = self.move, self.move.op
        backup, host, store = move.backup, move.old.name, move.new.name
        key = backup.key()
        op.stage.update({CLIENTS: {host: key}})
        self.puppet()
        with op.report.task(f"Back {host} up to {store}"):
            taken = backup.take(target=move.new_addresses[0])
        op.report.say(f"The backup has {taken}")
        try:
            begun = time.monotonic()
            with meanwhile(backup.listed) as listed:
                with op.report.task("Read the backup back"):
                    backup.read_back(taken.snapshot)
                with op.report.task("Compare every file of it"):
                    found = backup.compare(listed.result(), begun=taken.begun)
            seconds = time.monotonic() - begun
        finally:
            backup.clear()
        op.report.say(
            f"{found.alike:,} files, directories and links came back as they were, in "
            f"{seconds:.0f} s; {len(found.changed)} changed meanwhile"
        )
        kept_as = {**asdict(taken), "at": datetime.now(UTC).isoformat(), "alike": found.alike}
        op.stage.update({BACKUP: kept_as})

    @override
    def undo(self, facts: Facts) -> None:
        op, backup = self.move.op, self.move.backup
        op.stage.update({CLIENTS: {}, BACKUP: None})
        self.puppet()
        op.stage.update({CLIENTS: None})
        if facts.host == OLD:
            backup.forget_key()
        op.report.say(f"The backup stays in {backup.repository} on {self.move.new.name}")

    @staticmethod
    def age(facts: Facts) -> timedelta:
        """Return how old the backup is."""
        return datetime.now(UTC) - datetime.fromisoformat(str(facts.backup["at"]))


class Watched(WipePhase):
    """Nobody has used the old host for longer than any cache remembers it."""

    name: ClassVar[str] = "watched"
    title: ClassVar[str] = "See that nobody uses the old server any more"
    undoing: ClassVar[str] = "Forget that nobody used it"

    @override
    def lacks(self, facts: Facts) -> Sequence[str]:
        wrong = list(Keep(move=self.move).lacks(facts))
        if facts.host == OLD and (facts.watching is None or facts.watched != facts.watching):
            wrong.append(f"{self.move.old.name} has not been watched for long enough")
        return wrong

    @override
    def left(self, facts: Facts) -> Sequence[str]:
        watched = facts.watched is not None
        return [f"it is written down that nobody used {self.move.old.name}"] if watched else []

    @override
    def do(self, facts: Facts) -> None:
        move, host = self.move, self.move.old.name
        seen = move.callers.look()
        left = seen.since + self._seconds(facts) - seen.until
        move.op.report.countdown(f"Watch who still comes to {host}", max(0.0, left))
        seen = move.callers.look()
        self._tell(seen)
        self.refuse_uses(seen)
        move.op.stage.update({WATCHED: seen.since})
        keep = Keep(move=move)
        if keep.age(facts) > _FRESH:
            keep.do(facts)

    @override
    def undo(self, facts: Facts) -> None:
        self.move.op.stage.update({WATCHED: None})

    def _seconds(self, facts: Facts) -> int:
        """Return for how long: longer than anything of the zones, or above, may be remembered."""
        parents = self.move.parents(list(facts.content)).values()
        own = [max(zone.longest_ttl, zone.soa.minimum) for zone in facts.content.values()]
        above = [max(each.ttl, each.ds_ttl) for each in parents]
        return max([*own, *above]) + _SPARE

    def _tell(self, seen: Seen) -> None:
        """Say who came, whatever they wanted."""
        say, host = self.move.op.report.say, self.move.old.name
        if not seen.calls:
            say(f"Nobody came to {host} in {seen.until - seen.since} s")
            return
        came = "; ".join(map(str, seen.calls[:_MOST_TOLD]))
        more = f" and {len(seen.calls) - _MOST_TOLD} more" * (len(seen.calls) > _MOST_TOLD)
        say(f"Who came to {host} in {seen.until - seen.since} s: {came}{more}")

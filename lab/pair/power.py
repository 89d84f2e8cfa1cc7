"""What a host's own disk had kept whenever its power went: kept as data, shown as a table. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from lab.pair.measured import Measured, MeasuredError, reading

FILE: Final = "power.json"
"""What the data of a run is called, in the directory of its record."""

PATH: Final = "docs/power-loss.json"
"""Where the data of the run lies that is published."""

_HEAD: Final = """\
## Power loss of a host that is alone, and what its disk had kept

Oslo is a virtual machine here, with a kernel, a disk and a cache of its own, and Bergen is dead
throughout (`scenarios/test_power_loss.py`): what is there afterwards comes from Oslo's own disk.
*Accepted* counts the messages since the power was back.

| cut | accepted | booted after | lets people in after | damaged |
|---|---|---|---|---|
"""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One loss of power.

    Attributes:
        accepted: messages that were accepted since the one before.
        booted: seconds until systemd had started everything.
        served: seconds from then until people were let in.
        damaged: what was found damaged; empty when nothing.
    """

    accepted: int
    booted: float
    served: float
    damaged: str = ""


@dataclass(frozen=True, kw_only=True)
class PowerLosses:
    """Several, one after the other.

    Attributes:
        measured: what users saw of all of them.
        machine: what the host was, in the engine's words.
        cuts: one by one.
    """

    measured: Measured
    machine: str
    cuts: tuple[Cut, ...]

    def write(self, path: Path) -> None:
        """Keep it.

        Raises:
            MeasuredError: it cannot be written.
        """
        plain = {
            "measured": self.measured.as_json(),
            "machine": self.machine,
            "cuts": [asdict(each) for each in self.cuts],
        }
        text = json.dumps(plain, indent=1, ensure_ascii=False)
        try:
            path.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise MeasuredError(f"cannot be written: {error}", where=str(path)) from error

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Make it of plain data."""
        return cls(
            measured=Measured.of(given["measured"]),
            machine=given["machine"],
            cuts=tuple(Cut(**each) for each in given["cuts"]),
        )


def latest(paths: Sequence[Path]) -> PowerLosses | None:
    """Return the latest of what lies in some files; None where there is none of them.

    Raises:
        MeasuredError: one is not what was written.
    """
    found = []
    for path in filter(Path.exists, paths):
        with reading(path):
            found.append(PowerLosses.of(json.loads(path.read_text(encoding="utf-8"))))
    return max(found, key=lambda each: each.measured.at, default=None)


def section(losses: PowerLosses) -> str:
    """Return what is said of them, as Markdown."""
    measured = losses.measured
    failed = "; ".join(f"{saw.failed:,} of {saw.total:,} {saw.what}" for saw in measured.saws)
    told = (
        f"{losses.machine}. **{measured.outcome}**, {measured.at:%Y-%m-%d %H:%M} UTC, "
        f"tree {measured.commit}. Failed: {failed}."
    )
    return _HEAD + "\n".join([*_rows(losses.cuts), "", told])


def _rows(cuts: Sequence[Cut]) -> Iterator[str]:
    for number, cut in enumerate(cuts, start=1):
        yield (
            f"| {number} | {cut.accepted:,} | {cut.booted:.0f} s | {cut.served:.0f} s "
            f"| {cut.damaged or 'nothing'} |"
        )

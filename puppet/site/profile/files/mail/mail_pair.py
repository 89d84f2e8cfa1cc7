#!/usr/bin/python3
"""What a mail server that is one of two does besides serving.

    mail-pair close     let nobody in, unless mail is being served already: a host that has just
                        started does not know what became of its mailboxes meanwhile
    mail-pair run       let people in once the mailboxes are alike with the peer's, then look after
                        the peer: deliver what it had accepted should it fall silent
    mail-pair shut      let nobody in from now on
    mail-pair status    how it stands; exit code 0 open, 1 closed

Settings are in /etc/mail-pair.json. To deliver to a mailbox what the peer, cut off but alive,
delivers as well is no loss: copies are taken out again, by one of the two hosts alone. So nothing
of that waits for a person. What goes out to others cannot be taken back: that is sent by whoever
knows that the peer is dead (``mail-journal replay --peer-is-dead``), or by the peer once it is
back.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SETTINGS = Path("/etc/mail-pair.json")
RUN = Path("/run/mail-pair")
KNOWN = Path("/var/lib/mail-pair/alike")
"""There is one when this host has ever had all mailboxes."""
EMPTY = "empty"
"""Below ``RUN``, on a host that has not: the replicator only receives there, until it is gone."""
SYNCS = 12346
"""Where Dovecot takes the peer's synchronisations (``profile::mail::pair``)."""
TABLE = "mail_pair"
# Of the world only: the peer's synchronisation comes through the mesh. A host that has never had
# the mailboxes takes none: a part of them is nothing that the whole may be merged with.
RULES = f"""
table inet {TABLE} {{
    chain input {{
        type filter hook input priority -5; policy accept;
        {{peer}}
        iifname {{ "lo", "wg0" }} accept
        tcp dport {{ 25, 143, 465, 587, 993, 4190 }} reject with tcp reset
    }}
}}
"""
NOT_YET = f'iifname "wg0" tcp dport {SYNCS} reject with tcp reset'
PULSE = 1.0
CONNECT = 2.0
AGAIN = 10.0
OLD = 5.0
"""Seconds without a word after which a connection is from before the silence: whoever is back is
noticed within ``PULSE`` and ``CONNECT``."""
LAST_HEARD = re.compile(r"\blastrcv:(\d+)\b")
ALIKE = ["/usr/local/sbin/replicator", "wait", "--timeout"]
PURGE = ["/usr/local/sbin/mail-journal", "rejoin", "--no-start", "--apply"]
REPLAY = ["/usr/local/sbin/mail-journal", "replay", "--apply", "--mailboxes"]
SWEEP = "/usr/local/sbin/replicator sweep"
DEDUPE = ["/usr/local/sbin/mail-journal", "dedupe", "--apply", "--since", "24", "--sync", SWEEP]


@dataclass(frozen=True)
class Settings:
    """How this host stands to the other.

    Attributes:
        peer: the other one's address in the mesh.
        ports: of it there; whoever answers on any of them lives.
        alone: seconds without an answer after which a host that came back opens by itself; one
            that never had the mailboxes does not.
        silent: seconds without an answer after which what the peer had accepted is delivered here.
        tidies: whether this one of the two takes out what was delivered twice.
    """

    peer: str
    ports: tuple[int, ...]
    alone: float
    silent: float
    tidies: bool

    @classmethod
    def read(cls) -> Settings:
        """Read them."""
        found = json.loads(SETTINGS.read_text(encoding="utf-8"))
        return cls(**{**found, "ports": tuple(found["ports"])})


@dataclass(frozen=True)
class Hearing:
    """When the peer was heard of.

    Attributes:
        since: when anybody began to listen.
        last: when it last answered; None for never.
    """

    since: float
    last: float | None = None

    def heard(self, now: float) -> Hearing:
        """Return it when the peer has answered just now."""
        return Hearing(self.since, now)

    def silence(self, now: float) -> float:
        """Return for how many seconds nothing was heard."""
        return now - (self.since if self.last is None else self.last)


class Watch:
    """What to do about a peer, told by its answers: nothing but decisions.

    Args:
        settings: how this host stands to it.
        now: the time.
    """

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self._hearing = Hearing(now)
        self._missed = self._away = False
        self._due = 0.0

    def decide(self, *, answers: bool, now: float) -> str:
        """Return what is to be done now: ``replay``, ``cut``, ``back``, ``tidy``, or nothing."""
        if answers:
            # A host that stood still missed nobody, and was missed: the peer delivered for it.
            away = self._away or self._hearing.silence(now) >= self._settings.silent / 2
            missed = self._missed
            self._hearing = self._hearing.heard(now)
            self._missed = self._away = False
            if missed:
                return "back" if away else "cut"
            return "tidy" if away else ""
        self._missed = True
        if self._hearing.silence(now) < self._settings.silent:
            return ""
        self._away = True
        if now < self._due:
            return ""
        self._due = now + AGAIN
        return "replay"

    def worked(self, now: float) -> None:
        """Take note that nobody has listened until now: that is no silence, and no standstill."""
        self._hearing = self._hearing.heard(now)

    def unfinished(self) -> None:
        """Remember that the last thing decided on was not done: it will be again."""
        self._away = True


def answers(settings: Settings) -> bool:
    """Whether the peer lives, as far as this host can tell."""
    return any(_connects(settings.peer, port) for port in settings.ports)


def _connects(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), CONNECT):
            return True
    except OSError:
        return False


def cut(settings: Settings) -> None:
    """End every old connection with a peer that was silent: it may know nothing of them any more.

    Dovecot's half of a synchronisation waits for the other half for ever, and holds the mailbox.
    What has begun since the peer is back stays. One that ends half-way may have given messages new
    numbers on one side alone, and the next takes those that the other lacks for deleted.
    """
    for here, there in old(said(["ss", "-tinHO", "dst", settings.peer])):
        said(["ss", "-K", "-Htn", "src", here, "dst", there])


def old(listed: str) -> Iterator[tuple[str, str]]:
    """Yield both ends of each connection in which nothing was heard for a while (``ss -tinHO``).

    Of one that is just being made the kernel says that nothing was heard since it booted.
    """
    for line in listed.splitlines():
        heard = LAST_HEARD.search(line)
        if heard and int(heard[1]) >= OLD * 1000 and not line.startswith("SYN-SENT"):
            here, there = line.split()[3:5]
            yield here, there


def said(command: list[str]) -> str:
    """Return what a command prints."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


def say(text: str) -> None:
    """Tell the journal, and whoever looks at the unit."""
    print(text, flush=True)
    tell_systemd(f"STATUS={text}")


def tell_systemd(state: str) -> None:
    """Tell the service manager, as sd_notify(3) does."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        address = "\0" + address[1:] if address.startswith("@") else address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state.encode(), address)


def run(command: list[str]) -> int:
    """Run a command whose words go to the journal, and return its exit code."""
    try:
        return subprocess.run(command, check=False).returncode
    except OSError as error:
        say(f"{command[0]}: {error}")
        return 127


def delivers() -> bool:
    """Whether Postfix runs."""
    return run(["systemctl", "is-active", "--quiet", "postfix.service"]) == 0


def closed() -> bool:
    """Whether nobody is let in."""
    return (RUN / "closed").exists()


def close() -> int:
    """Let nobody in, on a host that does not serve yet."""
    if delivers() and not closed():
        print("mail is served already: everybody is let in")
        _know()
        return 0
    return shut()


def shut() -> int:
    """Let nobody in."""
    RUN.mkdir(mode=0o755, exist_ok=True)
    (RUN / "closed").touch()
    known = KNOWN.exists()
    if known:
        (RUN / EMPTY).unlink(missing_ok=True)
    else:
        (RUN / EMPTY).touch()
    rules = RULES.replace("{peer}", "" if known else NOT_YET)
    _nft(f"table inet {TABLE}\ndelete table inet {TABLE}\n{rules}")
    return 0


def open_() -> None:
    """Let everybody in."""
    _nft(f"table inet {TABLE}\ndelete table inet {TABLE}\n")
    (RUN / "closed").unlink(missing_ok=True)


def _know() -> None:
    KNOWN.parent.mkdir(mode=0o755, exist_ok=True)
    KNOWN.touch()
    (RUN / EMPTY).unlink(missing_ok=True)


def _nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)


def until_alike(
    settings: Settings,
    *,
    lives: Callable[[Settings], bool] = answers,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Wait until the mailboxes are alike; return whether they are, or nobody is there to ask.

    The peer may die at any moment: it is listened to all along.
    """
    hearing = Hearing(clock())
    waiting: subprocess.Popen[bytes] | None = None
    while True:
        if lives(settings):
            hearing = hearing.heard(clock())
            waiting = waiting or subprocess.Popen([*ALIKE, "3600"])
        if waiting and (code := waiting.poll()) is not None:
            if code == 0:
                return True
            waiting = None
        if KNOWN.exists() and hearing.silence(clock()) > settings.alone:
            if waiting:
                waiting.kill()
                waiting.wait()
            return False
        time.sleep(PULSE)


def rejoin(settings: Settings) -> None:
    """Let people in once that costs nobody anything."""
    say(f"closed until the mailboxes are alike with those of {settings.peer}")
    alike = until_alike(settings)
    if alike:
        _know()
    else:
        say(f"{settings.peer} has been silent for {settings.alone:.0f} s: opening alone")
    # What waits in the queue and was delivered by the peer meanwhile must not be delivered again. A
    # host that is just being made has Postfix already, and nothing in the queue.
    purged = 0 if delivers() else run(PURGE if alike else [*PURGE, "--alone"])
    if purged:
        say(f"the queue was not compared with the mailboxes ({purged}): copies are taken out later")
    open_()
    say("open")
    if alike and settings.tidies:
        tidy()


def tidy() -> int:
    """Take out what was delivered twice, here and, by way of the next synchronisation, there."""
    return run(DEDUPE)


def look_after(settings: Settings) -> None:
    """Deliver what a silent peer had accepted; take out copies when it is back."""
    watch = Watch(settings, time.monotonic())
    while True:
        decision = watch.decide(answers=answers(settings), now=time.monotonic())
        # Not to tidy once more: what is under way then has begun after the silence.
        if decision in ("replay", "cut", "back"):
            cut(settings)
        if decision == "replay":
            tell_systemd(f"STATUS={settings.peer} is silent: what it had accepted is delivered")
            run(REPLAY)
        elif decision in ("back", "tidy"):
            if decision == "back":
                say(f"{settings.peer} is back")
            if settings.tidies and (run([*ALIKE, "60"]) or tidy()):
                watch.unfinished()
            watch.worked(time.monotonic())
        time.sleep(PULSE)


def main(arguments: list[str]) -> int:
    """Do what the first argument says."""
    match arguments:
        case ["close"]:
            return close()
        case ["run"]:
            settings = Settings.read()
            if closed():
                rejoin(settings)
            tell_systemd("READY=1")
            look_after(settings)
        case ["shut"]:
            return shut()
        case ["status"]:
            print("closed" if closed() else "open")
            return int(closed())
        case ["-h" | "--help" | "help"]:
            print(__doc__)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/python3
# Managed by Puppet.
"""Is this name server fit to answer the world? It sees to that, and ends when it is, or cannot be.

Zones: whoever has the newer serial is right (RFC 1982). A server that comes back, or that missed a
NOTIFY, fetches what the others of the fleet have; if it holds a zone as its primary and another one
has a newer version, that one was made the primary meanwhile, and this one becomes its secondary.
That needs nobody's help: the control host may be down.

Names whose answer is computed (type LUA): PowerDNS checks what such a name leads to from the first
question on, and answers with all of it, dead or not, until it knows. So each is asked for once.

    dns-ready [--wait]    with --wait, and when it has nothing yet: until zones are fetched and
                          checks are made
    dns-ready --open      let the world ask, unless this server has nothing to tell (`closed.nft`);
                          with --wait: afterwards
"""

from __future__ import annotations

import argparse
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype

SETTINGS = Path("/etc/powerdns/pdns.conf")
PEERS = Path("/etc/powerdns/peers")
HERE = "127.0.0.1"
PRIMARY, SECONDARY = "MASTER", "SLAVE"
GATE = ("inet", "dns_closed")

PEER_SECONDS = 1.0
"""How long a server of the fleet may take to tell a serial."""

PATIENCE = 3
"""How often it is asked before it counts as down, when this server has just started."""

FETCH_SECONDS = 10.0
"""How long the transfer of all zones may take."""

SPARE_SECONDS = 1.0
"""A round of checks takes that much longer than the time between two of them."""


@dataclass(frozen=True)
class Zone:
    """A zone as this server has it.

    Attributes:
        name: without the last dot.
        kind: what this server is to it.
        primaries: addresses that it is copied from.
        serial: of what it has; None when it has nothing yet.
    """

    name: str
    kind: str
    primaries: tuple[str, ...]
    serial: int | None


def newer(serial: int, than: int | None) -> bool:
    """Return whether *serial* is after *than* (RFC 1982)."""
    return than is None or 0 < (serial - than) % 2**32 < 2**31


def overtaking(zone: Zone, told: dict[str, int]) -> str | None:
    """Return the server that has a newer version of *zone* than this one; None if nobody has.

    Args:
        zone: as it is here.
        told: address of a server of the fleet -> its serial.
    """
    ahead = [each for each, serial in told.items() if newer(serial, zone.serial)]
    return max(ahead, key=lambda each: (told[each] - (zone.serial or 0)) % 2**32, default=None)


def questions(records: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what is to be asked, name and type, of records: owner and content of the type LUA."""
    names = ((re.sub(r"^\*", "any", owner), content.split()[0]) for owner, content in records)
    return list(dict.fromkeys(names))


class Server:
    """The name server of this host."""

    def __init__(self) -> None:
        """Read where it keeps its zones."""
        found = re.findall(
            r"^([a-z0-9-]+)=(.*)$", SETTINGS.read_text(encoding="utf-8"), re.MULTILINE
        )
        self._settings = dict(found)

    @property
    def checks_seconds(self) -> float:
        """How long a round of checks takes."""
        return float(self._settings["lua-health-checks-interval"]) + SPARE_SECONDS

    def zones(self) -> list[Zone]:
        """Return what it serves."""
        rows = self._rows(
            "SELECT d.name, d.type, coalesce(d.master, ''), r.content FROM domains d "
            "LEFT JOIN records r ON r.domain_id = d.id AND r.type = 'SOA' ORDER BY d.name"
        )
        return [
            Zone(
                name=name,
                kind=kind,
                primaries=tuple(re.split(r"[,\s]+", primaries)),
                serial=int(content.split()[2]) if content else None,
            )
            for name, kind, primaries, content in rows
        ]

    @property
    def empty(self) -> bool:
        """Whether it has nothing of any zone, as a new one that has not reached the primary yet."""
        return not any(zone.serial for zone in self.zones())

    def computed(self) -> list[tuple[str, str]]:
        """Return owner and content of the records whose answer is computed."""
        return self._rows("SELECT name, content FROM records WHERE type = 'LUA' AND NOT disabled")

    def follow(self, zone: Zone, peer: str) -> None:
        """Copy *zone* from *peer*, and be no primary of it."""
        if zone.kind == PRIMARY:
            say(f"{peer} has a newer {zone.name}: this is not the primary of it any more")
            run("pdnsutil", "change-secondary-zone-primary", zone.name, peer)
            run("pdnsutil", "set-kind", zone.name, "secondary")
        run("pdns_control", "purge", f"{zone.name}$")
        run("pdns_control", "retrieve", zone.name)

    def _rows(self, query: str) -> list[tuple]:
        path = self._settings["gsqlite3-database"]
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(query).fetchall()


def catch_up(server: Server, *, wait: bool) -> None:
    """Fetch every zone of which another server of the fleet has a newer version."""
    peers = PEERS.read_text(encoding="utf-8").split() if PEERS.exists() else []
    zones, told = server.zones(), {}
    for peer in peers if zones else ():
        # The way to it may be as young as this server.
        if not any(serial_at(peer, zones[0].name) for _ in range(PATIENCE if wait else 1)):
            say(f"{peer} does not answer")
            continue
        for zone in zones:
            if (serial := serial_at(peer, zone.name)) is not None:
                told.setdefault(zone.name, {})[peer] = serial
    behind = {}
    for zone in zones:
        # Whoever copies a zone from elsewhere, as while DNS moves, is nobody's secondary here.
        foreign = zone.kind == SECONDARY and not set(zone.primaries) & set(peers)
        peer = None if foreign else overtaking(zone, told.get(zone.name, {}))
        if peer is not None:
            server.follow(zone, peer)
            behind[zone.name] = told[zone.name][peer]
    deadline = time.monotonic() + FETCH_SECONDS
    while wait and behind and time.monotonic() < deadline:
        time.sleep(0.1)
        have = {zone.name: zone.serial for zone in server.zones()}
        behind = {name: serial for name, serial in behind.items() if newer(serial, have.get(name))}
    if wait and behind:
        say(f"not fetched after {FETCH_SECONDS:.0f} s: {', '.join(sorted(behind))}")


def warm(server: Server, *, wait: bool) -> None:
    """Let every computed name be asked for, so that what it leads to is being checked."""
    asked = questions(server.computed())
    for name, rdtype in asked:
        reply = ask(HERE, name, rdtype)
        if reply is None or reply.rcode() != dns.rcode.NOERROR:
            why = "no answer" if reply is None else dns.rcode.to_text(reply.rcode())
            say(f"{name} {rdtype}: {why}")
    if asked and wait:
        time.sleep(server.checks_seconds)


def let_in(server: Server) -> None:
    """Let the world ask, unless this server would only say that it knows nothing."""
    if server.empty:
        say("it has nothing of any zone yet: the world is not let in")
        return
    if closed():
        run("nft", "delete", "table", *GATE)


def closed() -> bool:
    """Return whether the world is kept out."""
    command = ["nft", "list", "tables"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    return f"table {' '.join(GATE)}" in said.splitlines()


def serial_at(address: str, zone: str) -> int | None:
    """Return the serial of *zone* that a server has; None when it does not tell one."""
    reply = ask(address, zone, "SOA")
    found = [
        rdata.serial
        for rrset in (reply.answer if reply else ())
        if rrset.rdtype == dns.rdatatype.SOA
        for rdata in rrset
    ]
    return found[0] if found else None


def ask(address: str, name: str, rdtype: str) -> dns.message.Message | None:
    """Ask a server; None when it does not answer."""
    query = dns.message.make_query(name, rdtype)
    try:
        return dns.query.udp_with_fallback(query, address, timeout=PEER_SECONDS)[0]
    except (dns.exception.DNSException, OSError, EOFError):
        return None


def run(*command: str) -> None:
    """Run a command of PowerDNS's; what it says goes to the journal when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def say(text: str) -> None:
    """Tell whoever reads the journal."""
    print(text, file=sys.stderr)


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(description="Catch up with the other name servers.")
    parser.add_argument("--wait", action="store_true", help="end when it is done")
    parser.add_argument("--open", action="store_true", help="let the world ask")
    asked, server = parser.parse_args(), Server()
    if asked.wait or not asked.open:
        wait = asked.wait or server.empty
        catch_up(server, wait=wait)
        warm(server, wait=wait)
    if asked.open:
        let_in(server)


if __name__ == "__main__":
    main()

"""Strangers and bad peers: who knocks at every port, and who says what nobody should."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from lab.lab import Lab

_SCAN: Final = """
import errno, json, select, socket, sys, time

addresses, patience, at_once = json.load(sys.stdin)

def tcp(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = []
    for first in range(1, 65536, at_once):
        waiting, poll = {}, select.epoll()
        for port in range(first, min(first + at_once, 65536)):
            one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            if one.connect_ex((address, port)) in (0, errno.EINPROGRESS):
                waiting[one.fileno()] = one, port
                poll.register(one, select.EPOLLOUT)
            else:
                one.close()
        until = time.monotonic() + patience
        while waiting and (left := until - time.monotonic()) > 0:
            for number, _ in poll.poll(left):
                one, port = waiting.pop(number)
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.append(port)
                poll.unregister(one)
                one.close()
        for one, _ in waiting.values():
            one.close()
        poll.close()
    return found

def udp(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # A question to a name server; whoever else speaks UDP says something to it, or to the next.
    name = b"\\x07version\\x04bind\\x00"
    question = bytes.fromhex("123400000001000000000000") + name + bytes.fromhex("00100003")
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.settimeout(0.0)
    found = set()

    def hear(seconds):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and select.select([one], [], [], left)[0]:
            found.add(one.recvfrom(4096)[1][1])

    for port in range(1, 65536):
        for tries in range(20):
            try:
                one.sendto(question, (address, port))
                break
            except BlockingIOError:
                time.sleep(0.005)
        if port % 500 == 0:
            hear(0.02)
    hear(3.0)
    return sorted(found)

print(json.dumps({address: [tcp(address), udp(address)] for address in addresses}))
"""
_BAD: Final = """
import json, os, random, socket, sys, time

address, ports, seconds = json.load(sys.stdin)
doveadm = b"VERSION\\tdoveadm-client\\t1\\t3\\n"
started = [b"", b"GET / HTTP/1.1\\r\\n", doveadm, b"PUT /v1/ HTTP/1.1\\r\\n"]

def connected(port):
    one = socket.create_connection((address, port), 5)
    one.settimeout(5)
    return one

def garbage(port):
    for _ in range(10):
        with connected(port) as one:
            one.sendall(random.choice(started) + os.urandom(65536))
            one.shutdown(socket.SHUT_WR)
            one.recv(4096)

def huge(port):
    head = b"PUT /v1/x HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1000000000000\\r\\n\\r\\n"
    for begun in (head, doveadm, b"A" * 100):
        with connected(port) as one:
            one.sendall(begun)
            for _ in range(64):
                one.sendall(b"x" * 1048576)

def slow(port):
    open_ones = [connected(port) for _ in range(40)]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for one in open_ones:
            try:
                one.send(b"P")
            except OSError:
                pass
        time.sleep(1)
    for one in open_ones:
        one.close()

for port in ports:
    done = []
    for way in (garbage, huge, slow):
        try:
            way(port)
            done.append(way.__name__)
        except OSError as error:  # it hung up, which is its right
            done.append(f"{way.__name__} ({error})")
    print(port, ", ".join(done))
"""


def scanned(lab: Lab, addresses: Sequence[str]) -> Mapping[str, tuple[set[int], set[int]]]:
    """Return address -> ports that answer from outside, of TCP and of UDP, out of all there are."""
    given = json.dumps([addresses, 1.5, 8_000])
    command = 'ulimit -n 20000; exec python3 -c "$0"'
    said = lab.ssh.run("outside", ["sh", "-c", command, _SCAN], stdin=given, timeout=600).stdout
    return {address: (set(tcp), set(udp)) for address, (tcp, udp) in json.loads(said).items()}


def misbehave(lab: Lab, host: str, *, towards: str, ports: Sequence[int], seconds: float) -> str:
    """Be a bad peer on *host* to some ports of an address: garbage, much too much, and too slow.

    Returns:
        For each port what was done, and where the other side hung up.
    """
    given = json.dumps([towards, list(ports), seconds])
    limit = 60.0 + len(ports) * (seconds + 60.0)
    return lab.ssh.run(host, ["python3", "-c", _BAD], stdin=given, timeout=limit).stdout

"""A small real name server on loopback, for tests: UDP and TCP, zones from text."""

from __future__ import annotations

import os
import socketserver
import struct
import threading
import time
from contextlib import ExitStack
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.zone

# A process has its own, or two runs at once would be in each other's way; below what the kernel
# hands out by itself.
PORT = 10_000 + os.getpid() % 20_000
NS, CNAME, A, AAAA = (dns.rdatatype.from_text(t) for t in ("NS", "CNAME", "A", "AAAA"))


class NameServer:
    """Answers for zones at one loopback address until the block is left.

    It can be told to change while it runs: ``zones``, ``delay`` (seconds before an answer),
    ``silent``, ``rcode`` (answered to everything), ``truncate`` (over UDP).
    """

    def __init__(self, address: str, **zones: str) -> None:
        self.address = address
        self.zones = {}
        for origin, text in zones.items():
            self.load(origin, text)
        self.delay = 0.0
        self.silent = self.truncate = self.secure = False
        self.rcode = dns.rcode.NOERROR
        self.questions: list[str] = []
        self._stack = ExitStack()

    def load(self, origin: str, text: str) -> None:
        """Serve a zone, in place of an older one."""
        name = "." if origin == "root" else origin.replace("_", ".") + "."
        soa = "@ 60 SOA a. b. 1 2 3 4 5\n"
        zone = dns.zone.from_text(soa + text, origin=name, relativize=False)
        self.zones[zone.origin] = zone

    def __enter__(self) -> Self:
        """Listen."""
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                for wire in outer.answer(data, udp=True):
                    sock.sendto(wire, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                (size,) = struct.unpack("!H", self.rfile.read(2))
                for wire in outer.answer(self.rfile.read(size), udp=False):
                    self.wfile.write(struct.pack("!H", len(wire)) + wire)

        for kind, handler in (
            (socketserver.ThreadingUDPServer, Udp),
            (socketserver.ThreadingTCPServer, Tcp),
        ):
            kind.allow_reuse_address = True
            kind.daemon_threads = True
            server = self._stack.enter_context(kind((self.address, PORT), handler))
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            self._stack.callback(server.shutdown)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._stack.close()

    def answer(self, wire: bytes, *, udp: bool) -> list[bytes]:
        """Return the messages to send back: one, or none."""
        query = dns.message.from_wire(wire)
        (question,) = query.question
        self.questions.append(f"{question.name} {dns.rdatatype.to_text(question.rdtype)}")
        time.sleep(self.delay)
        if self.silent:
            return []
        reply = dns.message.make_response(query)
        if self.rcode != dns.rcode.NOERROR:
            reply.set_rcode(self.rcode)
        elif udp and self.truncate:
            reply.flags |= dns.flags.TC
        else:
            self._fill(reply, question.name, question.rdtype)
        if self.secure:
            reply.flags |= dns.flags.AD
        return [reply.to_wire()]

    def _fill(self, reply, name, rdtype) -> None:
        origins = [origin for origin in self.zones if name.is_subdomain(origin)]
        if not origins:
            reply.set_rcode(dns.rcode.REFUSED)
            return
        zone = self.zones[max(origins, key=len)]
        for cut in sorted(zone.nodes, key=len):
            servers = zone.get_rrset(cut, NS)
            if servers and cut != zone.origin and name.is_subdomain(cut):
                reply.authority.append(servers)
                self._add_addresses(reply, zone, servers)
                return
        reply.flags |= dns.flags.AA
        wild = dns.name.Name((b"*", *name.labels[1:])) if len(name) > 1 else name
        owner = next((n for n in (name, wild) if n in zone.nodes), None)
        if owner is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return
        rrset = zone.get_rrset(owner, rdtype) or zone.get_rrset(owner, CNAME)
        if rrset:
            found = rrset.copy()
            found.name = name
            reply.answer.append(found)
            if rrset.rdtype == CNAME and rrset[0].target in zone.nodes and rdtype != CNAME:
                reply.answer.append(zone.get_rrset(rrset[0].target, rdtype))
        if servers := zone.get_rrset(zone.origin, NS):
            reply.authority.append(servers)
            self._add_addresses(reply, zone, servers)

    @staticmethod
    def _add_addresses(reply, zone, servers) -> None:
        for rdata in servers:
            for family in (A, AAAA):
                if rrset := zone.get_rrset(rdata.target, family):
                    reply.additional.append(rrset)

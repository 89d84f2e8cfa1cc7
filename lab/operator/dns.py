"""Questions to name servers, over TCP through whatever connects: SSH in the lab, directly outside.

Every question goes to one named server. Nothing is cached and nothing retried, so that an answer
says what that server says now.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.xfr
import dns.zone

from lab.errors import CheckFailedError, CouldNotError
from lab.operator import zones
from lab.operator.zones import Zone

PORT = 53
_TRANSFER_LIMIT = 60.0


class DnsError(CouldNotError):
    """A name server could not be asked."""


class DnsCheckError(CheckFailedError):
    """A name server answered, but not what it should."""


class Dial(Protocol):
    """Opens a TCP connection, as :meth:`lab.operator.ssh.Ssh.dial` does."""

    def __call__(self, address: str, port: int, *, via: str | None = None) -> socket.socket:
        """Connect to *address*; the connection leaves from the host *via* if given."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question.

    Attributes:
        name: what is asked about; absolute with or without the last dot.
        type: mnemonic of the record type.
        dnssec: whether signatures are wanted as well.
        recursive: whether the server may ask others.
    """

    name: str
    type: str
    dnssec: bool = False
    recursive: bool = False

    def message(self) -> dns.message.QueryMessage:
        """Return it as a message ready to send."""
        made = dns.message.make_query(
            dns.name.from_text(self.name), self.type, want_dnssec=self.dnssec, use_edns=0
        )
        if not self.recursive:
            made.flags &= ~dns.flags.RD
        return made


class Dns:
    """Asks name servers.

    Args:
        dial: opens a TCP connection to an address and port.
        timeout: seconds that the answers to one batch of questions may take.
    """

    def __init__(self, *, dial: Dial, timeout: float = 10.0) -> None:
        self._dial = dial
        self._timeout = timeout

    def query(
        self,
        server: str,
        name: str,
        rdtype: str,
        *,
        dnssec: bool = False,
        via: str | None = None,
    ) -> dns.message.Message:
        """Ask *server*, an address, one question.

        Raises:
            DnsError: it could not be asked.
        """
        return self.ask(server, [Question(name=name, type=rdtype, dnssec=dnssec)], via=via)[0]

    def ask(
        self, server: str, questions: Sequence[Question], *, via: str | None = None
    ) -> list[dns.message.Message]:
        """Ask *server* all *questions* over one connection; answers come in their order.

        Raises:
            DnsError: it could not be asked, or did not answer everything.
        """
        sent = [each.message() for each in questions]
        for number, message in enumerate(sent):
            message.id = number  # a server may answer in any order (RFC 7766, section 7)
        got = self.exchange(server, sent, via=via)
        return [got[message.id] for message in sent]

    def exchange(
        self, server: str, messages: Sequence[dns.message.Message], *, via: str | None = None
    ) -> dict[int, dns.message.Message]:
        """Send *messages*, which may be signed, and return the answers by message id.

        Raises:
            DnsError: *server* could not be reached, or did not answer everything.
        """
        deadline = time.monotonic() + self._timeout
        got: dict[int, dns.message.Message] = {}
        sent = {message.id: message for message in messages}
        with self._connected(server, via=via) as connection:
            # All at once: the way through SSH is long, and no question depends on an answer.
            connection.sendall(b"".join(_framed(message) for message in messages))
            while len(got) < len(sent):
                reply, wire = _receive(connection, deadline)
                if reply in sent:
                    got[reply] = _read(wire, to=sent[reply])
        return got

    def axfr(self, server: str, zone: str, *, via: str | None = None) -> Zone:
        """Transfer *zone* from *server*.

        Raises:
            DnsError: it could not be asked, or refused.
        """
        found = dns.zone.Zone(dns.name.from_text(zone), relativize=False)
        query, _ = dns.xfr.make_query(found)
        deadline = time.monotonic() + _TRANSFER_LIMIT
        with self._connected(server, via=via) as connection:
            connection.sendall(_framed(query))
            with dns.xfr.Inbound(found, dns.rdatatype.AXFR) as inbound:
                done = False
                while not done:
                    wire = _receive(connection, deadline)[1]
                    message = dns.message.from_wire(wire, xfr=True, one_rr_per_rrset=True)
                    done = inbound.process_message(message)
        return zones.of(found)

    def observed_ttl(self, servers: Sequence[str], name: str, rdtype: str) -> int:
        """Return the longest time to live, in seconds, that *servers* give to a record set.

        Raises:
            DnsError: one of them could not be asked.
            DnsCheckError: none of them has such records.
        """
        found = [
            rrset.ttl
            for server in servers
            if (rrset := answered(self.query(server, name, rdtype), name, rdtype)) is not None
        ]
        if not found:
            raise DnsCheckError(f"no {rdtype} records", where=f"{name} at {', '.join(servers)}")
        return max(found)

    def serves(self, server: str) -> bool:
        """Return whether anything at all answers at *server*."""
        try:
            self.query(server, ".", "NS")
        except DnsError:
            return False
        return True

    @contextlib.contextmanager
    def _connected(self, server: str, *, via: str | None) -> Iterator[socket.socket]:
        where = f"{server} port {PORT}" + (f" via {via}" if via else "")
        try:
            with self._dial(server, PORT, via=via) as connection:
                connection.settimeout(self._timeout)
                yield connection
        except (EOFError, OSError) as error:
            said = str(error) or "the connection was closed"
            raise DnsError(f"no answer: {said}", where=where) from error
        except dns.xfr.TransferError as error:
            raise DnsError(
                f"the transfer was refused: {dns.rcode.to_text(error.rcode)}", where=where
            ) from error
        except dns.exception.DNSException as error:
            raise DnsError(f"not an answer: {error}", where=where) from error


def answered(message: dns.message.Message, name: str, rdtype: str) -> dns.rrset.RRset | None:
    """Return the records of that name and type in the answer section, if there are any."""
    return message.get_rrset(
        message.answer,
        dns.name.from_text(name),
        dns.rdataclass.IN,
        dns.rdatatype.from_text(rdtype),
    )


def signatures(message: dns.message.Message, name: str, rdtype: str) -> dns.rrset.RRset | None:
    """Return the signatures over those records in the answer section, if there are any."""
    return message.get_rrset(
        message.answer,
        dns.name.from_text(name),
        dns.rdataclass.IN,
        dns.rdatatype.RRSIG,
        covers=dns.rdatatype.from_text(rdtype),
    )


def _framed(message: dns.message.Message) -> bytes:
    wire = message.to_wire()
    return struct.pack("!H", len(wire)) + wire


def _receive(connection: socket.socket, deadline: float) -> tuple[int, bytes]:
    """Return the next message's id and bytes (RFC 1035, section 4.2.2)."""
    size = struct.unpack("!H", _exactly(connection, 2, deadline))[0]
    wire = _exactly(connection, size, deadline)
    return struct.unpack("!H", wire[:2])[0], wire


def _exactly(connection: socket.socket, count: int, deadline: float) -> bytes:
    data = b""
    while len(data) < count:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _read(wire: bytes, *, to: dns.message.Message) -> dns.message.Message:
    """Read an answer; one to a signed message must be signed as well (RFC 8945)."""
    return dns.message.from_wire(
        wire, keyring=to.keyring, request_mac=to.mac or b"", ignore_trailing=False
    )

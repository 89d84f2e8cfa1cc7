"""Whether a server answers by its own address, asked from outside in both families."""

from __future__ import annotations

import json
from typing import Final

from lab.lab import Lab
from lab.operate import in_lab

_ASK: Final = """
import http.client, imaplib, json, smtplib, socket, ssl, sys
import dns.flags, dns.message, dns.query

domain, addresses, roots = json.load(sys.stdin)
trust = ssl.create_default_context(cadata=roots)

def sealed(address, port, name):
    return trust.wrap_socket(socket.create_connection((address, port), 5), server_hostname=name)

def names(address):
    asked = dns.message.make_query(domain, "SOA")
    return dns.query.udp(asked, address, timeout=3).flags & dns.flags.AA

def page(address):
    with sealed(address, 443, f"www.{domain}") as server:
        lines = ["GET / HTTP/1.1", f"Host: www.{domain}", "Connection: close", "", ""]
        server.sendall("\\r\\n".join(lines).encode())
        answer = http.client.HTTPResponse(server)
        answer.begin()
        return answer.status == 200

def takes_mail(address):
    with socket.create_connection((address, 25), 5) as server:
        return server.recv(4) == b"220 "

def submission(address):
    with sealed(address, 465, f"mail.{domain}") as server:
        return server.recv(4) == b"220 "

def mailbox(address):
    with sealed(address, 993, f"mail.{domain}") as server:
        return server.recv(4) == b"* OK"

for address in addresses:
    for ask in (names, page, takes_mail, submission, mailbox):
        try:
            why = "" if ask(address) else "another answer"
        except Exception as error:
            why = str(error) or type(error).__name__
        if why:
            print(f"{ask.__name__} at {address}: {why}")
"""


def silent(lab: Lab, host: str) -> list[str]:
    """Return which services of *host* do not answer as they should, and why; a line each."""
    address = lab.site.address(host)
    given = [lab.fleet.domain, [str(address.v4), str(address.v6)], in_lab(lab).acme.roots()]
    argv = ["python3", "-c", _ASK]
    return lab.ssh.run("outside", argv, stdin=json.dumps(given)).stdout.splitlines()

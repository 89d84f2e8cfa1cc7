"""The pair towards strangers, and towards a peer that misbehaves.

Budgets: no port is open to the world but those of the services and SSH, over IPv4 and IPv6; nobody
gets a whole zone or a relay; a stolen host opens nothing that is the other one's alone; what one
says to the other goes through WireGuard alone; a bad peer costs no message and kills nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

import pytest
from letting_in import both_opened
from strangers import misbehave, scanned

from lab.lab import Lab
from lab.operate import in_lab
from lab.operator.puppet import SSLDIR
from lab.pair.costs import Cost
from lab.pair.strikes import PAIR
from lab.steps.mail_ha_facts import HEALTH_PORT
from lab.verdict import Outcome
from lab.watch import Watch

# On 143 somebody's program has read since before the move, by STARTTLS.
PUBLIC: Final = {22, 25, 53, 80, 143, 443, 465, 587, 993, 4190}
# Name servers of the fleet ask there, by public addresses, how mail stands; nobody else gets in.
OF_THE_FLEET: Final = {("tcp", HEALTH_PORT), ("udp", 51820)}
OUR_UNITS: Final = ("replicator.service", "mail-journal.service", "mail-journal-milter.service")
MOST_EXPOSED: Final = 4.0


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _served(lab_at: Callable[[str], Lab]) -> None:
    both_opened(lab_at("mail_ha"))


def other(host: str) -> str:
    """Return the other of the pair."""
    return next(each for each in PAIR if each != host)


def listeners(lab: Lab, host: str) -> Iterator[tuple[str, str, int]]:
    """Yield protocol, address and port of everything that listens on a host."""
    for line in lab.ssh.run(host, ["ss", "-Hlntu", "--cgroup"]).stdout.splitlines():
        words = line.split()
        address, _, port = words[4].rpartition(":")
        # From ports of its own choice PowerDNS tells others of changes; it listens on 53.
        if words[0] == "tcp" or port == "53" or not words[-1].endswith("/pdns.service"):
            yield words[0], address.strip("[]").partition("%")[0] or "*", int(port)


def in_the_mesh(lab: Lab, host: str) -> list[int]:
    """Return the ports on which a host listens on its address in the mesh."""
    mine = str(lab.fleet.hosts[host].wireguard)
    return sorted(
        {port for kind, address, port in listeners(lab, host) if (kind, address) == ("tcp", mine)}
    )


@pytest.mark.parametrize("host", PAIR)
def test_nothing_is_open_to_the_world_but_the_services_and_ssh(lab: Lab, host: str) -> None:
    address = lab.site.address(host)
    for where, (tcp, udp) in scanned(lab, [str(address.v4), str(address.v6)]).items():
        assert (where, tcp, udp) == (where, PUBLIC, {53})


@pytest.mark.parametrize("host", PAIR)
def test_what_is_not_for_the_world_does_not_even_listen_there(lab: Lab, host: str) -> None:
    mine = str(lab.fleet.hosts[host].wireguard)
    public = {("tcp", port) for port in PUBLIC} | {("udp", 53)} | OF_THE_FLEET
    found = [
        f"{kind} {address} {port}"
        for kind, address, port in listeners(lab, host)
        if (kind, port) not in public
        and address != mine
        and (address == "*" or not ip_address(address).is_loopback)
    ]
    assert found == []


@pytest.mark.parametrize("host", PAIR)
def test_nobody_gets_a_whole_zone(lab: Lab, host: str) -> None:
    address = lab.site.address(host)
    for server in (address.v4, address.v6):
        command = ["dig", "+time=3", "+tries=1", f"@{server}", lab.fleet.domain, "AXFR"]
        said = lab.ssh.run("outside", command, check=False).stdout
        assert "Transfer failed" in said
    # Nor does anybody inside the mesh who has no key.
    mine = lab.fleet.hosts[host].wireguard
    command = ["dig", "+time=3", "+tries=1", f"@{mine}", lab.fleet.domain, "AXFR"]
    assert "SOA" not in lab.ssh.run(other(host), command, check=False).stdout


RELAY = """
import smtplib, sys
for address in sys.argv[1:]:
    with smtplib.SMTP(address, 25, timeout=10) as smtp:
        smtp.ehlo("outside.net.example")
        smtp.mail("somebody@outside.net.example")
        print(smtp.rcpt("astrid@fjordpost.example")[0])
"""


@pytest.mark.parametrize("host", PAIR)
def test_nobody_gets_a_relay(lab: Lab, host: str) -> None:
    address = lab.site.address(host)
    said = lab.ssh.run("outside", ["python3", "-c", RELAY, str(address.v4), str(address.v6)])
    assert [int(code) // 100 for code in said.stdout.split()] == [5, 5]


@pytest.mark.parametrize("host", PAIR)
def test_our_own_services_may_do_little(lab: Lab, host: str) -> None:
    for unit in OUR_UNITS:
        command = ["systemd-analyze", "security", "--no-pager", unit]
        said = lab.ssh.run(host, command, check=False).stdout
        level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert level, said
        assert float(level[1]) <= MOST_EXPOSED, f"{unit} on {host}"


def said_to(lab: Lab, host: str, path: str) -> int:
    """Return the status with which the control host answers whoever has all that is on a host."""
    own, server = lab.site.certname(host), in_lab(lab).puppet.server
    command = [
        *("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"),
        *("--cacert", f"{SSLDIR}/certs/ca.pem"),
        *("--cert", f"{SSLDIR}/certs/{own}.pem", "--key", f"{SSLDIR}/private_keys/{own}.pem"),
        f"https://{server}:8140/puppet/v3/{path}?environment=production",
    ]
    return int(lab.ssh.run(host, command).stdout)


@pytest.mark.parametrize("host", PAIR)
def test_who_has_stolen_a_host_is_given_nothing_of_the_other_one(lab: Lab, host: str) -> None:
    own, others = lab.site.certname(host), lab.site.certname(other(host))
    assert said_to(lab, host, f"node/{own}") == HTTPStatus.OK
    # Secrets come in a host's own catalog alone, and only Tromsø can read them before.
    assert said_to(lab, host, f"node/{others}") == HTTPStatus.FORBIDDEN
    assert said_to(lab, host, f"catalog/{others}") == HTTPStatus.FORBIDDEN
    found = lab.ssh.run(host, "find / -xdev -path '*eyaml*' -name '*private*'").stdout
    assert found == ""
    # Nor does any key that lies there open the other one's door.
    script = """
        for key in $(grep -rlE '^-+BEGIN .*PRIVATE KEY' /root /etc/ssh /home || true); do
            ssh -i $key -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \\
                -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 root@OTHER id 2>&1 || true
        done
    """.replace("OTHER", str(lab.fleet.hosts[other(host)].wireguard))
    assert "uid=0" not in lab.ssh.run(host, script).stdout


def starts(lab: Lab, host: str) -> dict[str, str]:
    """Return which process each service of a host is, and how often it was started again."""
    script = """
        systemctl list-units --type=service --state=running --plain --no-legend |
            while read -r unit _; do
                echo "$unit $(systemctl show --value --property=MainPID,NRestarts "$unit" | xargs)"
            done
    """
    lines = (line.split(" ", 1) for line in lab.ssh.run(host, script).stdout.splitlines())
    # What people and timers start comes and goes.
    return {unit: said for unit, said in lines if not unit.startswith(("user@", "session-"))}


@pytest.mark.parametrize("host", PAIR)
def test_a_bad_peer_costs_no_message_and_kills_nothing(lab: Lab, host: str) -> None:
    ports, before = in_the_mesh(lab, host), starts(lab, host)
    assert ports, f"{host} listens to nobody in the mesh"
    # A gigabyte through WireGuard takes everybody's processor here: what counts is what is lost.
    cost = Cost(nameless=30.0, first=30.0, unread=30.0, unsent=30.0)
    watching = Watch(
        lab=lab,
        title=f"A bad peer of {host}",
        budget=cost.of_lookups,
        failover=cost.of_visits,
        mail=cost.of_mail,
    )
    with watching as watch:
        watch.hold(until=300, mail=3)
        with watch.marks.span("fault", f"{other(host)} misbehaves"):
            mine = str(lab.fleet.hosts[host].wireguard)
            print(misbehave(lab, other(host), towards=mine, ports=ports, seconds=10.0))
        watch.hold_enough()
    assert {each.outcome for each in watch.verdicts} == {Outcome.OK}, watch.verdicts
    after = starts(lab, host)
    assert {unit: after.get(unit) for unit in before if "puppet" not in unit} == {
        unit: said for unit, said in before.items() if "puppet" not in unit
    }

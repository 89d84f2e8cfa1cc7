"""A Postfix and a Dovecot that somebody set up by hand, with one program of ours beside them.

The program (``mail_passage.sh``) lets them hold what comes, or pass it on to the new server;
without it everything is as before.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from lab.errors import CouldNotError
from lab.operator.mail_accounts import Found
from lab.operator.ssh import Ssh

HOME: Final = "/var/lib/generalprove-mail"
PASSAGE: Final = f"{HOME}/passage"
PROGRAM: Final = Path(__file__).with_name("mail_passage.sh")
WRITING: Final = (465, 587)
READING: Final = (143, 993, 4190)
"""Ports that the old server passes on: of those who send with a password, of those who read."""
NOT_CARRIED: Final = {110: "POP3", 995: "POP3"}

SERVING, HOLDING, PASSING, GATHERING = "serving", "holding", "passing", "gathering"

_UNITS: Final = "/etc/systemd/system"
_SOCKET: Final = """\
[Unit]
Description=Mail, passed on to the new server: port %i
[Socket]
ListenStream=%i
BindIPv6Only=both
Backlog=1024
[Install]
WantedBy=sockets.target
"""
_SERVICE: Final = f"""\
[Unit]
Description=Mail, passed on to the new server: port %i
[Service]
User=nobody
TimeoutStartSec=60
ExecStartPre=/bin/sh -c 'until [ -e {HOME}/open.%i ]; do sleep 0.05; done'
ExecStart=/lib/systemd/systemd-socket-proxyd --connections-max=2048 TARGET:%i
LimitNOFILE=16384
"""
_BOOT: Final = f"""\
[Unit]
Description=A hold of the mail ends with a restart
Before=postfix@-.service dovecot.service
[Service]
Type=oneshot
ExecStart={PASSAGE} expire
[Install]
WantedBy=multi-user.target
"""
_AWAY: Final = f"""\
[Unit]
ConditionPathExists=!{HOME}/away
ConditionPathExists=!/run/generalprove-mail-away
"""


class OldMailError(CouldNotError):
    """The old mail server could not be read or changed."""


@dataclass(frozen=True, kw_only=True)
class OldMailState:
    """How the server stands.

    Attributes:
        mode: what it does with mail and readers, :data:`SERVING` and so on.
        postfix: whether Postfix runs.
        dovecot: whether Dovecot runs.
        prepared: whether our program is there, as it is to be.
        present: whether any version of it is.
        ports: the ports of mail that somebody listens at.
    """

    mode: str
    postfix: bool
    dovecot: bool
    prepared: bool = False
    present: bool = False
    ports: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the new server has to do as well.

    Attributes:
        delimiter: between a name and what people add to it.
        message_size: the largest message, bytes.
        sieve_before: the filter for everybody; empty when there is none.
        certificate: what it shows, PEM.
    """

    delimiter: str
    message_size: int
    sieve_before: str
    certificate: str


class OldMail:
    """The mail server of one host, as Debian packages it.

    Args:
        ssh: the way to the host.
        host: name of the host.
    """

    def __init__(self, *, ssh: Ssh, host: str) -> None:
        self._ssh = ssh
        self._host = host

    def state(self) -> OldMailState:
        """Return how it stands."""
        script = f"""
            cat {HOME}/mode 2>/dev/null || echo {SERVING}
            systemctl is-active 'postfix@-.service' || true
            systemctl is-active dovecot.service || true
            sha256sum {PASSAGE} 2>/dev/null | cut -c 1-64 | grep . || echo -
            ss -Htln | awk '{{ n = split($4, a, ":"); print a[n] }}' | sort -un
        """
        said = self._ssh.run(self._host, script).stdout.split()
        mode, postfix, dovecot, program, *ports = said
        return OldMailState(
            mode=mode,
            postfix=postfix == "active",
            dovecot=dovecot == "active",
            prepared=program == sha256(PROGRAM.read_bytes()).hexdigest(),
            present=program != "-",
            ports=frozenset(map(int, ports)),
        )

    def found(self) -> Found:
        """Return what the server's tools say of who has mail.

        Raises:
            OldMailError: it keeps its users otherwise than it can be read here.
        """
        dovecot = self._ssh.run(self._host, ["doveconf", "-n"]).stdout
        file = re.search(r"passdb \{[^}]*args = [^\n]*?(/\S+)\n[^}]*driver = passwd-file", dovecot)
        homes = re.search(r"default_fields = [^\n]*home=(\S+)", dovecot)
        if not file or not homes or "mail_location = maildir:~/Maildir" not in dovecot:
            raise OldMailError(
                "Dovecot keeps its users otherwise than in a passwd-file with homes and maildirs",
                where=self._host,
            )
        config = self._postconf(
            *("mydestination", "myorigin", "virtual_mailbox_domains", "virtual_alias_domains"),
            *("virtual_alias_maps", "virtual_mailbox_maps", "alias_maps"),
        )
        local = next(each for each in _words(config["mydestination"]) if "." in each)
        maps = ("virtual_alias_maps", "virtual_mailbox_maps")
        virtual, delivered = (self._map("postmap", config[each]) for each in maps)
        domains = (*_words(config["virtual_mailbox_domains"]),)
        people, shadow, forwards = self._people()
        return Found(
            users=self._ssh.read(self._host, file[1]),
            homes=homes[1],
            people=people,
            shadow=shadow,
            local=local,
            origin=config["myorigin"],
            domains=(*domains, *_words(config["virtual_alias_domains"])),
            delivered=delivered,
            aliases=virtual,
            server_aliases=self._map("postalias", config["alias_maps"]),
            forwards=forwards,
        )

    def settings(self) -> Settings:
        """Return what the new server has to do as well."""
        config = self._postconf("recipient_delimiter", "message_size_limit", "smtpd_tls_cert_file")
        script = """
            file=$(doveconf -h plugin/sieve_before)
            [ -z "$file" ] || cat "$file"
        """
        return Settings(
            delimiter=config["recipient_delimiter"],
            message_size=int(config["message_size_limit"]),
            sieve_before=self._ssh.run(self._host, script).stdout,
            certificate=self._ssh.read(self._host, config["smtpd_tls_cert_file"]),
        )

    def queued(self) -> int:
        """Return how many messages wait in its queue."""
        script = "find /var/spool/postfix/{active,deferred,incoming,maildrop,hold} -type f"
        said = self._ssh.run(self._host, ["bash", "-c", f"{script} | wc -l"]).stdout
        return int(said)

    def prepare(
        self, *, target: str, sealed_as: str, passes_as: str, authority: str, domains: Sequence[str]
    ) -> None:
        """Put our program beside the server; it does nothing yet.

        Args:
            target: IPv4 address of the new server.
            sealed_as: the name in the new server's certificate.
            passes_as: a name of the old server that is not the new one's as well.
            authority: who certified that, PEM; those of the system when empty.
            domains: for which mail is passed on.
        """
        system = f"cat /etc/ssl/certs/ca-certificates.crt >{HOME}/authority.pem"
        ports = self.state().ports
        config = {
            "TARGET": target,
            "SEALED_AS": sealed_as,
            "PASSES_AS": passes_as,
            "DOMAINS": " ".join(domains),
            "WRITING": " ".join(str(each) for each in WRITING if each in ports),
            "READING": " ".join(str(each) for each in READING if each in ports),
        }
        lines = (f"{name}={shlex.quote(value)}\n" for name, value in config.items())
        self._ssh.run(self._host, f"mkdir -p {HOME}; chmod 711 {HOME}")
        for path, content in (
            (f"{HOME}/config", "".join(lines)),
            (f"{HOME}/authority.pem", authority),
            (f"{_UNITS}/generalprove-mail@.socket", _SOCKET),
            (f"{_UNITS}/generalprove-mail@.service", _SERVICE.replace("TARGET", target)),
            (f"{_UNITS}/generalprove-mail.service", _BOOT),
            (f"{_UNITS}/dovecot.service.d/generalprove.conf", _AWAY),
        ):
            self._ssh.write(self._host, path, content)
        self._ssh.write(self._host, PASSAGE, PROGRAM.read_bytes(), mode=0o755)
        script = f"""
            [ -s {HOME}/authority.pem ] || {system}
            systemctl daemon-reload
            systemctl enable --quiet generalprove-mail.service
        """
        self._ssh.run(self._host, script)

    def become(self, verb: str, *, seconds: float = 0) -> None:
        """Let our program do something (see there).

        Args:
            verb: what.
            seconds: after which it ends by itself, for ``hold`` and ``gather``.

        Raises:
            SshError: it cannot be done as the server stands.
        """
        limit = [f"{seconds:.0f}s"] if seconds else []
        self._ssh.run(self._host, [PASSAGE, verb, *limit])

    def remove(self) -> None:
        """Take our program away."""
        script = f"""
            systemctl disable --quiet generalprove-mail.service 2>/dev/null || true
            rm -rf {HOME} {_UNITS}/generalprove-mail@.* {_UNITS}/generalprove-mail.service
            rm -f {_UNITS}/dovecot.service.d/generalprove.conf
            rmdir --ignore-fail-on-non-empty {_UNITS}/dovecot.service.d 2>/dev/null || true
            systemctl daemon-reload
        """
        self._ssh.run(self._host, script)

    def _postconf(self, *names: str) -> dict[str, str]:
        said = self._ssh.run(self._host, ["postconf", "-x", *names]).stdout
        pairs = (line.partition(" =") for line in said.splitlines())
        return {name: value.strip() for name, _, value in pairs}

    def _map(self, tool: str, maps: str) -> str:
        return "".join(
            self._ssh.run(self._host, [tool, "-s", each]).stdout for each in _words(maps)
        )

    def _people(self) -> tuple[str, str, dict[str, str]]:
        """Return those with a maildir: passwd(5), shadow(5), and what their .forward says."""
        script = """
            getent passwd | while IFS=: read -r name x uid gid gecos home shell; do
                [ "$uid" -ge 1000 ] && [ -d "$home/Maildir" ] || continue
                echo "person $name:$x:$uid:$gid:$gecos:$home:$shell"
                echo "shadow $(getent shadow "$name")"
                [ ! -e "$home/.forward" ] || sed "s/^/forward $name /" "$home/.forward"
            done
        """
        people, shadow = [], []
        forwards: dict[str, str] = {}
        for line in self._ssh.run(self._host, script).stdout.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "person":
                people.append(rest)
            elif kind == "shadow":
                shadow.append(rest)
            elif kind == "forward":
                name, _, text = rest.partition(" ")
                forwards[name] = forwards.get(name, "") + f"{text}\n"
        return "\n".join(people), "\n".join(shadow), forwards


def _words(value: str) -> list[str]:
    """Return the members of a list of Postfix's."""
    return [each for each in re.split(r"[,\s]+", value) if each]

"""How the operator gets into a lab's machines: one key, one SSH configuration, known hosts.

The lab looks to the operator like a fleet behind a jump host: ``outside`` is reached through
the engine, everything else through ``outside``, by OpenSSH alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from lab.operator.ssh import Ssh
from lab.store import Store

VANTAGE = "outside"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"

CONFIG = jinja2.Template(
    """\
# Written by lab-up; use it by hand as well: ssh -F {{ directory }}/ssh_config HOST
Host *
    User root
    IdentityFile {{ directory }}/id_ed25519
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {{ directory }}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    LogLevel ERROR
    ControlMaster auto
    ControlPath {{ sockets }}/%C
    ControlPersist 300

Host {{ vantage }}
    HostKeyAlias {{ vantage }}
    ProxyCommand {{ jump }}
{% for name, address in machines.items() %}

Host {{ name }}
    HostName {{ address }}
    HostKeyAlias {{ name }}
    ProxyJump {{ vantage }}
{% endfor %}""",
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)


class Access:
    """The lab's keys and the operator's way in.

    Args:
        store: the lab's notes, where the files are kept.
    """

    def __init__(self, *, store: Store) -> None:
        self._store = store
        self.directory = store.directory / "ssh"

    @property
    def config(self) -> Path:
        """The ssh_config(5) file for ``ssh -F``."""
        return self.directory / "ssh_config"

    def public_key(self) -> str:
        """Return the operator's public key; the pair is made when there is none."""
        key = self.directory / "id_ed25519"
        if not key.exists():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            subprocess.run(
                [
                    *("ssh-keygen", "-q", "-t", "ed25519", "-N", ""),
                    *("-C", f"operator of lab {self._store.lab}", "-f", str(key)),
                ],
                check=True,
                stdin=subprocess.DEVNULL,
            )
        return key.with_suffix(".pub").read_text()

    def write_config(self, *, jump: str, machines: Mapping[str, str]) -> None:
        """Write the configuration.

        Args:
            jump: the ProxyCommand that reaches ``outside``.
            machines: name -> address of everything behind it.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._store.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.config.write_text(
            CONFIG.render(
                directory=self.directory,
                sockets=self._store.sockets,
                vantage=VANTAGE,
                jump=jump,
                machines=machines,
            )
        )

    def write_known_hosts(self, keys: Mapping[str, str]) -> None:
        """Write what each machine's host key is, as read through the engine."""
        lines = [f"{name} {' '.join(key.split()[:2])}\n" for name, key in sorted(keys.items())]
        (self.directory / "known_hosts").write_text("".join(lines))

    def known(self) -> Sequence[str]:
        """Return the names of the machines whose host key is known."""
        path = self.directory / "known_hosts"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    def ssh(self) -> Ssh:
        """Return the operator's SSH for this lab."""
        return Ssh(config=self.config, control_dir=self._store.sockets, vantage=VANTAGE)

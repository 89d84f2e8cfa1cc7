"""The dead-man: a timer on a host that takes it back to the release before, unless stopped.

It is armed before a host is changed and stopped over a *new* connection afterwards. A change
that closes the way in (a firewall rule, sshd, a network that is gone) therefore undoes itself. It
survives a reboot: after one, its time begins anew.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.errors import CheckFailedError, CouldNotError
from lab.operator.puppet import Puppet
from lab.operator.releases import environment

DIRECTORY: Final = "/var/lib/generalprove/deadman"
UNIT: Final = "generalprove-deadman"
PROGRAM: Final = Path(__file__).with_name("deadman.sh")

# Puppet's own run may be under way when it is asked whether it has fired.
_STOP_SECONDS: Final = 600.0

_SERVICE: Final = f"""[Unit]
Description=Nobody confirmed a promotion: back to the release before

[Service]
Type=oneshot
ExecStart={DIRECTORY}/run
Restart=on-failure
RestartSec=10
"""

_TIMER: Final = """[Unit]
Description=Wait for somebody to confirm a promotion

[Timer]
OnActiveSec={seconds}
AccuracySec=1
Unit={unit}.service

[Install]
WantedBy=timers.target
"""

# The rules of before are put back in one transaction, ours and everybody's.
_ARM: Final = f"""
cd {DIRECTORY}
{{ echo 'flush ruleset'; nft list ruleset; }} >rules.nft
cp -p /etc/ssh/sshd_config /root/.ssh/authorized_keys .
echo armed >state
systemctl daemon-reload
systemctl enable --quiet {UNIT}.timer
systemctl restart {UNIT}.timer
systemctl is-active --quiet {UNIT}.timer
"""

# Whether it has fired must not change between asking and stopping: the timer goes first.
_STOP: Final = f"""
[ -e {DIRECTORY}/state ] || {{ echo absent; exit; }}
systemctl disable --quiet --now {UNIT}.timer
while [ "$(systemctl show --property SubState --value {UNIT}.service)" = start ]; do sleep 0.3; done
cat {DIRECTORY}/state
systemctl stop {UNIT}.service
rm -rf {DIRECTORY} /etc/systemd/system/{UNIT}.timer /etc/systemd/system/{UNIT}.service
systemctl daemon-reload
systemctl reset-failed {UNIT}.service 2>/dev/null || true
"""


class DeadManError(CouldNotError):
    """A dead-man could not be armed or asked."""


class DeadManCheckError(CheckFailedError):
    """A dead-man acted: its host is back on the release before."""


@dataclass(frozen=True, kw_only=True)
class DeadMan:
    """The dead-men of one site.

    Attributes:
        puppet: Puppet there.
    """

    puppet: Puppet

    def arm(self, host: str, *, back_to: str, seconds: float) -> None:
        """Let *host* go back by itself unless stopped in time; arming again starts anew.

        Args:
            host: which one.
            back_to: the release to go back to; it has to be on the control host.
            seconds: until it acts.
        """
        ssh = self.puppet.ssh
        settings = {
            "CERTNAME": self.puppet.certname(host),
            "SERVER": self.puppet.server,
            "ENVIRONMENT": environment(back_to),
        }
        armed = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
        units = "/etc/systemd/system"
        ssh.write(host, f"{DIRECTORY}/run", PROGRAM.read_text(encoding="utf-8"), mode=0o755)
        ssh.write(host, f"{DIRECTORY}/armed", armed)
        ssh.write(host, f"{units}/{UNIT}.service", _SERVICE)
        timer = _TIMER.format(seconds=f"{seconds:.0f}", unit=UNIT)
        ssh.write(host, f"{units}/{UNIT}.timer", timer)
        ssh.run(host, _ARM)

    def confirm(self, host: str) -> None:
        """Stop *host*'s dead-man, over a new connection: that there is one is the point.

        Raises:
            SshError: the host cannot be reached any more; its dead-man will act.
            DeadManCheckError: it has acted already, or was never armed.
        """
        self.puppet.ssh.forget(host)
        state = self.stop(host)
        if state != "armed":
            raise DeadManCheckError(
                f"its dead-man was {state} when it was to be confirmed",
                where=host,
                remedy="Allow more time with --confirm-within",
            )

    def stop(self, host: str) -> str:
        """Take *host*'s dead-man away, letting a return under way end first.

        Returns:
            ``armed``: it had done nothing; ``returned``: its host is back; ``fired``: it began
            to go back and could not; ``absent``: there was none.
        """
        return self.puppet.ssh.run(host, _STOP, timeout=_STOP_SECONDS).stdout.strip()

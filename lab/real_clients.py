"""Programs that people really use, on the outside machine: mbsync(1) and curl(1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from lab.lab import Lab
from lab.operate import in_lab
from lab.world.legacy.image.seed.people import Person, person
from lab.world.machines import OUTSIDE


@dataclass(frozen=True, kw_only=True)
class RealClient:
    """One person's programs, with what they have downloaded.

    Attributes:
        lab: the lab.
        name: of the person.
    """

    lab: Lab
    name: str
    HOME: ClassVar[str] = "/root/real-clients"

    @classmethod
    def forget(cls, lab: Lab) -> None:
        """Throw away whatever anybody has downloaded."""
        lab.ssh.run(OUTSIDE, ["rm", "-rf", cls.HOME])

    def pull(self) -> str:
        """Download what is new, and return what mbsync says."""
        home, who, domain = self._home, self._person, self.lab.fleet.domain
        self.lab.ssh.write(OUTSIDE, f"{self.HOME}/authorities.pem", in_lab(self.lab).acme.roots())
        config = f"""\
IMAPAccount server
Host imap.{domain}
User {who.login(domain)}
Pass {who.password}
TLSType IMAPS
CertificateFile {self.HOME}/authorities.pem

IMAPStore far
Account server

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
SyncState *
"""
        self.lab.ssh.write(OUTSIDE, f"{home}/mbsyncrc", config, mode=0o600)
        script = f"mkdir -p {home}/mail; mbsync --config {home}/mbsyncrc --verbose all 2>&1"
        return self.lab.ssh.run(OUTSIDE, script, timeout=300).stdout

    def pulled(self) -> frozenset[str]:
        """Return the files that it has of all messages, without the flags in their names."""
        script = f"cd {self._home}/mail; find . -type f -path '*/cur/*' -o -type f -path '*/new/*'"
        files = self.lab.ssh.run(OUTSIDE, script).stdout.splitlines()
        return frozenset(map(_bare, files))

    def repeated(self, had: Collection[str]) -> list[str]:
        """Return which messages it has downloaded that were among what it *had* already.

        Args:
            had: what :meth:`pulled` returned then.
        """
        script = f"cd {self._home}/mail; grep --recursive --text --null -im 1 '^message-id:' ."
        lines = self.lab.ssh.run(OUTSIDE, script).stdout.splitlines()
        found = [line.partition("\0") for line in lines]
        known = {said for file, _, said in found if _bare(file) in had}
        return [said for file, _, said in found if _bare(file) not in had and said in known]

    def first(self, server: str) -> str:
        """Return a checksum of the first message in INBOX, as curl gets it from *server*."""
        who, domain = self._person, self.lab.fleet.domain
        address = self.lab.site.address(server).v4
        command = (
            f"curl --silent --show-error --fail --max-time 30 --cacert {self.HOME}/authorities.pem"
            f" --resolve imap.{domain}:993:{address} --user '{who.login(domain)}:{who.password}'"
            f" 'imaps://imap.{domain}/INBOX;MAILINDEX=1' | sha256sum"
        )
        return self.lab.ssh.run(OUTSIDE, ["bash", "-o", "pipefail", "-c", command]).stdout.strip()

    def keep_first(self) -> None:
        """Note the first message as the old server has it."""
        self.lab.ssh.write(OUTSIDE, f"{self._home}/first", self.first("bergen"))

    def kept_first(self) -> str:
        """Return what :meth:`keep_first` noted."""
        return self.lab.ssh.read(OUTSIDE, f"{self._home}/first")

    @property
    def _home(self) -> str:
        return f"{self.HOME}/{self.name}"

    @property
    def _person(self) -> Person:
        return person(self.name)


def _bare(file: str) -> str:
    """Return the name of a maildir's file without its path and its flags."""
    return file.rpartition("/")[2].partition(":")[0]

"""Puppetboard as people see it: over HTTPS, from outside, with a password."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from lab.errors import CouldNotError
from lab.operator.ssh import Ssh

_HTTPS = 443


class DashboardError(CouldNotError):
    """Puppetboard gave no answer that could be believed."""


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """Puppetboard of one site.

    Attributes:
        ssh: its :meth:`~lab.operator.ssh.Ssh.dial` leads outside.
        name: which its certificate must be for.
        authority: certificate, PEM, of whoever must have signed that.
        user: who may see it.
        password: of that user.
    """

    ssh: Ssh
    name: str
    authority: str
    user: str
    password: str = field(repr=False)

    def problems(self, address: str, *, certnames: Sequence[str]) -> list[str]:
        """Return what is wrong with it, as seen on one address; empty when nothing is.

        Args:
            address: IPv4 or IPv6.
            certnames: of the hosts that it must show.
        """
        found = []
        for credentials in (None, (self.user, f"not {self.password}")):
            status, _ = self._get(address, credentials)
            if status != HTTPStatus.UNAUTHORIZED:
                found.append(f"Puppetboard on {address} answers {status} without the password")
        status, page = self._get(address, (self.user, self.password))
        if status != HTTPStatus.OK:
            found.append(f"Puppetboard on {address} answers {status}")
        elif missing := [name for name in certnames if name not in page]:
            found.append(f"Puppetboard on {address} does not show {', '.join(missing)}")
        return found

    def _get(self, address: str, credentials: tuple[str, str] | None) -> tuple[int, str]:
        """Ask for the list of hosts; return status and page.

        Raises:
            DashboardError: no answer, or not from whom it should be.
        """
        headers = {"Host": self.name, "Connection": "close"}
        if credentials is not None:
            token = base64.b64encode(":".join(credentials).encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        context = ssl.create_default_context(cadata=self.authority)
        try:
            with (
                self.ssh.dial(address, _HTTPS) as plain,
                context.wrap_socket(plain, server_hostname=self.name) as sealed,
            ):
                connection = http.client.HTTPConnection(self.name)
                connection.sock = sealed
                connection.request("GET", "/nodes", headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            where = f"{self.name} ({address})"
            raise DashboardError(f"no answer over HTTPS: {error}", where=where) from error

"""The control host's pages as people see them: over HTTPS, from outside, with a password."""

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
    """A page gave no answer that could be believed."""


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """The pages of one site's control host.

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

    def problems(self, address: str, *, path: str, texts: Sequence[str]) -> list[str]:
        """Return what is wrong with a page, as seen on one address; empty when nothing is.

        Args:
            address: IPv4 or IPv6.
            path: of the page.
            texts: what it must show.
        """
        found = []
        for credentials in (None, (self.user, f"not {self.password}")):
            status, _ = self._get(address, path, credentials)
            if status != HTTPStatus.UNAUTHORIZED:
                found.append(f"{path} on {address} answers {status} without the password")
        status, page = self._get(address, path, (self.user, self.password))
        if status != HTTPStatus.OK:
            found.append(f"{path} on {address} answers {status}")
        elif missing := [text for text in texts if text not in page]:
            found.append(f"{path} on {address} does not show {', '.join(missing)}")
        return found

    def _get(self, address: str, path: str, credentials: tuple[str, str] | None) -> tuple[int, str]:
        """Ask for a page; return status and page.

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
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            where = f"{self.name} ({address})"
            raise DashboardError(f"no answer over HTTPS: {error}", where=where) from error

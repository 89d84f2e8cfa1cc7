"""What a site's hosts are told through Hiera, as files of the control host.

Public data in one file, each host's secrets in one of its own: nobody's catalog can hold what
belongs to another host. The secrets are sealed to the site's key (:mod:`lab.operator.secrets`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Final

from ruamel.yaml import YAML

from lab.fleet import Fleet, Host, Site
from lab.operator.secrets import Secrets, mailbox_hash, password_hash
from lab.operator.site_data import SiteKeys, site_data

DIRECTORY: Final = "/var/lib/generalprove/site"
"""Where hiera.yaml looks for a site's data on the control host."""

DASHBOARD_USER: Final = "operator"
"""The person who may see Puppetboard; the password is among the site's secrets."""

WATCHER: Final = "watcher"
"""Name among the secrets of the password to the mailbox that the monitoring reads."""

MAIL_ROLES: Final = ("production", "standby")
"""Roles of hosts that may have the mail."""

_HEADER: Final = "# Written by the operator from fleet.yaml and the site's secrets.\n"


def site_files(
    *, fleet: Fleet, site: Site, secrets: Secrets, operators: Sequence[str]
) -> dict[str, str]:
    """Return the files below :data:`DIRECTORY`: path -> content.

    Args:
        fleet: the description.
        site: where it stands.
        secrets: the site's.
        operators: public SSH keys that root lets in.
    """
    keys = SiteKeys(
        wireguard={name: secrets.wireguard(name).public for name in fleet.hosts},
        operators=operators,
    )
    sealed = {
        f"nodes/{host.name}.eyaml": {
            key: secrets.encrypt(value) for key, value in node_secrets(host, secrets).items()
        }
        for host in fleet.hosts.values()
    }
    return {
        "site.yaml": as_yaml(site_data(fleet=fleet, site=site, keys=keys)),
        **{path: as_yaml(data) for path, data in sealed.items()},
    }


def node_secrets(host: Host, secrets: Secrets) -> dict[str, str]:
    """Return the secrets that Puppet needs for one host, by Hiera key and in clear."""
    found = {"profile::wireguard::private_key": secrets.wireguard(host).private}
    watcher = secrets.password(WATCHER)
    if host.role in MAIL_ROLES:
        found["profile::mail::watcher_password"] = mailbox_hash(watcher)
    if host.role == "control":
        found |= {
            "profile::monitoring::letter::mail_password": watcher,
            "profile::puppetserver::enrolment_key": secrets.enrolment_key,
            "profile::puppetboard::session_key": secrets.session_key("puppetboard"),
            "profile::puppetboard::password": password_hash(secrets.password("puppetboard")),
        }
    return found


def as_yaml(data: Mapping[str, object]) -> str:
    """Return *data* as a file of its own."""
    yaml = YAML()
    yaml.explicit_start = True
    yaml.width = 1_000_000
    text = io.StringIO(_HEADER)
    text.seek(0, io.SEEK_END)
    yaml.dump(dict(data), text)
    return text.getvalue()

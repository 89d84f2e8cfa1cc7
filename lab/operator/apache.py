"""An Apache that somebody set up by hand, with one file of ours beside what is there.

The file lets it pass requests on to the new server; without it everything is as before. What it
serves itself can always be asked for on the host's own loopback addresses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.errors import CouldNotError
from lab.operator.ssh import Ssh

SERVICE: Final = "apache2.service"
CONFIG: Final = "/etc/apache2/conf-enabled/zz-generalprove.conf"
KEYS: Final = "/etc/ssl/generalprove"
LOOPBACK: Final = "127.0.0.1"
ON: Final = 8443
"""Where the old server passes on to."""

_CHANGING: Final = "/run/generalprove-web.changing"
"""There while a process may work by what was before: a restart ends them all, and forgets it."""

_MODES: Final = ("", "ready", "passing")
_MODULES: Final = "/usr/lib/apache2/modules"
_SETTLE_SECONDS: Final = 100


class ApacheError(CouldNotError):
    """The old web server could not be read or changed."""


@dataclass(frozen=True, kw_only=True)
class ApacheState:
    """How the server stands.

    Attributes:
        active: whether it runs now.
        mode: what our file makes it do: nothing without one (empty); ``ready``: it passes
            challenges on; ``passing``: it passes everything on.
        settled: whether no process of it is left that has read less.
    """

    active: bool
    mode: str = ""
    settled: bool = True


class Apache:
    """The Apache of one host, as Debian packages it.

    Args:
        ssh: the way to the host.
        host: name of the host.
    """

    def __init__(self, *, ssh: Ssh, host: str) -> None:
        self._ssh = ssh
        self._host = host

    def state(self) -> ApacheState:
        """Return how it stands."""
        script = f"""
            systemctl is-active {SERVICE} || true
            test ! -e {_CHANGING} && echo settled || echo changing
            cat {CONFIG} 2>/dev/null || true
        """
        active, settled, *lines = self._ssh.run(self._host, script).stdout.splitlines()
        text = "".join(f"{line}\n" for line in lines)
        found = re.search(r"^# mode: (\w+)$", text, re.MULTILINE)
        return ApacheState(
            active=active == "active",
            mode=found[1] if found else "",
            settled=settled == "settled",
        )

    def files(self, directory: str, *, without: str = "") -> list[str]:
        """Return what lies below *directory*, relative; directories end with a slash.

        Args:
            directory: where the content is.
            without: a directory in there that is left out.
        """
        prune = f"-path './{without}' -prune -o" if without else ""
        script = f"""
            cd '{directory}'
            find . {prune} -name '.ht*' -o -type d -printf '%P/\\n' -o -type f -printf '%P\\n'
        """
        said = self._ssh.run(self._host, script).stdout
        return sorted(line for line in said.splitlines() if line != "/")

    def become(self, mode: str, *, new: Sequence[str], certificate: str, key: str) -> None:
        """Read another file of ours, and wait until no process works by the one before.

        Args:
            mode: as in :class:`ApacheState`.
            new: addresses of the new server, IPv4 first.
            certificate: what either server shows the other, PEM.
            key: of that.

        Raises:
            SshError: Apache does not take it, or a process does not end.
        """
        text = config(mode, new=new) if mode else ""
        if mode:
            self._ssh.write(self._host, f"{KEYS}/passage.crt", certificate)
            self._ssh.write(self._host, f"{KEYS}/passage.pem", certificate + key, mode=0o600)
        install = f"cat >{CONFIG}.new; mv -T {CONFIG}.new {CONFIG}" if mode else f"rm -f {CONFIG}"
        script = f"""
            before=$(mktemp)
            test ! -e {CONFIG} || cp {CONFIG} "$before"
            unsettled=$(test ! -e {_CHANGING} || echo yes)
            touch {_CHANGING}
            {install}
            if ! said=$(apachectl configtest 2>&1); then
                rm -f {CONFIG}
                test ! -s "$before" || cp "$before" {CONFIG}
                rm -f "$before"
                test "$unsettled" || rm -f {_CHANGING}
                echo "$said" >&2
                exit 1
            fi
            rm -f "$before"
            main=$(systemctl show --property MainPID --value {SERVICE})
            workers=$(pgrep -P "$main" || true)
            apachectl graceful
            tries=$(({_SETTLE_SECONDS} * 5))
            for worker in $workers; do
                while kill -0 "$worker" 2>/dev/null; do
                    tries=$((tries - 1))
                    [ "$tries" -gt 0 ] || {{ echo "process $worker does not end" >&2; exit 1; }}
                    sleep 0.2
                done
            done
            {":" if mode else f"rm -rf {KEYS}"}
            rm -f {_CHANGING}
        """
        self._ssh.run(self._host, script, stdin=text, timeout=_SETTLE_SECONDS + 30)


def config(mode: str, *, new: Sequence[str]) -> str:
    """Return our file.

    Args:
        mode: ``ready`` or ``passing``.
        new: addresses of the new server, IPv4 first.
    """
    target = f"https://{new[0]}:{ON}"
    path = "/" if mode == "passing" else "/.well-known/acme-challenge/"
    modules = "".join(
        f"<IfModule !{name}_module>\n    LoadModule {name}_module {_MODULES}/mod_{name}.so\n"
        "</IfModule>\n"
        for name in ("socache_shmcb", "ssl", "headers", "setenvif", "proxy", "proxy_http")
    )
    local = "".join(
        f'SetEnvIf Remote_Addr "{pattern}" no-proxy\n'
        for pattern in (r"^127\.", "^::1$", *(f"^{re.escape(each)}$" for each in new))
    )
    return f"""\
# Put here by generalprove while the web moves; `step web --rollback` takes it away.
# mode: {mode}
{modules}
# Whoever is passed on holds a process here, and may need another one for what is asked back. So
# they are there before they are wanted: after `apachectl graceful` Apache starts one a second for
# ten seconds. 256 is as much as it takes without a restart.
<IfModule mpm_prefork_module>
    StartServers 128
    MinSpareServers 64
    MaxSpareServers 256
    MaxRequestWorkers 256
</IfModule>

# What this host itself asks for, and the new server, is answered here: it would go in circles.
{local}ProxyPreserveHost On
ProxyTimeout 60
RequestHeader set X-Forwarded-Proto "expr=%{{REQUEST_SCHEME}}"
<Proxy "{target}/*">
    SSLProxyEngine on
    SSLProxyVerify require
    SSLProxyCACertificateFile {KEYS}/passage.crt
    SSLProxyCheckPeerCN off
    SSLProxyCheckPeerName off
</Proxy>
# A connection for each request: one kept open may be closed just as a form is sent.
ProxyPass {path} {target}{path} disablereuse=on nocanon
"""

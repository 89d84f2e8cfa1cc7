"""The new host obtains certificates, for its sites and for its mail."""

from __future__ import annotations

from typing import Final

from lab.operator import Operator
from lab.operator.ssh import SshError
from lab.steps.base import StepCheckError

_UNIT: Final = "web-certificates.service"
_CERTIFY_SECONDS: Final = 600.0


def obtain_certificates(op: Operator, host: str) -> None:
    """Let *host* ask for the certificates that it lacks, and wait for them.

    Raises:
        StepCheckError: the authority issues none, and why.
    """
    op.acme.roots()
    script = f"""
        systemctl start {_UNIT} && exit
        journalctl --unit {_UNIT} --invocation 0 --output cat --no-pager 2>/dev/null |
            grep -iE 'error|detail' | head -n 5 >&2
        exit 1
    """
    try:
        op.ssh.run(host, script, timeout=_CERTIFY_SECONDS)
    except SshError as error:
        raise StepCheckError(
            f"no certificates: {error.what}",
            where=host,
            remedy=f"`journalctl --unit {_UNIT}` there has all of it",
        ) from error

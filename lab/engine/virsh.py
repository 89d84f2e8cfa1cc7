"""libvirt by its own command: what Vagrant cannot do, and what must not take its two seconds.

Cutting the power at a chosen moment, plugging a cable in, speaking with the agent in a machine.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lab.engine.base import Answer, EngineError
from lab.text import last_line

URI = "qemu:///system"
REMEDY = "`lab/engine/start-libvirt` installs and starts what is missing"
SECONDS = 60.0
# The agent answers at once or not at all; a machine that is starting has none yet.
_PING_SECONDS = 2
_LOOK_SECONDS = (0.02, 0.5)
# Whoever runs `timeout 5` in a machine hears of it a moment later.
_GRACE_SECONDS = 10.0


def virsh(*argv: str, timeout: float = SECONDS, check: bool = True) -> Answer:
    """Run one command of virsh.

    Args:
        argv: its arguments.
        timeout: seconds after which libvirt is given up.
        check: whether it has to succeed.

    Raises:
        EngineError: libvirt is missing, silent, or refuses.
    """
    if shutil.which("virsh") is None:
        raise EngineError("libvirt is not installed", remedy=REMEDY)
    try:
        done = subprocess.run(
            ["virsh", "--quiet", "--connect", URI, *argv],
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"libvirt gave no answer to `{argv[0]}` in {timeout:.0f} s") from None
    said = last_line(done.stderr)
    if done.returncode and "failed to connect to the hypervisor" in done.stderr:
        raise EngineError("libvirt does not answer", remedy=REMEDY)
    if done.returncode and check:
        raise EngineError(f"`virsh {argv[0]}`: {said or done.returncode}", where="libvirt")
    return Answer(code=done.returncode, output=done.stdout if not done.returncode else said)


def domains() -> Mapping[str, str]:
    """Return every machine that libvirt knows, with what it calls its state."""
    return parse_domains(virsh("list", "--all").output)


def parse_domains(text: str) -> dict[str, str]:
    """Return name -> state from what ``virsh list`` prints."""
    rows = (line.split(maxsplit=2) for line in text.splitlines())
    return {row[1]: row[2].strip() for row in rows if len(row) == 3}  # noqa: PLR2004 - columns


class Agent:
    """The agent in one machine (qemu-guest-agent): commands past its network.

    Args:
        domain: what libvirt calls the machine.
        where: what its people call it.
    """

    def __init__(self, *, domain: str, where: str) -> None:
        self._domain = domain
        self._where = where

    def wait(self, seconds: float) -> None:
        """Wait until the agent answers.

        Raises:
            EngineError: it does not in *seconds*, or the machine does not run.
        """
        deadline = time.monotonic() + seconds
        while True:
            tried = virsh(*self._command({"execute": "guest-ping"}, _PING_SECONDS), check=False)
            if tried.ok:
                return
            if "not running" in tried.output or "failed to get domain" in tried.output:
                raise EngineError("the machine does not run", where=self._where)
            if time.monotonic() > deadline:
                raise EngineError(
                    f"its agent has not answered for {seconds:.0f} s: {tried.output}",
                    where=self._where,
                )
            time.sleep(_LOOK_SECONDS[1])

    def run(self, argv: Sequence[str], *, timeout: float) -> Answer:
        """Run a command; timeout(1) bounds it in the machine, and *timeout* here as well.

        Raises:
            EngineError: the agent does not answer any more.
        """
        bounded = ["timeout", f"{timeout:.0f}", *argv]
        asked = {
            "path": "/bin/sh",
            "arg": ["-c", 'exec "$@" 2>&1 </dev/null', "sh", *bounded],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "capture-output": True,
        }
        process = self._ask("guest-exec", asked)["pid"]
        deadline = time.monotonic() + timeout + _GRACE_SECONDS
        pause, longest = _LOOK_SECONDS
        while True:
            found = self._ask("guest-exec-status", {"pid": process})
            if found["exited"]:
                return answer(found)
            if time.monotonic() > deadline:
                raise EngineError(f"`{argv[0]}` has not ended in time", where=self._where)
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def _ask(self, command: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = {"execute": command, "arguments": arguments}
        said = virsh(*self._command(asked, int(SECONDS)), timeout=SECONDS + _GRACE_SECONDS)
        found: Mapping[str, Any] = json.loads(said.output)["return"]
        return found

    def _command(self, asked: Mapping[str, Any], seconds: int) -> tuple[str, ...]:
        text = json.dumps(asked)
        return ("qemu-agent-command", self._domain, text, "--timeout", str(seconds))


def answer(found: Mapping[str, Any]) -> Answer:
    """Return what a command said, from the agent's last word on it (its output is base64)."""
    try:
        output = base64.b64decode(found.get("out-data", "")).decode(errors="replace")
    except binascii.Error:
        output = ""
    # A command that a signal ended has no exit code; shells add 128 to the signal's number.
    code = found.get("exitcode", 128 + int(found.get("signal", 0)))
    return Answer(code=int(code), output=output)

"""How far the fleet has come: state of the control host, read by Hiera before anything else.

It is not code. One release of the control repository stands at any stage, and a step that is
undone takes back what it wrote here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lab.errors import CouldNotError
from lab.operator.ssh import Ssh

PATH: Final = "/var/lib/generalprove/stage.yaml"
"""Where Puppet's hiera.yaml has its strongest layer."""

REACHED: Final = "stage::reached"
"""Key of the finished steps."""

_HEADER: Final = "# Written by the operator. Hiera's strongest layer; see puppet/hiera.yaml.\n"


class StageError(CouldNotError):
    """The stage could not be read or written."""


class Stage:
    """The stage of one fleet.

    Args:
        ssh: the way to the control host.
        host: the control host's name.
    """

    def __init__(self, *, ssh: Ssh, host: str) -> None:
        self._ssh = ssh
        self._host = host

    def read(self) -> dict[str, object]:
        """Return all of it by Hiera key; empty when nothing was written yet.

        Raises:
            StageError: what is there is not a stage.
        """
        text = self._ssh.run(self._host, f"test ! -e {PATH} || cat {PATH}").stdout
        return parse(text, where=f"{self._host}:{PATH}")

    def update(self, changes: Mapping[str, object]) -> None:
        """Change some keys, in one step; None removes a key."""
        before = self.read()
        after = {key: value for key, value in (before | dict(changes)).items() if value is not None}
        if after == before:
            return
        yaml = YAML()
        yaml.explicit_start = True
        text = io.StringIO(_HEADER)
        text.seek(0, io.SEEK_END)
        yaml.dump(dict(sorted(after.items())), text)
        self._ssh.write(self._host, PATH, text.getvalue())

    def reached(self) -> list[str]:
        """Return the names of the finished steps, in the order in which they were made."""
        return reached(self.read(), where=f"{self._host}:{PATH}")

    def reach(self, step: str) -> None:
        """Note that *step* is finished."""
        if step not in (steps := self.reached()):
            self.update({REACHED: [*steps, step]})

    def leave(self, step: str) -> None:
        """Note that *step* is undone."""
        self.update({REACHED: [one for one in self.reached() if one != step] or None})


def parse(text: str, *, where: str) -> dict[str, object]:
    """Return what the file says; empty when it is.

    Args:
        text: the file.
        where: it is, for errors.

    Raises:
        StageError: it is not a stage.
    """
    try:
        found = YAML(typ="safe").load(text) or {}
    except YAMLError as error:
        raise StageError(str(error), where=where) from error
    if not isinstance(found, dict):
        raise StageError("not a table of keys", where=where)
    return found


def reached(stage: Mapping[str, object], *, where: str) -> list[str]:
    """Return the names of the finished steps, in the order in which they were made."""
    steps = stage.get(REACHED, [])
    if not isinstance(steps, list):
        raise StageError(f"{REACHED} is not a list", where=where)
    return [str(step) for step in steps]

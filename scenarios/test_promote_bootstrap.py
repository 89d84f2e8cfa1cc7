"""From freshly rented servers to the first promotion, as docs/operating.md says it.

Nothing but SSH reaches the servers, and nothing is done that was not proven before.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from standin import StandIn

from lab.errors import Exit
from lab.lab import Lab
from lab.rehearsal import reach


@pytest.mark.slow
def test_bare_servers_are_bootstrapped_and_promoted_to(lab: Lab, tmp_path: Path) -> None:
    reach(lab, "bare")
    rented = StandIn(lab=lab, checkout=tmp_path / "checkout", bare=True)
    refused = rented.promote("--bootstrap", "--apply")
    assert refused.returncode == Exit.REFUSED, refused.stdout + refused.stderr
    assert "pytest scenarios/test_step_control.py" in refused.stdout
    rented.prove()
    asked = rented.promote("--bootstrap")
    assert asked.returncode == Exit.OK, asked.stdout + asked.stderr
    assert rented.release == ""
    done = rented.promote("--bootstrap", "--apply")
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    commit = rented.journal(400)
    rented.prove()
    promoted = rented.promote("--apply")
    assert promoted.returncode == Exit.OK, promoted.stdout + promoted.stderr
    assert set(rented.releases().values()) == {commit[:12]}
    rented.forget()

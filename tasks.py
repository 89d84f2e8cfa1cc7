"""The commands: ``./invoke --list`` names them, ``./invoke --help COMMAND`` explains one.

invoke looks for them here; they are written down in :mod:`lab.commands`.
"""

from __future__ import annotations

from lab.commands.checks import bench, fleet_check, puppet_check, puppet_modules, run_tests
from lab.commands.labs import (
    box_build,
    fidelity,
    lab_down,
    lab_logs,
    lab_restore,
    lab_ssh,
    lab_status,
    lab_up,
)
from lab.commands.pair import (
    availability,
    dns_primary,
    drain,
    game_day,
    mail_takeover,
    rebuild,
    site_release,
    undrain,
)
from lab.commands.production import drift, evidence, promote
from lab.commands.steps import rehearse, step

__all__ = [
    "availability",
    "bench",
    "box_build",
    "dns_primary",
    "drain",
    "drift",
    "evidence",
    "fidelity",
    "fleet_check",
    "game_day",
    "lab_down",
    "lab_logs",
    "lab_restore",
    "lab_ssh",
    "lab_status",
    "lab_up",
    "mail_takeover",
    "promote",
    "puppet_check",
    "puppet_modules",
    "rebuild",
    "rehearse",
    "run_tests",
    "site_release",
    "step",
    "undrain",
]

"""Options that several commands have."""

from __future__ import annotations

from typing import Final

from lab.steps import STEPS

LAB: Final = {"lab": "name of the lab; several stand side by side"}
STEP_NAMES: Final = ", ".join(step.name for step in STEPS)
UNTIL: Final = {"until": f"the last step to make: bare, {STEP_NAMES}"}
SITE: Final = {
    **LAB,
    "on": "lab or production",
    "apply": "do it: without this, production is only looked at",
}

"""How fast something is, is a matter of benchmarks: a busy machine makes no test fail."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

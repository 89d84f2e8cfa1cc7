"""What several unit tests start from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from promotion import Checkout

# How fast something is, is a matter of benchmarks: a busy machine makes no test fail.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a small checkout, and keys."""
    directory = tmp_path_factory.mktemp("made-once")
    Checkout.make(directory)
    return directory


@pytest.fixture
def checkout(made_once: Path, tmp_path: Path) -> Checkout:
    """Return a copy of it."""
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    return Checkout.at(tmp_path)

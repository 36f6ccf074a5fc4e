"""Shared fixtures: where the real data lies, if it is there. And what makes every run of the tests alike."""

import os
import random
import sys
from pathlib import Path

import pytest

from tests.properties import register_profiles

os.environ["OMP_NUM_THREADS"] = "1"
"""Small models are slower on two threads, and the sums of one thread have one order. Read when torch is loaded."""
assert "torch" not in sys.modules, "torch was loaded before it was told to use one thread"

register_profiles()

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """No test, and no fixture made for it, sees what the tests before it drew from the global generators."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real pages, problems and solutions laid beside the checkout; tests that need them skip without them."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data beside the checkout (shared/data) is not there")
    return SHARED_DATA

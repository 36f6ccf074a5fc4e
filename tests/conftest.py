"""Shared fixtures: where the real data lies, if it is there."""

from pathlib import Path

import hypothesis
import pytest

# An example's time is no property: a busy machine must not fail a test.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real pages, problems and solutions laid beside the checkout; tests that need them skip without them."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data beside the checkout (shared/data) is not there")
    return SHARED_DATA

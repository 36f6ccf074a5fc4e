"""Shared fixtures: where the real data lies, if it is there."""

from pathlib import Path

import hypothesis
import pytest

# An example's time is no property: a busy machine must not fail a test.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `cuda` where there is no GPU."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if not marked:
        return
    import torch  # most test runs of a room do without it

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a GPU with CUDA"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real pages, problems and solutions laid beside the checkout; tests that need them skip without them."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data beside the checkout (shared/data) is not there")
    return SHARED_DATA

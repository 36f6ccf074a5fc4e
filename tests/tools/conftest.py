"""One sandbox for all tests of a module: starting one imports sympy."""

from collections.abc import Iterator

import pytest

from mathwright.tools.isolation import missing_features
from mathwright.tools.sandbox import Sandbox


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    missing = missing_features()
    if missing:
        pytest.skip("this machine lacks " + ", ".join(missing))
    with Sandbox() as sandbox:
        yield sandbox

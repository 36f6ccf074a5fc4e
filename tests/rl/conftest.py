"""In these tests the shapes in the annotations are checked at every call (by beartype)."""

import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

PURE_MODULES = ["mathwright.rl.advantages", "mathwright.rl.divergence", "mathwright.rl.losses"]

if not any(name in sys.modules for name in PURE_MODULES):
    install_import_hook(PURE_MODULES, "beartype.beartype")


@pytest.fixture(autouse=True)
def one_thread():
    """Small models are slower on two threads, and the sums of one thread have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A random model on disk."""
    from tests.rl import toy  # behind the hook, which must see the modules first

    return toy.model_folder(tmp_path_factory.mktemp("rl") / "model")

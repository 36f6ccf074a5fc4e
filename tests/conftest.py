"""What makes every run of the tests alike, the order of the files, and where the real data lies, if it is there."""

import gc
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mathwright import children
from tests import warm
from tests.properties import register_profiles

pytest_plugins = ["tests.lacking"]

os.environ["OMP_NUM_THREADS"] = "1"
"""Small models are slower on two threads, and the sums of one thread have one order. Read when torch is loaded."""
assert "torch" not in sys.modules, "torch was loaded before it was told to use one thread"

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""Hundreds of processes load the package and the tests: compiled once, and not by each of them."""

register_profiles()
children.start_process = warm.start_worker
warm.fork_what_is_spawned()

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

LONGEST = (
    "test_quickstart.py", "test_guides.py", "lm/test_parallel.py", "corpus/test_bad_input.py", "test_gpu.py",
    "corpus/crawl/test_focused.py", "corpus/documents/test_table.py", "rl/test_models.py", "corpus/pages/test_run.py",
    "corpus/test_stage.py", "rl/test_train.py", "chain/test_stories.py", "mutants/test_mutants.py",
    "corpus/crawl/test_run.py", "corpus/documents/test_sort.py", "corpus/archive/test_memory.py",
    "tools/test_memory.py", "answers/test_check.py", "answers/test_pool.py", "corpus/extract/test_page.py",
    "test_asking.py",
)  # fmt: skip
"""The files that take longest, beginning with the longest: started last, one of them would run on alone at the end."""


TOGETHER = (
    "test_guides.py", "lm/test_parallel.py", "chain/test_compare.py", "rl/test_models.py", "rl/test_train.py",
    "rl/test_critic.py", "sft/annotate/test_annotate.py", "reward/test_step_labels.py", "run/test_lock.py",
    "lm/test_folders.py",
)  # fmt: skip
"""Files that run commands in the warm interpreters that have torch, two to a process of tests: twenty seconds to start,
which are paid once where all of these run in one."""


@pytest.hookimpl(optionalhook=True)  # there is none without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests in one process, as `--dist loadfile` does it, and those of `TOGETHER` as if they were one file."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope = super()._split_scope(nodeid)
            return TOGETHER[0] if scope.removeprefix("tests/") in TOGETHER else scope

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the order within a file stays. Without a GPU, tests that need one are skipped."""
    tests = Path(__file__).parent
    place = {tests / name: number for number, name in enumerate(LONGEST)}
    assert all(path.is_file() for path in [*place, *map(tests.joinpath, TOGETHER)]), "a file named here has moved"
    items.sort(key=lambda item: place.get(item.path, len(place)))
    _skip_without_gpu([item for item in items if item.get_closest_marker("cuda")])


def _skip_without_gpu(items: list[pytest.Item]) -> None:
    if not items:
        return
    import torch  # most test runs of a room do without it

    if not torch.cuda.is_available():
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs a GPU with CUDA"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """No test, and no fixture made for it, sees what the tests before it drew from the global generators."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        _seed_torch(sys.modules["torch"])


def _seed_torch(torch: Any) -> None:
    """Not `torch.manual_seed`: without a GPU that formats the stack for each kind of device, a millisecond a test."""
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How to draw the same again, and where a find goes."""
    if config.getoption("--hypothesis-profile") == "fuzz":
        terminalreporter.section("fuzz")
        terminalreporter.line(f"`make fuzz SEED={config.getoption('--hypothesis-seed')}` draws the same examples.")
        terminalreporter.line("A find becomes a golden case: a line of tests/golden/*.jsonl with its reason, or, where")
        terminalreporter.line("the test has no golden file, hypothesis's @example(...) above the test. Then mend it.")


def pytest_collection_finish() -> None:
    """What importing every library made stays to the end: no collection of garbage looks at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def garbage_is_collected_by_the_main_thread() -> Iterator[None]:
    """Nodes of resiliparse may only be dropped by the thread that parsed them.

    In a cycle (the frames of an exception that a test kept) they wait for the collector, which runs in any thread: in
    that of a server, say, which a later file starts.
    """
    yield
    gc.collect()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real pages, problems and solutions laid beside the checkout; tests that need them skip without them."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data beside the checkout (shared/data) is not there")
    return SHARED_DATA

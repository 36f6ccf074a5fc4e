"""Property tests draw the same examples on every machine and after any other test."""

import subprocess
import sys

import hypothesis
import pytest

from tests.properties import FUZZ_FACTOR, examples

DRAW = """
import hashlib
from hypothesis import given, strategies as st
from tests.properties import examples, register_profiles
register_profiles()
{loaded}
drawn = []
@examples(200)
@given(st.integers(), st.text(), st.floats())
def test(number, text, real):
    drawn.append(repr((number, text, real)))
test()
print(hashlib.sha256("".join(drawn).encode()).hexdigest())
"""


def drawn_after(loaded: str, hash_seed: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", DRAW.format(loaded=loaded)],
        env={"PYTHONHASHSEED": hash_seed, **environment}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_the_examples_depend_on_no_module_that_was_loaded_before_and_on_no_hash() -> None:
    assert drawn_after("", "1") == drawn_after("import tests.problems.test_turns, mathwright.answers.units", "2")


@pytest.mark.parametrize("variable", ["CI", "GITHUB_ACTIONS", "TF_BUILD"])
def test_profiles_do_not_depend_on_where_they_run(variable: str) -> None:
    """Hypothesis takes another profile as the parent of ours where a variable names a build server."""
    written = (
        "import hypothesis\nfrom tests.properties import register_profiles\nregister_profiles()\n"
        "for name in ('fixed', 'fuzz'): print(repr(hypothesis.settings.get_profile(name)))"
    )
    here, there = (
        subprocess.run([sys.executable, "-c", written], env=env, capture_output=True, text=True, check=True).stdout
        for env in ({}, {variable: "true"})
    )
    assert here == there


def test_examples_are_counted_by_the_profile() -> None:
    fixed, fuzz = (hypothesis.settings.get_profile(name) for name in ("fixed", "fuzz"))
    assert (fixed.max_examples, fuzz.max_examples) == (100, 100 * FUZZ_FACTOR)
    assert fixed.derandomize and not fuzz.derandomize
    assert fixed.database is None and fuzz.database is None
    before = hypothesis.settings.default
    assert before is not None
    assert examples(60).max_examples == 60 * before.max_examples // 100

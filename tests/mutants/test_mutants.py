"""Each known mistake makes the test named beside it fail; the table: `python -m tests.mutants.table`."""

import pytest

from tests.mutants.table import MUTANTS, Mutant, killed


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.mistake)
def test_the_mutant_is_killed(mutant: Mutant):
    assert killed(mutant), f"{mutant.killed_by} passes with the mistake: {mutant.mistake}"

"""How property tests draw: the same examples for everybody in `make test`, new ones in `make fuzz`."""

import hypothesis
from hypothesis.internal.conjecture import providers

FUZZ_FACTOR = 20
"""So many times more examples `make fuzz` draws."""


def register_profiles() -> None:
    """`fixed`, which is loaded, and `fuzz` (pytest --hypothesis-profile=fuzz).

    Neither looks at the clock: a busy machine must not fail a test. Neither keeps a database: what was found on one
    machine would be drawn again on that machine only. Every setting is named: what is not is inherited from a profile
    that hypothesis chooses by the environment (where `CI` is set, it draws the same examples each time).
    """
    common = {
        "deadline": None, "database": None, "print_blob": True,
        "suppress_health_check": [hypothesis.HealthCheck.too_slow], "phases": tuple(hypothesis.Phase),
        "stateful_step_count": 50, "report_multiple_bugs": True, "verbosity": hypothesis.Verbosity.normal,
        "backend": "hypothesis",
    }  # fmt: skip
    hypothesis.settings.register_profile("fixed", max_examples=100, derandomize=True, **common)
    hypothesis.settings.register_profile("fuzz", max_examples=100 * FUZZ_FACTOR, derandomize=False, **common)
    hypothesis.settings.load_profile("fixed")
    draw_no_constants_of_modules()


def draw_no_constants_of_modules() -> None:
    """Hypothesis also draws numbers and strings that it finds in the source of whatever modules are loaded.

    Which are depends on the tests that ran before in the process, and on every change of the package.
    """
    empty = providers._local_constants
    providers._get_local_constants = lambda: empty


def examples(count: int) -> hypothesis.settings:
    """Settings of a property test that draws `count` examples and not hypothesis's 100; more of them in `make fuzz`."""
    return hypothesis.settings(max_examples=count * hypothesis.settings().max_examples // 100)

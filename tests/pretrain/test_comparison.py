"""Which trainings a comparison has, in which order and from which start; and what is refused."""

from dataclasses import replace

import pytest

from mathwright.errors import MathwrightError
from mathwright.pretrain.comparison import (
    arms,
    check_comparison,
    components,
    measure_names,
    pilot,
    task_and_mode,
    trainings,
)
from mathwright.pretrain.recipe import ArmRecipe, CompareRecipe, MixtureRecipe, PretrainRecipe

A, B = (MixtureRecipe(name=name, path=f"corpora/{name}", weight=1.0) for name in ("a", "b"))
THEN = ArmRecipe(name="b_then_a", mixture=(A,), after="b", num_tokens=500)
MIXED = ArmRecipe(name="mixed", mixture=(A, B))
RECIPE = CompareRecipe(
    corpora=(A, B), arms=(THEN, MIXED), training=PretrainRecipe(mixture=(), num_tokens=1_000), seeds=(3, 4, 5)
)


def test_arms_are_the_corpora_and_the_mixtures_and_each_corpus_is_named_once() -> None:
    assert [arm.name for arm in arms(RECIPE)] == ["a", "b", "b_then_a", "mixed"]
    assert components(RECIPE) == {"a": A, "b": B}
    healed = replace(RECIPE, heal=PretrainRecipe(mixture=(replace(A, name="neutral", path="corpora/c"),)))
    assert set(components(healed)) == {"a", "b", "neutral"}


def test_an_arm_after_another_starts_from_its_model_of_the_same_seed_and_rate() -> None:
    found = trainings(replace(RECIPE, rates=(0.1, 0.2)), seed=0)
    assert len(found) == 4 * 3 * 2
    assert [(t.rate, t.seed) for t in found[::4]] == [(r, s) for r in (0.1, 0.2) for s in (3, 4, 5)]
    by_name = {t.name: t for t in found}
    assert by_name["b_then_a-rate0.2-seed4"].start == "b-rate0.2-seed4"
    assert by_name["mixed-rate0.2-seed4"].start == ""
    assert {t.num_tokens for t in found} == {500, 1_000}
    assert [t.num_tokens for t in found if t.arm is THEN] == [500] * 6
    (*_, then, _) = trainings(replace(RECIPE, seeds=None), seed=7)
    assert (then.name, then.start, then.seed) == ("b_then_a", "b", 7)


def test_the_pilot_has_two_seeds_of_each_arm_at_the_first_rate() -> None:
    assert pilot(RECIPE, 0) == []
    found = pilot(replace(RECIPE, pilot_tokens=64, rates=(0.1, 0.2)), 0)
    assert [(t.arm.name, t.seed, t.rate, t.num_tokens) for t in found] == [
        (name, seed, 0.1, 64) for seed in (3, 4) for name in ("a", "b", "b_then_a", "mixed")
    ]
    assert len({t.seed for t in pilot(replace(RECIPE, pilot_tokens=64, seeds=None), 0)}) == 2


def test_tasks_name_their_mode() -> None:
    assert task_and_mode("gsm8k") == ("gsm8k", "cot")
    assert task_and_mode("gsm8k:pot") == ("gsm8k", "pot")
    assert task_and_mode("folder:x/own.jsonl") == ("folder:x/own.jsonl", "cot")


def test_each_measure_has_a_name_of_its_own() -> None:
    named = replace(RECIPE, targets=("x/math_test.jsonl.gz",), choices=("sat",))
    assert measure_names(named) == {"math_test": "x/math_test.jsonl.gz", "sat": "sat"}
    with pytest.raises(MathwrightError, match=r"x/sat.jsonl and sat would both be the measure 'sat'"):
        measure_names(replace(named, targets=("x/sat.jsonl",)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpora": (), "arms": ()}, "nothing is compared"),
        ({"corpora": (A, A)}, "called a, a"),
        ({"corpora": (replace(A, name="none"),)}, "called none"),
        ({"arms": (replace(THEN, after="c"),)}, "trained after 'c'"),
        ({"arms": (replace(MIXED, mixture=()),)}, "has no corpus"),
        ({"arms": (replace(MIXED, num_tokens=0),)}, "num_tokens of the arm 'mixed' is 0"),
        ({"arms": (replace(MIXED, mixture=(replace(A, path="elsewhere"),)),)}, "two corpora .* called 'a'"),
        ({"heal": PretrainRecipe(mixture=(replace(A, name="neutral"),))}, "which an arm has too"),
        ({"heal": PretrainRecipe(mixture=(replace(A, path="corpora/c"),))}, "two corpora .* called 'a'"),
        ({"pilot_tokens": 0}, "pilot_tokens is 0"),
        ({"pilot_tokens": 64, "seeds": (1,)}, "fewer than two"),
        ({"num_targets": 0}, "num_targets is 0"),
        ({"seeds": (1, 1)}, r"seeds is \(1, 1\)"),
    ],
)
def test_a_comparison_that_could_show_nothing_is_refused(changes: dict, message: str) -> None:
    check_comparison(RECIPE)
    with pytest.raises(MathwrightError, match=message):
        check_comparison(replace(RECIPE, **changes))

"""What --dry-run says of a stage."""

import pytest

from mathwright.chain import plan
from mathwright.chain.plan import rates, seconds_on_processors
from mathwright.lm.recipe import OptimiserRecipe


def test_rates_name_steps_where_they_are_known_and_shares_where_not() -> None:
    optimiser = OptimiserRecipe(lr=2e-4, warmup_steps=10, decay=((0.8, 0.316), (0.9, 0.1)))
    assert rates(optimiser, 500) == "learning rate 0.0002, warm-up 10 steps, x0.316 from step 400, x0.1 from step 450"
    told = rates(optimiser, 0)  # passes over data that has not been read
    assert told == "learning rate 0.0002, warm-up 10 steps, x0.316 from 80% of the steps, x0.1 from 90% of the steps"


def test_a_second_of_a_gpu_is_as_long_here_as_the_products_of_matrices_say(monkeypatch: pytest.MonkeyPatch) -> None:
    plan.product_rate.cache_clear()
    assert 1e8 < plan.product_rate(size=128) < 1e14
    monkeypatch.setattr(plan, "product_rate", lambda: 300e9)  # two cores with AVX-512
    assert seconds_on_processors(1.0) == pytest.approx(1000.0)

"""The verdict on simulated trainings: intervals cover, false verdicts are rare, and what is there is found."""

import itertools

import numpy as np
import pytest

from mathwright.pretrain.verdict import judge
from mathwright.stats import crossed_effects, foresee_error, holm, least_detectable, two_way_bootstrap


def simulate(
    rng: np.random.Generator, n: int, seeds: int, *, mean: float, problem: float, seed: float, rest: float
) -> np.ndarray:
    effects = problem * rng.standard_normal((n, 1)) + seed * rng.standard_normal((1, seeds))
    return mean + effects + rest * rng.standard_normal((n, seeds))


@pytest.mark.parametrize(
    ("n", "seeds", "problem", "seed", "rest"),
    [(60, 3, 0.08, 0.005, 0.05), (60, 3, 0.0, 0.02, 0.05), (400, 5, 0.08, 0.005, 0.02), (30, 5, 0.1, 0.0, 0.1)],
)
def test_intervals_cover_the_truth_95_times_in_100(
    n: int, seeds: int, problem: float, seed: float, rest: float
) -> None:
    rng = np.random.default_rng(7)
    num = 1200
    covered = 0
    for _ in range(num):
        found = crossed_effects(simulate(rng, n, seeds, mean=0.02, problem=problem, seed=seed, rest=rest))
        covered += found.interval.low <= 0.02 <= found.interval.high
    assert 0.935 <= covered / num <= 0.99


def test_pooling_seeds_as_if_they_brought_new_problems_would_not_cover() -> None:
    """What the crossed effects are for: with a seed effect the naive interval of n S values is far too short."""
    rng = np.random.default_rng(1)
    naive = 0
    for _ in range(400):
        values = simulate(rng, 200, 3, mean=0.0, problem=0.05, seed=0.01, rest=0.02)
        naive += abs(values.mean()) <= 1.96 * values.std() / np.sqrt(values.size)
    assert naive / 400 < 0.7


def test_the_variance_is_that_of_the_definition() -> None:
    """Mean squares of a two-way layout, written out."""
    values = simulate(np.random.default_rng(2), 7, 4, mean=1.0, problem=2.0, seed=1.0, rest=0.5)
    n, s = values.shape
    mean = values.mean()
    ms_problem = sum(s * (values[i].mean() - mean) ** 2 for i in range(n)) / (n - 1)
    ms_seed = sum(n * (values[:, j].mean() - mean) ** 2 for j in range(s)) / (s - 1)
    rest = [
        (values[i, j] - values[i].mean() - values[:, j].mean() + mean) ** 2
        for i, j in itertools.product(range(n), range(s))
    ]
    ms_rest = sum(rest) / ((n - 1) * (s - 1))
    found = crossed_effects(values)
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(np.sqrt((ms_problem + ms_seed - ms_rest) / (n * s)))


def test_the_bootstrap_draws_problems_and_seeds_alike() -> None:
    values = simulate(np.random.default_rng(3), 50, 6, mean=0.5, problem=0.2, seed=0.2, rest=0.1)
    rng = np.random.default_rng(9)
    means = [values[rng.integers(0, 50, 50)][:, rng.integers(0, 6, 6)].mean() for _ in range(4000)]
    low, high = two_way_bootstrap(values, num=4000)
    assert (low, high) == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))), abs=0.01)


def test_holm_adjusts_from_the_smallest_up() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_least_detectable_difference_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(5)
    example = crossed_effects(simulate(rng, 100, 5, mean=0, problem=0.1, seed=0.01, rest=0.05))
    mean = least_detectable(np.sqrt(0.1**2 / 100 + 0.01**2 / 5 + 0.05**2 / 500), example.df)
    found = [
        crossed_effects(simulate(rng, 100, 5, mean=mean, problem=0.1, seed=0.01, rest=0.05)).p_value < 0.05
        for _ in range(600)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.09)


def test_two_seeds_foretell_what_more_would_show() -> None:
    """The forecast from a pilot is, on average over pilots, near the error that the whole comparison then has."""
    rng = np.random.default_rng(6)
    truth = np.sqrt(0.1**2 / 100 + 0.02**2 / 6 + 0.05**2 / 600)
    pilots = [simulate(rng, 100, 2, mean=0, problem=0.1, seed=0.02, rest=0.05) for _ in range(400)]
    forecasts = [foresee_error(pilot, 6) for pilot in pilots]
    assert np.sqrt(np.mean([error**2 for error, _ in forecasts])) == pytest.approx(truth, rel=0.1)
    assert all(df >= 5 for _, df in forecasts)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (4,)])
def test_one_problem_or_one_seed_shows_nothing(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two problems and two seeds"):
        crossed_effects(np.zeros(shape))
    with pytest.raises(ValueError, match="not finite"):
        crossed_effects(np.array([[1.0, np.nan], [0.0, 1.0]]))


# --- verdicts ---------------------------------------------------------------------------------------

RATES = (1e-4, 3e-4)
N, SEEDS = 60, 3


def trainings(rng: np.random.Generator, gains: dict[str, float], *, depends: str = "") -> tuple[dict, np.ndarray]:
    """Bits of each text under each arm: shared difficulty, an effect of arm and text, of the seed, and noise."""
    num_bytes = rng.integers(50, 400, N).astype(float)
    difficulty = rng.normal(1.0, 0.3, (N, 1))
    bits = {}
    for arm, gain in gains.items():
        own = rng.normal(0, 0.05, (N, 1))
        bits[arm] = {}
        for rate in RATES:
            sign = -1 if arm == depends and rate == RATES[1] else 1
            per_byte = (
                difficulty + own - sign * gain + rng.normal(0, 0.003, (1, SEEDS)) + rng.normal(0, 0.02, (N, SEEDS))
            )
            bits[arm][rate] = per_byte * num_bytes[:, None]
    return bits, num_bytes


def test_false_verdicts_among_equal_arms_are_at_most_one_in_twenty() -> None:
    rng = np.random.default_rng(11)
    num = 120
    wrong = sum(
        any(verdict.ahead for verdict in judge(*trainings(rng, {"a": 0.0, "b": 0.0, "c": 0.0}))) for _ in range(num)
    )
    assert wrong / num <= 0.05


def test_better_text_is_found_ahead_and_equal_text_is_not() -> None:
    verdicts = judge(*trainings(np.random.default_rng(4), {"better": 0.2, "plain": 0.0, "same": 0.0}))
    assert [(v.first, v.second, v.ahead) for v in verdicts] == [
        ("better", "plain", "better"),
        ("better", "same", "better"),
        ("plain", "same", None),
    ]
    assert str(verdicts[0]).startswith("better is ahead of plain by 0.")
    assert "no difference shown" in str(verdicts[2]) and "could have seen 0.0" in str(verdicts[2])
    assert verdicts[0].difference == pytest.approx(-0.2, abs=0.05)
    assert verdicts[0].difference == np.mean([r.difference for r in verdicts[0].rates])


def test_a_difference_that_turns_with_the_rate_is_none() -> None:
    (verdict,) = judge(*trainings(np.random.default_rng(4), {"a": 0.2, "b": 0.0}, depends="a"))
    assert verdict.ahead is None and verdict.reason == "it depends on the learning rate"


def test_one_seed_against_the_others_is_enough_to_say_nothing() -> None:
    bits, num_bytes = trainings(np.random.default_rng(4), {"a": 0.05, "b": 0.0})
    bits["a"][RATES[0]][:, 1] = bits["b"][RATES[0]][:, 1] + 1e-6
    (verdict,) = judge(bits, num_bytes)
    assert verdict.ahead is None and verdict.reason == "seeds disagree"


def test_arms_that_were_not_measured_alike_are_refused() -> None:
    bits, num_bytes = trainings(np.random.default_rng(4), {"a": 0.05, "b": 0.0})
    del bits["b"][RATES[0]]
    with pytest.raises(ValueError, match="not measured at the same rates"):
        judge(bits, num_bytes)

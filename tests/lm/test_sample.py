"""Drawing: the distribution that is drawn from, ties, extremes, and the numbers it is drawn with."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mathwright.lm import sample
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.sample import draw, uniforms


def recipe(temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0) -> SamplingRecipe:
    return SamplingRecipe(temperature=temperature, top_p=top_p, top_k=top_k, max_new_tokens=1)


def processed(logits: torch.Tensor, sampling: SamplingRecipe) -> torch.Tensor:
    """The distribution by its definition: sort, cut, renormalise."""
    p = (logits.double() / sampling.temperature).softmax(-1)
    if sampling.top_k:
        p = torch.where(p >= p.sort(descending=True).values[min(sampling.top_k, len(p)) - 1], p, 0.0)
        p = p / p.sum()
    if sampling.top_p < 1:
        ordered = p.sort(descending=True).values
        kept = int((ordered.cumsum(0) < sampling.top_p).sum()) + 1
        p = torch.where(p >= ordered[kept - 1], p, 0.0)
    return p / p.sum()


@pytest.mark.parametrize(
    "sampling", [recipe(), recipe(0.6), recipe(top_k=7), recipe(top_p=0.7), recipe(1.3, 0.9, 40), recipe(2.0, 0.999)]
)
@pytest.mark.parametrize("vocabulary", [5, 256, 700])
def test_a_grid_of_numbers_draws_each_token_as_often_as_its_probability(sampling, vocabulary, monkeypatch):
    """Inverting the distribution at 20,000 evenly spaced numbers: counts are exact to one, not only in the mean."""
    monkeypatch.setattr(sample, "NUCLEUS", (4, 64))
    torch.manual_seed(vocabulary)
    logits = 3 * torch.randn(vocabulary)
    count = 20_000
    grid = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    tokens, logprobs = draw(logits.expand(count, -1), sampling, grid)
    expected = processed(logits, sampling)
    drawn = torch.bincount(tokens, minlength=vocabulary) / count
    assert (drawn - expected).abs().max() < 2 / count
    torch.testing.assert_close(logprobs.double(), expected[tokens].log(), rtol=0, atol=1e-5)


def test_greedy_is_certain():
    tokens, logprobs = draw(torch.tensor([[0.0, 3.0, 1.0]]), recipe(0.0), torch.tensor([0.99]))
    assert (tokens.tolist(), logprobs.tolist()) == ([1], [0.0])


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
def test_a_token_without_probability_is_never_drawn(uniform):
    logits = torch.full((1, 600), -math.inf)
    logits[0, [3, 300, 301]] = torch.tensor([0.0, 1.0, -50.0])
    tokens, logprobs = draw(logits, recipe(), torch.tensor([uniform]))
    assert int(tokens) in (3, 300, 301)
    assert torch.isfinite(logprobs).all()


def test_ties_at_the_edge_are_kept():
    logits = torch.tensor([[2.0, 1.0, 1.0, 0.0]]).expand(100, -1)
    tokens, _ = draw(logits, recipe(top_k=2), torch.arange(100) / 100)
    assert set(tokens.tolist()) == {0, 1, 2}


def test_a_flat_distribution_needs_the_whole_vocabulary():
    logits = torch.zeros(50, 10_000)
    tokens, logprobs = draw(logits, recipe(top_p=0.95), torch.arange(50) / 50)
    assert tokens.unique().numel() == 50
    assert logprobs.tolist() == pytest.approx([-math.log(10_000)] * 50, abs=1e-4)


@given(st.integers(-(2**63), 2**64 - 1), st.integers(0, 10_000))
def test_a_number_depends_on_seed_and_position_alone(seed, position):
    alone = uniforms([seed], [position])
    assert 0 <= float(alone) < 1
    assert torch.equal(alone, uniforms([5, seed, 7], [1, position, 2])[1:2])


def test_numbers_are_uniform_and_unrelated_between_neighbours():
    rows = torch.stack([uniforms(range(200), [position] * 200) for position in range(200)])
    assert rows.mean() == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / rows.numel()))
    histogram = torch.histc(rows.float(), 50, 0, 1)
    expected = rows.numel() / 50
    assert ((histogram - expected) ** 2 / expected).sum() < 49 + 4 * math.sqrt(98)
    for shifted in (rows[1:] - rows[:-1], rows[:, 1:] - rows[:, :-1]):
        centred = rows - 0.5
        covariance = shifted.var() / 2 - centred.var()  # 0 where neighbours are unrelated
        assert abs(float(covariance)) < 4 * (1 / 12) * math.sqrt(2 / shifted.numel())
    assert rows.unique().numel() == rows.numel()


@pytest.mark.parametrize("cut", [recipe(), recipe(0.6), recipe(0.7, top_p=0.7), recipe(1.3, top_k=5, top_p=0.9)])
def test_log_probabilities_over_the_whole_vocabulary_know_nothing_of_the_cut(cut):
    torch.manual_seed(0)
    logits, uniform = 3 * torch.randn(20, 700), torch.rand(20, dtype=torch.float64)
    tokens, drawn = draw(logits, cut, uniform)
    again, whole = draw(logits, cut, uniform, whole=True)
    assert torch.equal(tokens, again)
    expected = (logits / cut.temperature).log_softmax(-1).gather(-1, tokens[:, None]).squeeze(-1)
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-5)
    kept = (drawn - whole).exp()  # 1 / the probability of what was kept
    assert (kept >= 1 - 1e-5).all() and ((kept > 1.01).any() == (cut.top_p < 1))

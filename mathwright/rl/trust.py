"""Whether a value model can be trusted: its values beside the mean reward of many completions of the same prefixes.

    V against Monte-Carlo      at random places of responses: V_t, and the share of N completions that end correctly
    order of next steps        at such a place some continuations of a few tokens are drawn and each is completed N
                               times: how often V orders two of them as those means do (Kazemnejad et al. 2024, VinePPO)

The reward is the verdict, without a KL: what the values of a run with reward rule are trained towards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mathwright.lm.generate import Generator
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.recipe import SamplingRecipe
from mathwright.records import RolloutGroup
from mathwright.rl.critic import Critic
from mathwright.rl.rollout import response_seed

RewardOf = Callable[[RolloutGroup, str], float | None]
"""The reward of a whole response to the question of a group; None where it cannot be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a response: what the policy would go on from."""

    group: RolloutGroup
    written: tuple[int, ...]
    """Tokens of the response before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How the values of some places compare with what came of them."""

    num_places: int
    num_completions: int
    correlation: float | None
    """Of V and the Monte-Carlo means; None where either is the same everywhere."""
    explained: float | None
    """1 - Var(mean - V) / Var(mean); the means' own noise is in both."""
    bias: float
    """Mean of V - mean."""
    noise: float
    """Variance of a mean for being one of so few completions, averaged: what no value model could explain."""
    num_pairs: int
    """Pairs of next steps whose means differ."""
    ordered: float | None
    """Share of them that V orders as the means do, ties a half; a coin has 0.5."""


def places(groups: Sequence[RolloutGroup], num: int, seed: int) -> list[Place]:
    """Random places in responses, each before a token the policy drew and behind no tool output; at most `num`."""
    rng = np.random.default_rng(seed)
    found = []
    for group in (groups[i] for i in rng.permutation(len(groups))):
        for rollout in group.rollouts:
            own = rollout.completion.sampled
            length = own.index(False) if False in own else len(own)
            if length > 1:
                found.append(Place(group=group, written=rollout.completion.tokens[: int(rng.integers(1, length))]))
    return [found[i] for i in rng.permutation(len(found))[:num]]


def measure(
    critic: Critic,
    generator: Generator,
    chosen: Sequence[Place],
    reward_of: RewardOf,
    sampling: SamplingRecipe,
    *,
    num_completions: int = 32,
    num_steps: int = 4,
    step_tokens: int = 8,
    seed: int = 0,
) -> Trust:
    """Compare values with completions at some places.

    Args:
        critic: the value model.
        generator: of the policy whose rewards it expects.
        chosen: the places.
        reward_of: the reward of a response.
        sampling: how the policy draws; max_new_tokens is that of a whole response.
        num_completions: N, of each place and of each next step.
        num_steps: next steps drawn at a place.
        step_tokens: tokens of a next step.
        seed: of all that is drawn.
    """

    def complete(asked: Sequence[Place], kind: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean reward from each place, and the variance of that mean."""
        seeds = [[response_seed(seed, kind, p, n) for n in range(num_completions)] for p in range(len(asked))]
        prompts = [[*place.group.prompt_tokens, *place.written] for place in asked]
        rows = generator.generate(prompts, sampling, seeds=seeds)
        means, noise = [], []
        for place, row in zip(asked, rows, strict=True):
            # cut where a response from its beginning would have been
            whole = [[*place.written, *completion.tokens][: sampling.max_new_tokens] for completion in row]
            texts = [generator.lm.tokenizer.decode(tokens, skip_special_tokens=True) for tokens in whole]
            known = [r for r in (reward_of(place.group, text) for text in texts) if r is not None]
            means.append(np.mean(known) if known else np.nan)
            noise.append(np.var(known) / len(known) if known else np.nan)
        return np.array(means), np.array(noise)

    values = values_at(critic, chosen)
    means, noise = complete(chosen, 0)
    known = ~np.isnan(means)
    values, means, noise = values[known], means[known], noise[known]
    steps = _next_steps(generator, chosen, sampling, num_steps, step_tokens, seed)
    flat = [place for row in steps for place in row]
    ordered = _ordered(steps, values_at(critic, flat), complete(flat, 1)[0]) if flat else []
    varies = len(means) > 1 and means.std() > 0
    return Trust(
        num_places=len(means),
        num_completions=num_completions,
        correlation=float(np.corrcoef(values, means)[0, 1]) if varies and values.std() > 0 else None,
        explained=float(1 - np.var(means - values) / np.var(means)) if varies else None,
        bias=float(np.mean(values - means)) if len(means) else 0.0,
        noise=float(np.mean(noise)) if len(means) else 0.0,
        num_pairs=len(ordered),
        ordered=float(np.mean(ordered)) if ordered else None,
    )


def values_at(critic: Critic, asked: Sequence[Place]) -> np.ndarray:
    """V of each place: read at its last token, which has seen all that is written."""
    values = np.zeros(len(asked))
    # one token more, of any kind: V_t is read before it
    groups = [TokenGroup(place.group.prompt_tokens, [[*place.written, 0]]) for place in asked]
    for batch in pack_groups(groups, critic.recipe.micro_batch_tokens):
        found = critic.expected(batch)
        for b, (place, _) in enumerate(batch.rows):
            values[place] = found[b, len(asked[place].written)].item()
    return values


def _next_steps(
    generator: Generator, chosen: Sequence[Place], sampling: SamplingRecipe, num: int, length: int, seed: int
) -> list[list[Place]]:
    """Different continuations of each place by a few tokens; those that end the response are left out."""
    prompts = [[*place.group.prompt_tokens, *place.written] for place in chosen]
    seeds = [[response_seed(seed, 2, p, n) for n in range(num)] for p in range(len(chosen))]
    rows = generator.generate(prompts, replace(sampling, max_new_tokens=length), seeds=seeds)
    steps = []
    for place, row in zip(chosen, rows, strict=True):
        goes_on = {completion.tokens: None for completion in row if completion.finish == "length"}
        steps.append([replace(place, written=(*place.written, *tokens)) for tokens in goes_on])
    return steps


def _ordered(steps: Sequence[Sequence[Place]], values: np.ndarray, means: np.ndarray) -> list[float]:
    """Of each pair of next steps of one place whose means differ: 1 where V agrees, 0 where not, 0.5 where equal."""
    agreed: list[float] = []
    start = 0
    for row in steps:
        stop = start + len(row)
        for a in range(start, stop):
            for b in range(a + 1, stop):
                gap = means[a] - means[b]
                if not np.isnan(gap) and gap != 0:
                    agreed.append(float((np.sign(values[a] - values[b]) * np.sign(gap) + 1) / 2))
        start = stop
    return agreed

"""Values learnt before the first step, from responses that were sampled and judged for the reward model.

No token is generated for it: every stored response of the model that training begins with has a reward, which with
gamma = 1 is the return of each of its tokens. (Its KL to the reference is 0 where that is the same model.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mathwright.lm import heads, parallel
from mathwright.lm.loop import Training, fit
from mathwright.lm.model import LanguageModel, RewardModel
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.tokenise import encode_prompt, encode_response
from mathwright.records import JudgedGroup
from mathwright.rl.critic import Critic, ValueBatch, optimiser_recipe
from mathwright.rl.explore import Values
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.rewards import reward_of_score
from mathwright.run import Stage

PART = "value"
"""Folder of what is measured and kept meanwhile, in that of the stage."""
HELD_OUT = 0.1
"""Share of the prompts on which the values are measured."""
PROMPTS = 8
"""Of an update."""

RewardOf = Callable[[JudgedGroup], Sequence[float | None]]
"""The reward of each response; None where there is none."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A prompt and its responses as tokens, with their rewards."""

    tokens: TokenGroup
    rewards: tuple[float, ...]


def stored_rewards(
    recipe: RLRecipe, reward_model: RewardModel | None, scale: heads.Scale | None, group: JudgedGroup
) -> list[float | None]:
    """What the training would reward stored responses with, but for `extra_rewards`, which ask for more than is stored.

    Args:
        recipe: of the training.
        reward_model: whose scores are the reward; None where the verdict is.
        scale: by which scores are standardised; None where they are taken as they are.
        group: the responses.
    """
    if reward_model is None:
        values = [None if correct is None else float(correct) for correct in group.correct]
    else:
        prompts = [group.prompt] * len(group.responses)
        values = heads.score(
            reward_model,
            prompts,
            group.responses,
            truncated=group.truncated,
            micro_batch_tokens=recipe.micro_batch_tokens,
        )
        values = [
            None if value is None else reward_of_score(value, scale, sigmoid=recipe.sigmoid_reward) for value in values
        ]
    if recipe.truncation_reward is None:
        return values
    return [recipe.truncation_reward if cut else v for v, cut in zip(values, group.truncated, strict=True)]


def pretrain_values(
    critic: Critic, stage: Stage, samples: Sequence[JudgedGroup], reward_of: RewardOf, *, end: int, seed: int
) -> Values:
    """Train the values on stored samples, or take over what an earlier start has trained; what was measured.

    Explained variance is measured on a tenth of the prompts, before and after. To be called by all processes.

    Args:
        critic: the value model, sharded where there are several processes.
        stage: the RL stage.
        samples: of the reward stage.
        reward_of: the reward of each response of a group.
        end: the token behind a response that was not cut.
        seed: of the split and the order.
    """
    recipe = critic.recipe
    groups = tokenised(critic.model, samples, reward_of, end)
    order = np.random.default_rng((seed, 0)).permutation(len(groups))
    num_heldout = min(len(groups) - 1, math.ceil(HELD_OUT * len(groups)))
    heldout = [groups[i] for i in order[:num_heldout]]
    training = [groups[i] for i in order[num_heldout:]]
    if not training:
        return {"num_prompts": 0}
    per_pass = math.ceil(len(training) / PROMPTS)

    def batches(step: int) -> list[tuple[ValueBatch, int]]:
        epoch, place = divmod(step, per_pass)
        shuffled = np.random.default_rng((seed, 1, epoch)).permutation(len(training))
        chosen = shuffled[place * PROMPTS : (place + 1) * PROMPTS]
        return packed(critic, [training[i] for i in chosen])

    def loss(_: LanguageModel, micro: tuple[ValueBatch, int]) -> tuple[Tensor, dict[str, float]]:
        return critic.loss(*micro), {}

    def evaluate(_: int) -> dict[str, float]:
        held = parallel.share_of_rank(packed(critic, heldout), parallel.world())
        mine = [dataclasses.replace(batch, counts=counts) for (batch, _), counts in held]
        explained, value_loss = critic.fit(mine, sum(len(g.rewards) for g in heldout))
        return {"heldout_loss": value_loss} | ({} if explained is None else {"explained_variance": explained})

    part = stage.part(PART)
    fit(
        critic.model,
        part,
        Training(
            # a constant rate: values go on to be trained behind it
            optimiser=dataclasses.replace(optimiser_recipe(recipe), decay=()),
            num_steps=per_pass * recipe.value_pretraining,
            batches=batches,
            loss=loss,
            checkpoint_every=recipe.checkpoint_every,
            evaluate=evaluate if heldout else None,
            description="training the value model on stored samples",
        ),
    )
    rows = [row.get("explained_variance") for row in part.metrics() if row.get("kind") == "eval"]
    return {
        "num_prompts": len(groups),
        "num_responses": sum(len(group.rewards) for group in groups),
        "explained_variance_before": rows[0] if rows else None,
        "explained_variance_after": rows[-1] if rows else None,
    }


def tokenised(lm: LanguageModel, samples: Sequence[JudgedGroup], reward_of: RewardOf, end: int) -> list[Sampled]:
    """The responses that have a reward and fit the context, tokenised as the policy would have written them."""
    groups = []
    for sample in samples:
        prompt = encode_prompt(lm.tokenizer, sample.prompt)
        responses, rewards = [], []
        for text, cut, reward in zip(sample.responses, sample.truncated, reward_of(sample), strict=True):
            tokens, _ = encode_response(lm.tokenizer, sample.prompt, [(text, True)], prefix="", gap="", end=end)
            tokens = tokens[:-1] if cut else tokens
            if reward is not None and tokens and len(prompt) + len(tokens) <= lm.max_length:
                responses.append(tokens)
                rewards.append(reward)
        if responses:
            groups.append(Sampled(TokenGroup(prompt, responses), tuple(rewards)))
    return groups


def packed(critic: Critic, groups: Sequence[Sampled]) -> list[tuple[ValueBatch, int]]:
    """Micro-batches of an update on these, each with the responses of all."""
    num_sequences = sum(len(group.rewards) for group in groups)
    packed = []
    for batch in pack_groups([group.tokens for group in groups], critic.recipe.micro_batch_tokens):
        mask = batch.response_mask.to(critic.model.device)
        rewards = torch.tensor([groups[g].rewards[i] for g, i in batch.rows], device=mask.device)
        returns = rewards[:, None].expand(mask.shape).where(mask, 0.0)
        packed.append((ValueBatch(batch=batch, old=returns, returns=returns, mask=mask, counts=True), num_sequences))
    return packed

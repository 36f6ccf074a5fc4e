"""What a training of the process reward model minimises, and how labelled responses are packed for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mathwright.lm import heads
from mathwright.lm.logprobs import hidden_states, logprobs_of
from mathwright.lm.model import LanguageModel, RewardModel
from mathwright.lm.pack import GroupBatch, TokenGroup, pack_groups
from mathwright.lm.steps import at_steps, padded_ends
from mathwright.records import StepLabels
from mathwright.reward.losses import language_loss, step_loss
from mathwright.reward.recipe import RewardRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExample:
    """A labelled response as the reward model reads it."""

    record: StepLabels
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    ends: tuple[int, ...]
    """Tokens with which the steps end."""


@dataclass(frozen=True, slots=True)
class StepBatch:
    """Labelled responses packed, one micro-batch."""

    batch: GroupBatch
    ends: Int[Tensor, "B S"]
    """Tokens with which the steps end; 0 after a response's last step."""
    labels: Float[Tensor, "B S"]
    """NaN where there is no label."""
    num_responses: int
    """Responses of the whole step."""

    def token_labels(self) -> Float[Tensor, "B T"]:
        """The label of the step each token belongs to; NaN where there is none, and after a response's last step."""
        token = torch.arange(self.batch.response_tokens.shape[1])
        labels = torch.full((len(self.labels), len(token)), math.nan)
        begin = torch.zeros(len(self.labels), 1, dtype=torch.long)
        for j in range(self.labels.shape[1]):
            end = self.ends[:, j : j + 1]
            labels = torch.where((begin <= token) & (token <= end), self.labels[:, j : j + 1], labels)
            begin = torch.maximum(begin, end + 1)
        return labels

    def right(self) -> Tensor:
        """[B], whether every step of a response that has a label is rather right than wrong."""
        return ((self.labels > 0.5) | self.labels.isnan()).all(1)


def pack_steps(examples: Sequence[StepExample], micro_batch_tokens: int) -> list[StepBatch]:
    """Labelled responses as micro-batches, a prompt once for its responses in each."""
    members: dict[tuple[int, ...], list[StepExample]] = {}
    for example in examples:
        members.setdefault(example.prompt, []).append(example)
    rows = list(members.values())
    groups = [TokenGroup(prompt, [e.tokens for e in row]) for prompt, row in members.items()]
    packed: list[StepBatch] = []
    for batch in pack_groups(groups, micro_batch_tokens):
        held = [rows[group][row] for group, row in batch.rows]
        ends = padded_ends([e.ends for e in held])
        labels = torch.full(ends.shape, math.nan)
        for b, example in enumerate(held):
            for j, label in enumerate(example.record.labels):
                if label is not None:
                    labels[b, j] = label
        packed.append(StepBatch(batch, ends, labels, len(examples)))
    return packed


def step_objective(
    recipe: RewardRecipe, reward_model: LanguageModel, micro: StepBatch, lm: LanguageModel
) -> tuple[Tensor, dict[str, float]]:
    """What a micro-batch adds to the loss of its step and to its statistics.

    L = L_step + token_weight * L_token + language_weight * L_language, terms of weight 0 left out. L_token is L_step at
    every token, with the label of the token's step; L_language is `losses.language_loss` on responses whose labels are
    all right, for which `lm` is the model that the reward model began as.
    """
    assert isinstance(reward_model, RewardModel)
    hidden = hidden_states(reward_model.model, micro.batch)
    at_tokens = heads.scores_on_the_way(reward_model, hidden, micro.batch)[1]
    scores = at_steps(at_tokens, micro.ends)
    labels = micro.labels.to(scores)
    loss = step_loss(scores, labels, num_responses=micro.num_responses)
    stats = {"step_loss": loss.item()}
    if recipe.token_weight:
        on_the_way = step_loss(at_tokens, micro.token_labels().to(scores), num_responses=micro.num_responses)
        loss = loss + recipe.token_weight * on_the_way
        stats["token_loss"] = on_the_way.item()
    if recipe.language_weight:
        right = micro.right()
        # each response is a ranking of its own, of rank 0 where it is right
        next_token = language_loss(
            logprobs_of(lm, hidden, micro.batch.training(right))[:, None],
            (~right).long().to(scores.device)[:, None],
            micro.batch.response_mask.to(scores.device)[:, None],
            num_rankings=micro.num_responses,
        )
        loss = loss + recipe.language_weight * next_token
        stats["language_loss"] = next_token.item()
    labelled = ~labels.isnan()
    agree = ((scores.detach() > 0) == (labels > 0)) & labelled
    stats["accuracy"] = (agree.sum(1) / labelled.sum(1).clamp(min=1)).sum().item() / micro.num_responses
    return loss, stats

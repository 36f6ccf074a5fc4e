"""What a training of the outcome reward model minimises, and how examples are packed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mathwright.lm import heads
from mathwright.lm.logprobs import hidden_states, logprobs_of
from mathwright.lm.model import LanguageModel, RewardModel
from mathwright.lm.pack import GroupBatch, TokenGroup, pack_groups
from mathwright.reward.examples import CORRECT, Example
from mathwright.reward.losses import (
    centring_loss,
    language_loss,
    pair_accuracy,
    plackett_luce_loss,
    pointwise_loss,
    ranking_loss,
    token_loss,
)
from mathwright.reward.recipe import RewardRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingBatch:
    """Some examples packed, one micro-batch."""

    batch: GroupBatch
    ranks: Tensor
    """[N, K]."""
    present: Tensor
    """[N, K], False where a prompt has fewer than K responses."""
    judged: Tensor
    """[N, 1], whether the ranks are verdicts."""
    num_rankings: int
    """Examples of the whole step."""
    num_compared: int
    """Those of them that have a pair."""

    def by_rank(self, values: Tensor) -> Tensor:
        """[B, ...] of the packed responses as [N, K, ...]; 0 where there is no such response."""
        n, k = torch.tensor(self.batch.rows, device=values.device).T
        return values.new_zeros(*self.ranks.shape, *values.shape[1:]).index_put((n, k), values)

    def right(self) -> Tensor:
        """[B], whether a response is judged to be right."""
        n, k = torch.tensor(self.batch.rows).T
        return (self.ranks[n, k] == CORRECT) & self.judged[n, 0]

    def judged_tokens(self, device: torch.device) -> Tensor:
        """[N, K, T], True at the tokens of responses that have a verdict."""
        return self.by_rank(self.batch.response_mask.to(device)) & self.judged.to(device)[:, :, None]


def objective(
    recipe: RewardRecipe, reward_model: LanguageModel, micro: RankingBatch, lm: LanguageModel | None = None
) -> tuple[Tensor, dict[str, float]]:
    """What a micro-batch adds to the loss of its step and to its statistics.

    L = L_ranking + pointwise_weight * L_pointwise + token_weight * L_token + language_weight * L_language
        + centring * L_centring, terms of weight 0 left out.

    lm: the model that the reward model began as, whose output layer L_language needs; without it there is no such term.
    """
    assert isinstance(reward_model, RewardModel)
    hidden = hidden_states(reward_model.model, micro.batch)
    at_ends, at_tokens = heads.scores_on_the_way(reward_model, hidden, micro.batch)
    scores, token_scores = micro.by_rank(at_ends), micro.by_rank(at_tokens)
    ranks, present, judged = (t.to(scores.device) for t in (micro.ranks, micro.present, micro.judged))
    if recipe.loss == "plackett_luce":
        loss = plackett_luce_loss(scores, ranks, present, num_rankings=micro.num_rankings)
    else:
        loss = ranking_loss(scores, ranks, present, num_rankings=micro.num_rankings, margin=recipe.margin)
    stats = {"ranking_loss": loss.item()}
    if recipe.pointwise_weight:
        pointwise = pointwise_loss(scores, ranks, present & judged, num_rankings=micro.num_rankings)
        loss = loss + recipe.pointwise_weight * pointwise
        stats["pointwise_loss"] = pointwise.item()
    if recipe.token_weight:
        judged_tokens = micro.judged_tokens(scores.device)
        on_the_way = token_loss(token_scores, ranks, judged_tokens, num_rankings=micro.num_rankings)
        loss = loss + recipe.token_weight * on_the_way
        stats["token_loss"] = on_the_way.item()
    if recipe.language_weight and lm is not None:
        logprobs = micro.by_rank(logprobs_of(lm, hidden, micro.batch.training(micro.right())))
        next_token = language_loss(logprobs, ranks, micro.judged_tokens(scores.device), num_rankings=micro.num_rankings)
        loss = loss + recipe.language_weight * next_token
        stats["language_loss"] = next_token.item()
    if recipe.centring:
        loss = loss + recipe.centring * centring_loss(scores, present, num_rankings=micro.num_rankings)
    accuracies = pair_accuracy(scores.detach(), ranks, present)
    compared = ~accuracies.isnan()
    stats["accuracy"] = accuracies[compared].sum().item() / max(1, micro.num_compared)
    return loss, stats


def pack_rankings(
    reward_model: RewardModel, examples: Sequence[Example], micro_batch_tokens: int
) -> list[RankingBatch]:
    """Examples as micro-batches of at most that many tokens; one that exceeds them alone has a micro-batch of its own.

    The responses of an example are compared with each other, so they are never split.
    """
    groups = [heads.token_group(reward_model, e.prompt, e.responses, e.truncated) for e in examples]
    sizes = [len(group.prompt) + sum(map(len, group.responses)) for group in groups]
    bins: list[list[int]] = []
    room = 0
    for index in range(len(examples)):
        if not bins or sizes[index] > room:
            bins.append([])
            room = micro_batch_tokens
        bins[-1].append(index)
        room -= sizes[index]
    num_compared = sum(e.num_pairs > 0 for e in examples)
    return [
        _batch([groups[i] for i in members], [examples[i] for i in members], len(examples), num_compared)
        for members in bins
    ]


def _batch(
    groups: Sequence[TokenGroup], examples: Sequence[Example], num_rankings: int, num_compared: int
) -> RankingBatch:
    (batch,) = pack_groups(groups, sum(len(g.prompt) + sum(map(len, g.responses)) for g in groups))
    most = max(len(e.ranks) for e in examples)
    return RankingBatch(
        batch=batch,
        ranks=torch.tensor([[*e.ranks, *[0] * (most - len(e.ranks))] for e in examples]),
        present=torch.tensor([[k < len(e.ranks) for k in range(most)] for e in examples]),
        judged=torch.tensor([[e.judged] for e in examples]),
        num_rankings=num_rankings,
        num_compared=num_compared,
    )

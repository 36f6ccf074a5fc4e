"""The outcome reward model (§4.1): ranked responses of the SFT model, the pairwise logistic loss.

The paper trains its reward model from the base model at a rate of 2e-5 and gives neither head, loss nor epochs. Here it
starts from the model whose responses it ranks, which has read the format of the responses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint, heads
from mathwright.lm.ending import stop_at
from mathwright.lm.load import load
from mathwright.lm.loop import CHECKPOINTS, Training, fit
from mathwright.lm.model import LanguageModel, RewardModel
from mathwright.lm.pack import GroupBatch, TokenGroup, pack_groups
from mathwright.lm.save import save
from mathwright.problems.turns import turn
from mathwright.records import Problem, Ranking, read_jsonl, write_jsonl
from mathwright.reward.losses import pair_accuracy, ranking_loss
from mathwright.reward.rankings import sample_rankings, split_rankings
from mathwright.reward.recipe import RewardRecipe, check
from mathwright.run import Stage


def run(
    recipe: RewardRecipe,
    stage: Stage,
    *,
    model: str | Path,
    problems: Sequence[Problem],
    template: str,
    dtype: str,
    seed: int,
    device: str = "cpu",
) -> None:
    """Sample, judge, rank and train; outputs model and rankings.

    Args:
        recipe: sizes.
        stage: where to write.
        model: the SFT model, which gives the responses and the first weights.
        problems: training problems with reference answers.
        template: prompt template, that of SFT.
        dtype: type of the weights.
        seed: of the choice of problems, the responses, the split, the head and the order.
        device: where the models live.

    Raises MathwrightError for a recipe or problems that give no rankings.
    """
    check(recipe)
    if not problems:
        raise MathwrightError("there are no problems to sample on", hint="raise num_train of the problem sources")
    lm = load(model, dtype=dtype, device=device)
    end = turn(template, lm.tokenizer).end
    stop_at(lm, end)

    def sample(folder: Path) -> int:
        rankings = sample_rankings(recipe, stage, lm, problems, template=template, seed=seed)
        return write_jsonl(folder / "rankings.jsonl", rankings)

    stage.once("sampling", sample)
    path = stage.path / "sampling" / "rankings.jsonl"
    rankings = list(read_jsonl(path, Ranking))
    training, heldout = split_rankings(rankings, recipe.heldout_share, seed)
    if not training:
        raise MathwrightError(
            f"{len(rankings)} rankings are too few to train on: hardly a problem has both correct and wrong responses",
            hint="look at the counts above; raise reward.num_problems or reward.responses_per_problem, "
            "or choose problems the model solves sometimes",
        )
    reward_model = heads.from_language_model(lm, seed=seed, end=end)
    _train(recipe, stage, reward_model, training, heldout, seed)
    save(reward_model, stage.path / "model")
    stage.finish(
        outputs={"model": stage.path / "model", "rankings": path},
        summary=_summary(stage, training, heldout),
    )
    checkpoint.leave(stage.path / CHECKPOINTS, recipe.optimiser, recipe.checkpoint_every)


# --- training -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _RankingBatch:
    """Some rankings packed, one micro-batch."""

    batch: GroupBatch
    ranks: Tensor
    """[N, K]."""
    present: Tensor
    """[N, K], False where a ranking has fewer than K responses."""
    num_rankings: int
    """Rankings of the whole step."""

    def scores(self, reward_model: LanguageModel) -> Tensor:
        """[N, K], differentiable; 0 where a ranking has fewer responses."""
        assert isinstance(reward_model, RewardModel)
        values = heads.response_scores(reward_model, self.batch)
        n, k = torch.tensor(self.batch.rows, device=values.device).T
        return values.new_zeros(self.ranks.shape).index_put((n, k), values)


def _train(
    recipe: RewardRecipe,
    stage: Stage,
    reward_model: RewardModel,
    training: Sequence[Ranking],
    heldout: Sequence[Ranking],
    seed: int,
) -> None:
    per_epoch = math.ceil(len(training) / recipe.batch_rankings)

    def batches(step: int) -> list[_RankingBatch]:
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(len(training))
        chosen = order[place * recipe.batch_rankings : (place + 1) * recipe.batch_rankings]
        return pack_rankings(reward_model, [training[i] for i in chosen], recipe.micro_batch_tokens)

    def loss(lm: LanguageModel, micro: _RankingBatch) -> tuple[Tensor, dict[str, float]]:
        scores = micro.scores(lm)
        ranks, present = micro.ranks.to(scores.device), micro.present.to(scores.device)
        accuracy = pair_accuracy(scores.detach(), ranks, present).sum().item() / micro.num_rankings
        return ranking_loss(scores, ranks, present, num_rankings=micro.num_rankings), {"accuracy": accuracy}

    def evaluate(_: int) -> dict[str, float]:
        held = pack_rankings(reward_model, heldout, recipe.micro_batch_tokens)
        measured = [loss(reward_model, micro) for micro in held]
        return {
            "heldout_loss": sum(value.item() for value, _ in measured),
            "heldout_accuracy": sum(stats["accuracy"] for _, stats in measured),
        }

    fit(
        reward_model,
        stage,
        Training(
            optimiser=recipe.optimiser,
            num_steps=per_epoch * recipe.num_epochs,
            batches=batches,
            loss=loss,
            checkpoint_every=recipe.checkpoint_every,
            evaluate=evaluate if heldout else None,
            description="training the reward model",
        ),
    )


def pack_rankings(
    reward_model: RewardModel, rankings: Sequence[Ranking], micro_batch_tokens: int
) -> list[_RankingBatch]:
    """Rankings as micro-batches of at most that many tokens; one that exceeds them alone has a micro-batch of its own.

    The responses of a ranking are compared with each other, so they are never split.
    """
    groups = [heads.token_group(reward_model, r.prompt, r.responses) for r in rankings]
    sizes = [len(group.prompt) + sum(map(len, group.responses)) for group in groups]
    bins: list[list[int]] = []
    room = 0
    for index in range(len(rankings)):
        if not bins or sizes[index] > room:
            bins.append([])
            room = micro_batch_tokens
        bins[-1].append(index)
        room -= sizes[index]
    return [
        _ranking_batch([groups[i] for i in members], [rankings[i] for i in members], len(rankings)) for members in bins
    ]


def _ranking_batch(groups: Sequence[TokenGroup], rankings: Sequence[Ranking], num_rankings: int) -> _RankingBatch:
    (batch,) = pack_groups(groups, sum(len(g.prompt) + sum(map(len, g.responses)) for g in groups))
    most = max(len(r.ranks) for r in rankings)
    ranks = torch.tensor([[*r.ranks, *[0] * (most - len(r.ranks))] for r in rankings])
    present = torch.tensor([[k < len(r.ranks) for k in range(most)] for r in rankings])
    return _RankingBatch(batch, ranks, present, num_rankings)


# --- summary --------------------------------------------------------------------------------------


def _summary(stage: Stage, training: Sequence[Ranking], heldout: Sequence[Ranking]) -> dict[str, Any]:
    """Sizes, and held-out accuracy before and after, next to that of a judge that prefers the shorter response."""
    measured = [m for m in stage.metrics() if m.get("kind") == "eval"]
    summary: dict[str, Any] = {"num_rankings": len(training), "num_heldout": len(heldout)}
    if heldout:
        pairs = sum(r.ranks.count(0) * r.ranks.count(1) for r in heldout)
        summary |= {
            "num_heldout_pairs": pairs,
            "heldout_accuracy_before": measured[0]["heldout_accuracy"],
            "heldout_accuracy_after": measured[-1]["heldout_accuracy"],
            "heldout_accuracy_of_shorter": shorter_accuracy(heldout),
        }
    return summary


def shorter_accuracy(rankings: Sequence[Ranking]) -> float:
    """Pair accuracy of scoring by brevity alone, the baseline a reward model must beat to have learnt anything else."""
    accuracies = [
        pair_accuracy(
            torch.tensor([[-float(len(response)) for response in r.responses]]),
            torch.tensor([r.ranks]),
            torch.ones(1, len(r.ranks), dtype=torch.bool),
        ).item()
        for r in rankings
    ]
    return sum(accuracies) / len(accuracies)

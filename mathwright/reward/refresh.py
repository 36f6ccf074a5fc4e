"""A reward model goes on learning from the samples of a later policy (Algorithm 1: "continued training with replay").

Nothing is sampled here: reinforcement has drawn and judged its responses already.

"Replay of 10% historical data" can be read in two ways, and both are here:

    of_each_batch   a tenth of each batch is drawn from history, whatever its size (the default)
    of_history      a tenth of the history is added to the new groups, once
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint, heads, lora
from mathwright.lm.loop import CHECKPOINTS
from mathwright.lm.save import save
from mathwright.reward.examples import Example, Group
from mathwright.reward.recipe import RewardRecipe, check
from mathwright.reward.scoring import keep_scale
from mathwright.reward.training import accuracies, fit_reward_model, require_pairs, usable
from mathwright.run import Stage

RATE = 0.3
"""Of the recipe's learning rate. paper silent: it says continued training; the weights are near a minimum by now."""
MAX_OLD = 256
"""Groups of the history on which forgetting is measured; none of them is replayed."""
REPLAY, OLD = 1, 2
"""Draws of one seed that must not be alike."""

Replay = Literal["of_each_batch", "of_history"]


def refresh(
    recipe: RewardRecipe,
    stage: Stage,
    *,
    reward_model: str | Path,
    samples: Sequence[Group],
    history: Sequence[Group],
    heldout: Sequence[Group],
    dtype: str,
    seed: int,
    replay_share: float = 0.1,
    replay: Replay = "of_each_batch",
    device: str = "cpu",
) -> None:
    """Train a reward model on for one epoch, with a fresh optimiser and schedule, and fit its scale again.

    Writes model/ and metrics; the summary has pair accuracies before and after on the held-out groups (`heldout`) and
    on earlier data that is not replayed (`old`). It goes on after an interruption, to the bit on CPU.

    Args:
        recipe: of the reward stage; the rate is RATE times its own, its num_epochs and sampling are not read.
        stage: where to write.
        reward_model: folder of the model to go on with; it stays as it is.
        samples: groups of this iteration, in which some prompt must have responses of different rank.
        history: groups of all earlier iterations, those the reward model was first trained on included.
        heldout: groups of prompts that are never trained on, the same for the whole run.
        dtype: type of the weights.
        seed: of the order and of what is replayed.
        replay_share: share of history, from 0 up to but not 1, in the reading of `replay`.
        replay: which of the two readings.
        device: where the model lives.

    Raises MathwrightError where nothing can be compared, for a share outside its range, and where held-out prompts are
    among those to train on.
    """
    check(recipe)
    if not 0 <= replay_share < 1:
        raise MathwrightError(f"the share of replay is {replay_share}", hint="it is a share from 0 to below 1")
    away = {group.prompt for group in heldout}
    if shared := [group.problem_id for group in (*samples, *history) if group.prompt in away]:
        raise MathwrightError(
            f"{len(shared)} held-out problems are trained on, such as {shared[0]}",
            hint="leave the held-out problems of the reward stage out of reinforcement, or hold out others",
        )
    model = heads.load(reward_model, dtype=dtype, device=device)
    if recipe.lora is not None:
        lora.attach(model, recipe.lora, seed=seed)
    new, earlier, held = (usable(recipe, model, groups) for groups in (samples, history, heldout))
    require_pairs(
        new,
        "all responses to a problem are right, or all wrong",
        hint="raise rl.group_size or rl.problems_per_step, or keep the reward model as it is",
    )
    replayed, old = _draw(earlier, num_replayed(len(new), len(earlier), replay_share, replay), seed)
    steps = epoch(new, replayed, recipe.batch_rankings, replay, seed)
    measured = {"heldout": held, "old": old}
    fit_reward_model(
        recipe,
        stage,
        model,
        optimiser=dataclasses.replace(recipe.optimiser, lr=RATE * recipe.optimiser.lr),
        num_steps=len(steps),
        chosen=lambda step: steps[step],
        measured=measured,
    )
    save(model, stage.path / "model")
    keep_scale(recipe, model, stage.path / "model", heldout)
    stage.finish(
        outputs={"model": stage.path / "model"},
        summary={"num_new": len(new), "num_replayed": len(replayed), **accuracies(stage, measured)},
    )
    checkpoint.leave(stage.path / CHECKPOINTS, recipe.optimiser, recipe.checkpoint_every)


def num_replayed(num_new: int, num_history: int, share: float, replay: Replay) -> int:
    """How many groups of the history one epoch has, none of them twice."""
    wanted = share * num_history if replay == "of_history" else num_new * share / (1 - share)
    return min(num_history, round(wanted))


def _draw(history: Sequence[Example], num_replayed: int, seed: int) -> tuple[list[Example], list[Example]]:
    """What is replayed, uniform without replacement, and some of the rest, to measure what is forgotten."""
    order = [history[i] for i in np.random.default_rng((seed, REPLAY)).permutation(len(history))]
    return order[:num_replayed], order[num_replayed : num_replayed + MAX_OLD]


def epoch(
    new: Sequence[Example], replayed: Sequence[Example], batch: int, replay: Replay, seed: int
) -> list[list[Example]]:
    """The examples of each step: about `batch` of them, in a seeded order.

    Under `of_each_batch` new and replayed are each dealt out evenly over the steps, so that every batch has its share
    of both; under `of_history` they are one lot.
    """
    rng = np.random.default_rng((seed, OLD))
    lots = [[*new, *replayed]] if replay == "of_history" else [[*new], [*replayed]]
    num_steps = -(-(len(new) + len(replayed)) // batch)
    dealt = [[lot[i] for i in rng.permutation(len(lot))] for lot in lots]
    return [
        [example for lot in dealt for example in lot[len(lot) * step // num_steps : len(lot) * (step + 1) // num_steps]]
        for step in range(num_steps)
    ]

"""The value model of PPO: what it begins as, what of it is trained, and its updates.

    V_t = the head of `lm.heads` at the token before o_t      what is expected of a response before it goes on

It is a model of its own with an optimiser of its own. Begun as a copy of the reward model (the paper's reading, §4.1.1)
it knows what ends well, but only at the end: a ranking loss reads nothing else, so that its values of early tokens are
wrong (Yuan et al. 2025, VC-PPO). So it is trained first on responses whose reward is known (`pretrain`).
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm import heads, lora, parallel
from mathwright.lm.activations import checkpoint_activations
from mathwright.lm.load import load
from mathwright.lm.loop import not_finite
from mathwright.lm.model import HEAD, LanguageModel, RewardModel, require_known_vocabulary
from mathwright.lm.optimise import Optimiser
from mathwright.lm.pack import GroupBatch
from mathwright.lm.recipe import OptimiserRecipe
from mathwright.lm.save import save
from mathwright.rl.explained import Moments, explained_variance, over_processes
from mathwright.rl.losses import sequence_mean, value_loss
from mathwright.rl.recipe import RLRecipe
from mathwright.run import Stage

FASTER = 5.0
"""Rate of the value model over that of the policy, where the recipe gives none (SAO: 5e-6 to 1e-6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueBatch:
    """Some packed responses with what their values were, and are to become; tensors [B, T]."""

    batch: GroupBatch
    old: Tensor
    returns: Tensor
    mask: Tensor
    counts: bool
    """False where a process runs it only to keep the others company."""


@dataclass(frozen=True, slots=True)
class Critic:
    """A value model."""

    recipe: RLRecipe
    model: RewardModel
    scale: heads.Scale | None = None
    """Of the reward model it began as; None where values are the head's numbers as they are."""

    @classmethod
    def load(
        cls,
        recipe: RLRecipe,
        policy: LanguageModel,
        *,
        model: str | Path,
        reward_model: str | Path | None,
        value_model: str | Path | None = None,
        dtype: str,
        device: str,
        seed: int,
        end: int,
    ) -> Critic:
        """Load it, freeze what is not trained, attach adapters; not yet sharded.

        Under LoRA with the weights of the policy's start model it has these weights in common with the policy, whose
        own adapters must not be attached yet.

        Args:
            recipe: says what it begins as and what is trained.
            policy: the model that explores.
            model: folder or id the policy was loaded from.
            reward_model: folder of the reward stage; None where the run has none.
            value_model: folder of a value model to go on from instead.
            dtype: type of the weights.
            device: where it lives.
            seed: of the adapters.
            end: the token that ends a response.

        Raises MathwrightError where there is no reward model to begin as, or it has another vocabulary.
        """
        source = value_model if value_model is not None else cls._source(recipe, reward_model)
        scale = None
        if source is not None:
            critic = heads.load(source, dtype=dtype, device=device)
            require_known_vocabulary(policy, critic, f"the value model {source}")
            # where the reward is the reward model's score as it is, so is the value that begins as it
            as_scored = recipe.reward == "model" and not (recipe.standardise_reward or recipe.sigmoid_reward)
            raw = value_model is None and as_scored
            if not raw and (Path(source) / heads.SCALE).is_file():
                scale = heads.read_scale(source)
        else:
            start = _twin(policy) if recipe.lora is not None else load(model, dtype=dtype, device=device)
            critic = heads.from_language_model(start, seed=seed, end=end)
            getattr(critic.model, HEAD).weight.data.zero_()  # so that it begins with the value 0, not with noise
        if recipe.lora is not None:
            lora.attach(critic, recipe.lora, seed=seed + 1)
        else:
            _freeze(critic.model, recipe.value_trainable)
        if recipe.checkpoint_activations:
            checkpoint_activations(critic, True)
        return cls(recipe, critic, scale)

    @staticmethod
    def _source(recipe: RLRecipe, reward_model: str | Path | None) -> str | Path | None:
        if recipe.value_init == "reward" and reward_model is None:
            raise MathwrightError(
                "rl.value_init is reward, but the run has no reward model",
                hint="give the recipe a reward part, or set rl.value_init=policy",
            )
        return None if recipe.value_init == "policy" else reward_model

    def shard(self) -> None:
        """Spread its weights over the processes, where there are several."""
        parallel.shard(self.model, parallel.world())

    def optimiser(self, num_updates: int) -> Optimiser:
        """A fresh one for the whole training."""
        return Optimiser(self.model.model, optimiser_recipe(self.recipe), num_steps=num_updates)

    def values(self, batch: GroupBatch) -> Tensor:
        """V_t of each response token, [B, T], differentiable; anything after a response's end."""
        values = heads.token_values(self.model, batch)
        return values if self.scale is None else (values - self.scale.mean) / self.scale.std

    @torch.no_grad()
    def expected(self, batch: GroupBatch) -> Tensor:
        """The same without a gradient."""
        return self.values(batch)

    def loss(self, micro: ValueBatch, num_sequences: int) -> Tensor:
        """What a micro-batch adds to the loss of an update on so many responses."""
        return value_loss(
            self.values(micro.batch),
            micro.old,
            micro.returns,
            micro.mask,
            clip_range=self.recipe.value_clip,
            num_sequences=num_sequences,
        )

    def update(
        self, stage: Stage, step: int, batches: Sequence[ValueBatch], num_sequences: int, optimiser: Optimiser
    ) -> float:
        """One update; the norm of its gradient. Raises MathwrightError where loss or gradient is not finite."""
        for micro in batches:
            loss = self.loss(micro, num_sequences)
            if not math.isfinite(loss.item()):
                raise not_finite(stage, step, "value loss", [micro])
            (loss if micro.counts else 0 * loss).backward()
            optimiser.accumulate()
        norm = optimiser.step()
        if not math.isfinite(norm):
            raise not_finite(stage, step, "gradient of the value model", list(batches))
        return norm

    @torch.no_grad()
    def fit(
        self, batches: Sequence[ValueBatch], num_sequences: int, values: Sequence[Tensor] | None = None
    ) -> tuple[float | None, float]:
        """Explained variance and value loss (not clipped) over all batches of a step.

        values: V of the batches; None computes them as the model is now. To be called by all processes alike.
        """
        returns, errors, loss = Moments(), Moments(), 0.0
        for i, micro in enumerate(batches):
            now = self.expected(micro.batch) if values is None else values[i]
            if not micro.counts:
                continue
            error = (micro.returns - now).where(micro.mask, 0.0)
            returns += Moments.of(micro.returns, micro.mask)
            errors += Moments.of(error, micro.mask)
            loss += sequence_mean(error.square() / 2, micro.mask, num_sequences).item()
        returns, errors = over_processes([returns, errors], self.model.device)
        total = parallel.add_up({"loss": loss}, parallel.world(), self.model.device)["loss"]
        return explained_variance(returns, errors), total

    def save(self, folder: Path) -> None:
        """Write it as a folder that `load` takes as `value_model`; to be called by all processes."""
        save(self.model, folder)
        if self.scale is not None and parallel.world().is_main:
            heads.write_scale(folder, self.scale)


def optimiser_recipe(recipe: RLRecipe) -> OptimiserRecipe:
    """The policy's with the rate of the value model."""
    lr = FASTER * recipe.optimiser.lr if recipe.value_lr is None else recipe.value_lr
    return dataclasses.replace(recipe.optimiser, lr=lr)


def _twin(lm: LanguageModel) -> LanguageModel:
    """The same model in modules of its own, on the same weights."""
    shared = {id(tensor): tensor for tensor in (*lm.model.parameters(), *lm.model.buffers())}
    return LanguageModel(copy.deepcopy(lm.model, shared), lm.tokenizer)


def _freeze(model: Any, trainable: str) -> None:
    """Freeze what of a value model is not trained."""
    if trainable == "all":
        return
    model.requires_grad_(trainable == "mlp")
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding) or "attention" in type(module).__name__.lower():
            module.requires_grad_(False)
    getattr(model, HEAD).requires_grad_(True)

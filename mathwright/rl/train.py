"""The inner part of Algorithm 1: sample questions, sample G responses to each, reward, advantages, mu updates.

    step   D_b drawn -> pi_old = pi_theta -> G responses -> rewards -> advantages -> mu updates of Eq. 3
                                  ^                                                       |
                                  └───────────────── the same weights ────────────────────┘

Everything random is a pure function of (seed, step), so a run killed at any moment goes on from its last checkpoint
with the same result to the bit on CPU.

pi(o_t) is the distribution the tokens are drawn from, so logits are divided by the sampling temperature in training
too, for the policy and for the reference (the paper does not say). top_p and top_k are not modelled, as nowhere else.
Weights are trained without dropout: with it pi_theta would not be the policy that drew the responses.

Measurements of kind "train", one a step:

    reward_mean, reward_std     over the scored responses
    accuracy                    share of correct final answers
    kl                          k3 to the reference, nats a token (mean over tokens, then responses)
    entropy                     mean of -log pi over the drawn tokens: an estimate of the entropy, nats a token
    response_tokens, truncated  mean length; share that ran into a limit
    tool_calls                  programs run, mean over responses
    equal_reward_groups         share of groups in which there is nothing to prefer
    unscored                    share of responses without a reward
    logprob_gap, _max           |log-probability in the generator - in training|, mean and maximum over tokens
    ratio, clip_fraction        pi / pi_old, and the share of tokens clipped; of the last update
    gradient_coefficient        mean |GC| of Eq. 5
    loss, grad_norm, lr         of the last update
    num_trained                 responses trained on
    seconds_generate, seconds_reward, seconds_train, generated_tokens_per_s, trained_tokens_per_s
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint, reward_head
from mathwright.lm.generate import Generator, Tool
from mathwright.lm.load import LanguageModel, load, save
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.loop import CHECKPOINTS
from mathwright.lm.optimise import Optimiser
from mathwright.lm.pack import GroupBatch, TokenGroup, pack_groups
from mathwright.problems.templates import write_template
from mathwright.records import Problem, RolloutGroup
from mathwright.rl import methods, rewards
from mathwright.rl.check import check
from mathwright.rl.guards import Guards
from mathwright.rl.losses import LossStats
from mathwright.rl.methods import Method, TrainingGroup
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.rewards import Reward
from mathwright.rl.rollout import (
    Prompt,
    RolloutFile,
    drawn_indices,
    explore,
    group_statistics,
    judge_groups,
    prepare_prompts,
    response_seed,
    tool_for,
)
from mathwright.run import Stage

Values = dict[str, float | int | str | None]


def run(
    recipe: RLRecipe,
    stage: Stage,
    *,
    model: str | Path,
    reward_model: str | Path | None,
    problems: Sequence[Problem],
    template: str,
    dtype: str,
    seed: int,
    device: str = "cpu",
) -> None:
    """Train `model` by reinforcement; outputs model and rollouts.

    Args:
        recipe: method, reward and sizes.
        stage: where to write.
        model: the SFT model; also the reference pi_ref, kept frozen in `dtype`.
        reward_model: folder of the reward stage; needed where recipe.reward is model.
        problems: questions with reference answers.
        template: prompt template, that of SFT.
        dtype: type of the weights.
        seed: of the order of the questions and of the responses.
        device: where the models live.

    Raises MathwrightError, before the first step, for a recipe or problems that cannot be trained on; and where loss or
    gradient is not finite, the guilty micro-batch saved.
    """
    check(recipe)
    lm = load(model, dtype=dtype, device=device)
    method = methods.from_recipe(recipe)
    judge_model = reward_head.load(reward_model, dtype=dtype, device=device) if reward_model is not None else None
    terms = rewards.from_recipe(recipe, judge_model)
    prompts = prepare_prompts(
        problems,
        lm=lm,
        mode=recipe.mode,
        template=template,
        max_new_tokens=recipe.sampling.max_new_tokens,
        stage=stage,
    )
    frozen = None
    if method.uses_reference or method.data == "sft":
        frozen = load(model, dtype=dtype, device=device)
        frozen.model.requires_grad_(False)
    training = _Training(recipe, stage, lm, frozen, method, terms, prompts, seed)
    training.complete()
    save(lm, stage.path / "model")
    write_template(stage.path / "model", template)
    stage.finish(
        outputs={"model": stage.path / "model", "rollouts": stage.path / "rollouts.jsonl"},
        summary=_summary(recipe, stage),
    )
    shutil.rmtree(stage.path / CHECKPOINTS, ignore_errors=True)


@dataclass(slots=True)
class _MicroBatch:
    """Some responses of a step, with what the updates need of them; all tensors [B, T]."""

    batch: GroupBatch
    weights: Tensor
    sampled_logprobs: Tensor
    ref_logprobs: Tensor | None
    behavior_logprobs: Tensor | None = None
    """log pi_old: those of the first forward pass, which no update precedes; so it costs no pass of its own."""


@dataclass(slots=True)
class _Training:
    """A training in progress."""

    recipe: RLRecipe
    stage: Stage
    lm: LanguageModel
    frozen: LanguageModel | None
    """The model the training began with."""
    method: Method
    rewards: Sequence[tuple[Reward, float]]
    prompts: Sequence[Prompt]
    seed: int
    guards: Guards = field(default_factory=Guards)

    def complete(self) -> None:
        """Train from the last checkpoint, or from the beginning, to the last step."""
        recipe, stage = self.recipe, self.stage
        optimiser = Optimiser(self.lm.model, recipe.optimiser, num_steps=recipe.num_steps * recipe.inner_updates)
        folder, rollouts = stage.path / CHECKPOINTS, RolloutFile(stage.path / "rollouts.jsonl")
        start = 0
        if (newest := checkpoint.latest(folder)) is not None:
            start = checkpoint.restore(newest, lm=self.lm, optimiser=optimiser).step
            stage.say(f"going on behind step {start} of {recipe.num_steps}")
        for kind in ("train", "warning", "unscored"):
            stage.rewind_metrics(start, kind)
        rollouts.rewind(start)
        for earlier in stage.metrics():
            if earlier.get("kind") == "train":
                self.guards.warnings(earlier["step"], earlier)  # what has been said already is not said again
        self.lm.model.eval()
        with tool_for(recipe.mode) as tool, stage.progress(recipe.method, total=recipe.num_steps) as advance:
            advance(start)
            for step in range(start, recipe.num_steps):
                groups, values = self._explore(step, tool)
                values |= self._learn(step, groups, optimiser)
                rollouts.append(step, groups[: recipe.saved_groups])
                self._report(step, values)
                advance(1)
                if recipe.checkpoint_every and (step + 1) % recipe.checkpoint_every == 0:
                    checkpoint.save(folder, lm=self.lm, optimiser=optimiser, step=step + 1)

    # -- exploration --

    def _explore(self, step: int, tool: Tool | None) -> tuple[list[RolloutGroup], Values]:
        recipe = self.recipe
        drawn = drawn_indices(len(self.prompts), recipe.problems_per_step, step, self.seed)
        asked = [self.prompts[i] for i in drawn]
        seeds = [[response_seed(self.seed, step, p, g) for g in range(recipe.group_size)] for p in range(len(asked))]
        source = self.lm if self.method.data == "policy" else self.frozen
        assert source is not None
        began = time.monotonic()
        completions = explore(
            Generator(source, max_batch=recipe.generation_batch),
            asked,
            recipe.sampling,
            seeds=seeds,
            tool=tool,
            max_tool_rounds=recipe.max_tool_rounds,
        )
        generated = time.monotonic()
        judged = judge_groups(
            asked,
            completions,
            self.rewards,
            step_tokenizer=self.lm.tokenizer if recipe.method == "grpo_process" else None,
        )
        for reason, count in judged.unscored.most_common():
            self.stage.log(step, kind="unscored", reason=reason, count=count)
        num_tokens = sum(len(c.tokens) for row in completions for c in row)
        return judged.groups, {
            **group_statistics(judged.groups),
            "seconds_generate": round(generated - began, 3),
            "seconds_reward": round(time.monotonic() - generated, 3),
            "generated_tokens_per_s": round(num_tokens / (generated - began), 1),
        }

    # -- learning --

    def _learn(self, step: int, groups: Sequence[RolloutGroup], optimiser: Optimiser) -> Values:
        """The mu updates of a step. Where the method finds nothing to train on (DPO without a pair) there is none."""
        began = time.monotonic()
        chosen = self.method.training_groups(groups)
        num_sequences = sum(len(group.tokens.responses) for group in chosen)
        if not num_sequences:
            return {"num_trained": 0}
        micro_batches = [self._prepared(batch, chosen) for batch in self._packed([group.tokens for group in chosen])]
        values: Values = {"num_trained": num_sequences}
        for update in range(self.recipe.inner_updates):
            lr = optimiser.lr
            values |= self._update(step, micro_batches, num_sequences, optimiser, first=update == 0)
            values["lr"] = lr
        seconds = time.monotonic() - began
        num_tokens = self.recipe.inner_updates * sum(m.batch.num_tokens for m in micro_batches)
        return values | {
            "seconds_train": round(seconds, 3),
            "trained_tokens_per_s": round(num_tokens / seconds, 1),
        }

    def _packed(self, groups: Sequence[TokenGroup]) -> list[GroupBatch]:
        limit = self.recipe.micro_batch_tokens
        if self.method.unsplittable:
            limit = max(limit, *(len(group.prompt) + sum(map(len, group.responses)) for group in groups))
        return pack_groups(groups, limit)

    def _prepared(self, batch: GroupBatch, groups: Sequence[TrainingGroup]) -> _MicroBatch:
        width = batch.response_mask.shape[1]
        weights = torch.stack([groups[g].weights[i, :width] for g, i in batch.rows])
        sampled = torch.zeros(weights.shape)
        for b, (g, i) in enumerate(batch.rows):
            logprobs = groups[g].sampled_logprobs[i]
            sampled[b, : len(logprobs)] = torch.tensor(logprobs)
        ref = None
        if self.method.uses_reference:
            assert self.frozen is not None
            with torch.no_grad():
                ref = response_logprobs(self.frozen, batch, self.recipe.sampling.temperature)
        device = self.lm.device
        return _MicroBatch(batch, weights.to(device), sampled.to(device), ref)

    def _update(
        self, step: int, micro_batches: Sequence[_MicroBatch], num_sequences: int, optimiser: Optimiser, *, first: bool
    ) -> Values:
        """One update on all responses of the step."""
        loss, stats = 0.0, [0.0] * len(LossStats._fields)
        gaps = _Gaps()
        for micro in micro_batches:
            mask = micro.batch.response_mask.to(self.lm.device)
            policy = response_logprobs(self.lm, micro.batch, self.recipe.sampling.temperature)
            constant = policy.detach()
            if micro.behavior_logprobs is None:
                micro.behavior_logprobs = constant
            result = self.method.loss(
                policy,
                micro.behavior_logprobs,
                constant if micro.ref_logprobs is None else micro.ref_logprobs,
                micro.weights,
                mask,
                num_sequences=num_sequences,
            )
            if not math.isfinite(result.loss.item()):
                raise self._not_finite(step, "loss", [micro])
            result.loss.backward()
            optimiser.accumulate()
            loss += result.loss.item()
            stats = [total + value.item() for total, value in zip(stats, result.stats, strict=True)]
            if first:
                gaps.add(constant, micro.sampled_logprobs, mask)
        norm = optimiser.step()
        if not math.isfinite(norm):
            raise self._not_finite(step, "gradient", micro_batches)
        named: Values = dict(zip(LossStats._fields, stats, strict=True))
        if not self.method.uses_reference or self.recipe.method == "dpo":
            named["kl"] = None  # not measured, rather than 0
        values = named | {"loss": loss, "grad_norm": norm}
        if first and self.method.data == "policy":
            sampling = self.recipe.sampling
            values |= gaps.values(whole=sampling.top_p >= 1 and sampling.top_k == 0)
        return values

    def _not_finite(self, step: int, what: str, micro_batches: Sequence[_MicroBatch]) -> MathwrightError:
        path = self.stage.path / f"not-finite-step-{step}.pt"
        torch.save(list(micro_batches), path)
        return MathwrightError(
            f"{self.stage.name}: the {what} of step {step} is not finite; its batch is in {path}",
            hint="lower the learning rate or clip_norm; runs in bfloat16 may need float32 weights",
        )

    # -- reporting --

    def _report(self, step: int, values: Values) -> None:
        self.stage.log(step, kind="train", **values)
        numbers = {name: value for name, value in values.items() if not isinstance(value, str)}
        for line in self.guards.warnings(step, numbers):
            self.stage.log(step, kind="warning", message=line)
            self.stage.say(f"[yellow]warning[/] {line}")
        if (step + 1) % max(1, self.recipe.num_steps // 10) == 0:
            shown = ("reward_mean", "accuracy", "kl", "response_tokens", "truncated")
            told = ", ".join(f"{name} {values[name]:.3g}" for name in shown if isinstance(values.get(name), float))
            self.stage.say(f"step {step + 1} of {self.recipe.num_steps}: {told}")


@dataclass(slots=True)
class _Gaps:
    """Sums over the drawn tokens of a step."""

    num_tokens: int = 0
    surprise: float = 0.0
    gap: float = 0.0
    largest: float = 0.0

    def add(self, policy: Tensor, sampled: Tensor, mask: Tensor) -> None:
        """All [B, T]."""
        gaps = (policy - sampled).abs().where(mask, 0.0)
        self.num_tokens += int(mask.sum())
        self.surprise -= float(policy.where(mask, 0.0).sum())
        self.gap += float(gaps.sum())
        self.largest = max(self.largest, float(gaps.max()) if gaps.numel() else 0.0)

    def values(self, *, whole: bool) -> Values:
        """whole: nothing was cut off in sampling, so that generator and training speak of one distribution."""
        if not self.num_tokens:
            return {}
        found: Values = {"entropy": self.surprise / self.num_tokens}
        if whole:
            found |= {"logprob_gap": self.gap / self.num_tokens, "logprob_gap_max": self.largest}
        return found


def _summary(recipe: RLRecipe, stage: Stage) -> Values:
    """How it began and how it ended: means over the first and the last fifth of the steps."""
    measured = [m for m in stage.metrics() if m.get("kind") == "train"]
    window = max(1, len(measured) // 5)
    summary: Values = {
        "method": recipe.method,
        "reward": recipe.reward,
        "num_steps": len(measured),
        "num_responses": len(measured) * recipe.problems_per_step * recipe.group_size,
        "num_warnings": sum(m.get("kind") == "warning" for m in stage.metrics()),
    }
    for name in ("reward_mean", "accuracy", "response_tokens"):
        for moment, part in (("begin", measured[:window]), ("end", measured[-window:])):
            summary[f"{name}_{moment}"] = _mean(m.get(name) for m in part)
    for name in ("kl", "truncated", "equal_reward_groups", "logprob_gap"):
        summary[f"{name}_end"] = _mean(m.get(name) for m in measured[-window:])
    for name in ("seconds_generate", "seconds_reward", "seconds_train"):
        summary[name] = round(sum(m.get(name) or 0.0 for m in measured), 1)
    return summary


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return round(sum(known) / len(known), 6) if known else None

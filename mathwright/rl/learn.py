"""The learning of a step: packed micro-batches, log-probabilities of reference and behaviour, weights, mu updates.

    training groups ─┬─ minibatch 1 ── micro-batches ── loss, backward ── update ┐
                     └─ minibatch 2 ── ...                                       ├─ mu times
                                                                                 ┘
log pi_old are those of the policy as it explored: of the first minibatch they are those of its first forward pass,
which no update precedes; of the others they are computed before the first update. As soon as they are known the method
gives each token its weight (`Method.weights`): no update moves it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm import parallel
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.loop import not_finite, save_batch
from mathwright.lm.model import LanguageModel
from mathwright.lm.optimise import Optimiser
from mathwright.lm.pack import GroupBatch, pack_groups
from mathwright.records import RolloutGroup
from mathwright.rl.divergence import k3
from mathwright.rl.explore import Values
from mathwright.rl.losses import LossStats, sequence_mean
from mathwright.rl.methods.base import Method, ScoredBatch, TrainingGroup
from mathwright.rl.methods.table import TABLE_10
from mathwright.rl.models import Frozen
from mathwright.rl.recipe import RLRecipe
from mathwright.run import Stage


@dataclass(slots=True)
class MicroBatch:
    """Some responses of a step, with what the updates need of them; all tensors [B, T]."""

    batch: GroupBatch
    group_weights: Tensor
    """Those of the training groups."""
    sampled_logprobs: Tensor
    """What the generator says."""
    ref_logprobs: Tensor | None
    initial_logprobs: Tensor | None
    """Of the model the first iteration began with, where that is measured."""
    counts: bool
    """False where a process runs it only to keep the others company (`lm.parallel.share_of_rank`)."""
    scored: ScoredBatch | None = None
    weights: Tensor | None = None
    """What the method made of `scored`."""

    def score(self, behavior_logprobs: Tensor, method: Method) -> tuple[ScoredBatch, Tensor]:
        """What the loss takes as constant, and the weights: computed the first time, from log pi_old, then kept."""
        if self.scored is None or self.weights is None:
            device = behavior_logprobs.device
            self.scored = ScoredBatch(
                groups=torch.tensor([g for g, _ in self.batch.rows], device=device),
                response_mask=self.batch.response_mask.to(device),
                group_weights=self.group_weights,
                behavior_logprobs=behavior_logprobs,
                ref_logprobs=self.ref_logprobs,
            )
            self.weights = method.weights(self.scored)
        return self.scored, self.weights


@dataclass(frozen=True, slots=True)
class Minibatch:
    """What one update is made on."""

    micro_batches: list[MicroBatch]
    """Of this process."""
    num_sequences: int
    """Of all."""
    num_trained_tokens: int
    num_tokens: int
    """Those of the prompts too."""


@dataclass(frozen=True, slots=True)
class Learner:
    """Updates a policy on the groups of a step."""

    recipe: RLRecipe
    stage: Stage
    lm: LanguageModel
    reference: Frozen | None
    method: Method
    initial: Frozen | None = None
    """The model the first iteration began with: the KL to it is measured, not trained."""

    def learn(self, step: int, groups: Sequence[RolloutGroup], optimiser: Optimiser) -> Values:
        """The updates of a step. Where the method finds nothing to train on (DPO without a pair) there is none.

        Raises MathwrightError, the batch saved, where loss or gradient is not finite, or the generator and the training
        disagree by more than the recipe allows about the log-probabilities of the drawn tokens.
        """
        began = time.monotonic()
        chosen = self.method.training_groups(groups) if groups else []
        if not any(group.tokens.responses for group in chosen):
            return {"num_trained": 0}
        minibatches = [self._minibatch(part) for part in _parts(chosen, self.recipe.num_minibatches)]
        for minibatch in minibatches[1:]:
            for micro in minibatch.micro_batches:
                micro.score(self._frozen_logprobs(self.lm, micro.batch), self.method)
        values: Values = {"num_trained": sum(m.num_sequences for m in minibatches)}
        # the model the training began with has drawn what its first update is made on, too
        data = TABLE_10[self.recipe.method].data
        compares = data == "policy" or (data == "sft" and optimiser.num_updates == 0)
        measured = gaps = Gaps() if compares else None
        for update in range(self.recipe.inner_updates):
            for minibatch in minibatches:
                lr = optimiser.lr
                values |= self._update(step, minibatch, optimiser, gaps if update == 0 else None)
                values["lr"] = lr
                if data == "sft":
                    gaps = None  # from the second update on it is another model
        if measured is not None:
            values |= measured.everywhere(self.lm).values()
        seconds = time.monotonic() - began
        num_tokens = self.recipe.inner_updates * sum(minibatch.num_tokens for minibatch in minibatches)
        return values | {
            "seconds_train": round(seconds, 3),
            "trained_tokens_per_s": round(num_tokens / seconds, 1),
        }

    # -- batches --

    def _minibatch(self, groups: Sequence[TrainingGroup]) -> Minibatch:
        tokens = [group.tokens for group in groups]
        limit = self.recipe.micro_batch_tokens
        if self.method.unsplittable:
            limit = max(limit, *(len(group.prompt) + sum(map(len, group.responses)) for group in tokens))
        batches = pack_groups(tokens, limit)
        mine = parallel.share_of_rank(batches, parallel.world())
        return Minibatch(
            [self._micro_batch(batch, groups, counts) for batch, counts in mine],
            sum(len(group.responses) for group in tokens),
            sum(int(batch.response_mask.sum()) for batch in batches),
            sum(batch.num_tokens for batch in batches),
        )

    def _micro_batch(self, batch: GroupBatch, groups: Sequence[TrainingGroup], counts: bool) -> MicroBatch:
        width = batch.response_mask.shape[1]
        weights = torch.stack([groups[g].weights[i, :width] for g, i in batch.rows])
        sampled = torch.zeros(weights.shape)
        for b, (g, i) in enumerate(batch.rows):
            logprobs = groups[g].sampled_logprobs[i]
            sampled[b, : len(logprobs)] = torch.tensor(logprobs)
        ref = initial = None
        if self.method.uses_reference:
            assert self.reference is not None
            with self.reference.use() as reference:
                ref = self._frozen_logprobs(reference, batch)
        if self.initial is not None:
            with self.initial.use() as first:
                initial = self._frozen_logprobs(first, batch)
        return MicroBatch(batch, weights.to(self.lm.device), sampled.to(self.lm.device), ref, initial, counts)

    @torch.no_grad()
    def _frozen_logprobs(self, lm: LanguageModel, batch: GroupBatch) -> Tensor:
        return response_logprobs(lm, batch, self.recipe.sampling.temperature)

    # -- updates --

    def _update(self, step: int, minibatch: Minibatch, optimiser: Optimiser, gaps: Gaps | None) -> Values:
        """One update. gaps: where to add what the generator and the training say of the tokens, before any update."""
        sums = dict.fromkeys(("loss", *LossStats._fields), 0.0)
        if self.initial is not None and gaps is not None:
            sums["kl_initial"] = 0.0
        for micro in minibatch.micro_batches:
            policy = response_logprobs(self.lm, micro.batch, self.recipe.sampling.temperature)
            scored, weights = micro.score(policy.detach(), self.method)
            if gaps is not None and micro.counts:
                gaps.add(scored.behavior_logprobs, micro.sampled_logprobs, scored.response_mask)
                if micro.initial_logprobs is not None:
                    kl = k3(scored.behavior_logprobs, micro.initial_logprobs)
                    sums["kl_initial"] += sequence_mean(kl, scored.response_mask, minibatch.num_sequences).item()
            result = self.method.loss(
                policy,
                scored,
                weights,
                num_sequences=minibatch.num_sequences,
                num_tokens=minibatch.num_trained_tokens,
            )
            if not math.isfinite(result.loss.item()):
                raise not_finite(self.stage, step, "loss", [micro])
            (result.loss if micro.counts else 0 * result.loss).backward()
            optimiser.accumulate()
            if micro.counts:
                sums["loss"] += result.loss.item()
                for name, value in zip(LossStats._fields, result.stats, strict=True):
                    sums[name] += value.item()
        values: Values = {**parallel.add_up(sums, parallel.world(), self.lm.device)}
        if gaps is not None:
            self._require_agreement(step, gaps.everywhere(self.lm), minibatch)
        norm = optimiser.step()
        if not math.isfinite(norm):
            raise not_finite(self.stage, step, "gradient", minibatch.micro_batches)
        if not self.method.uses_reference or TABLE_10[self.recipe.method].data != "policy":
            values["kl"] = None  # not measured, rather than 0; of responses that another model drew it is none
        return values | {"grad_norm": norm}

    def _require_agreement(self, step: int, gaps: Gaps, minibatch: Minibatch) -> None:
        if gaps.mean <= self.recipe.max_logprob_gap:
            return
        path = save_batch(self.stage, f"logprob-gap-step-{step}", minibatch.micro_batches)
        raise MathwrightError(
            f"{self.stage.name}: at step {step} the log-probabilities of the drawn tokens differ by {gaps.mean:.3g} on "
            f"average between generator and training, more than rl.max_logprob_gap = {self.recipe.max_logprob_gap:g}; "
            f"the batch is in {path}",
            hint="what would be trained is not what was drawn: look for other weights, a wrong prompt or mask, or "
            "another temperature; rounding alone stays below 0.1 (float32 weights have less)",
        )


@dataclass(slots=True)
class Gaps:
    """Sums over the drawn tokens of a step."""

    num_tokens: int = 0
    surprise: float = 0.0
    gap: float = 0.0
    largest: float = 0.0

    def add(self, policy: Tensor, sampled: Tensor, mask: Tensor) -> None:
        """What training says, what the generator says, which tokens were drawn; all [B, T]."""
        gaps = (policy - sampled).abs().where(mask, 0.0)
        self.num_tokens += int(mask.sum())
        self.surprise -= float(policy.where(mask, 0.0).sum())
        self.gap += float(gaps.sum())
        self.largest = max(self.largest, float(gaps.max()) if gaps.numel() else 0.0)

    def everywhere(self, lm: LanguageModel) -> Gaps:
        """Those of all processes together."""
        world = parallel.world()
        sums = {"num_tokens": self.num_tokens, "surprise": self.surprise, "gap": self.gap}
        total = parallel.add_up(sums, world, lm.device)
        largest = max(parallel.gather([self.largest], world))
        return Gaps(int(total["num_tokens"]), total["surprise"], total["gap"], largest)

    @property
    def mean(self) -> float:
        return self.gap / self.num_tokens if self.num_tokens else 0.0

    def values(self) -> Values:
        if not self.num_tokens:
            return {}
        return {
            "entropy": self.surprise / self.num_tokens,
            "logprob_gap": self.mean,
            "logprob_gap_max": self.largest,
        }


def _parts(groups: Sequence[TrainingGroup], num_parts: int) -> list[Sequence[TrainingGroup]]:
    """Cut into at most `num_parts` runs of as nearly equal numbers of groups as can be; none is empty."""
    num_parts = min(num_parts, len(groups))
    bounds = [round(i * len(groups) / num_parts) for i in range(num_parts + 1)]
    return [groups[start:stop] for start, stop in pairwise(bounds)]

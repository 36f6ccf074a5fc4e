"""The models of a training: the policy, what it is compared with or began as, and what values its responses.

pi_ref and the model the training began with are models of their own that are only read, or, under LoRA, the policy with
its adapters off. Which of the two is nobody's business outside: `Frozen.use` gives a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mathwright.engines.engine import TokenEngine
from mathwright.errors import MathwrightError
from mathwright.lm import lora, parallel
from mathwright.lm.activations import checkpoint_activations
from mathwright.lm.ending import stop_at
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.model import LanguageModel, require_same_vocabulary
from mathwright.lm.optimise import Optimiser
from mathwright.problems.turns import turn
from mathwright.rl.critic import Critic
from mathwright.rl.methods.base import Method
from mathwright.rl.methods.table import TABLE_10
from mathwright.rl.recipe import RLRecipe


@dataclass(frozen=True, slots=True)
class Frozen:
    """A model that is only read."""

    lm: LanguageModel
    without_adapters: bool
    """Whether it is `lm` with its adapters off."""

    @contextmanager
    def use(self) -> Iterator[LanguageModel]:
        with ExitStack() as stack:
            if self.without_adapters:
                stack.enter_context(lora.reference(self.lm))
            yield self.lm


POLICY, CRITIC = "policy", "critic"
"""Their names in the checkpoints."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What is trained, and its optimisers, by their names in the checkpoints."""

    parts: dict[str, torch.nn.Module]
    optimisers: dict[str, Optimiser]

    @classmethod
    def of(
        cls, policy: LanguageModel, optimiser: Optimiser, critic: Critic | None, value_optimiser: Optimiser | None
    ) -> Trained:
        """A policy, and a value model where there is one."""
        if critic is None or value_optimiser is None:
            return cls({POLICY: policy.model}, {POLICY: optimiser})
        parts = {POLICY: policy.model, CRITIC: critic.model.model}
        return cls(parts, {POLICY: optimiser, CRITIC: value_optimiser})


@dataclass(slots=True, kw_only=True)
class Models:
    """The policy and the frozen models its method needs."""

    recipe: RLRecipe
    source: str | Path
    """Where the policy's first weights came from."""
    dtype: str
    policy: LanguageModel
    reference: Frozen | None
    """pi_ref."""
    start: Frozen | None
    """The model the training began with, where it is that which explores."""
    critic: Critic | None
    """The value model, where the method has one."""
    initial: Frozen | None
    """The model the first iteration of Algorithm 1 began with, where that is measured."""
    max_length: int
    """Most tokens of a prompt and its response."""
    _vllm: Any = field(default=None, init=False)

    @classmethod
    def load(
        cls,
        recipe: RLRecipe,
        method: Method,
        model: str | Path,
        *,
        initial: str | Path | None = None,
        template: str,
        dtype: str,
        device: str,
        seed: int,
        reward_model: str | Path | None = None,
        value_model: str | Path | None = None,
    ) -> Models:
        """Load what is needed, attach adapters, and shard over the processes where there are several.

        What generates stops at the end token of `template`. `reward_model` and `value_model` are folders that a value
        model may begin as (`Critic.load`).

        Raises MathwrightError where a source cannot be loaded, or the reference, the teacher or the value model has
        another vocabulary.
        """
        world = parallel.world()
        if recipe.engine == "vllm" and world.size > 1:
            raise MathwrightError(
                "rl.engine=vllm runs in one process, not under torchrun",
                hint="set rl.engine=local, or start it without torchrun",
            )
        policy = load(model, dtype=dtype, device=device)
        end = turn(template, policy.tokenizer).end
        stop_at(policy, end)
        critic = None
        if method.uses_values:
            critic = Critic.load(
                recipe, policy, model=model, reward_model=reward_model, value_model=value_model, dtype=dtype,
                device=device, seed=seed, end=end,
            )  # fmt: skip
        if recipe.lora is not None:
            lora.attach(policy, recipe.lora, seed=seed)

        def frozen(source: str | Path) -> Frozen:
            if recipe.lora is not None and source == model:
                return Frozen(policy, without_adapters=True)
            other = load(source, dtype=dtype, device=device)
            # on a CPU the weights stay in the file's own pages where they are stored in `dtype`
            other.model.requires_grad_(False)
            stop_at(other, end)
            return Frozen(other, without_adapters=False)

        start = frozen(model) if TABLE_10[recipe.method].data == "sft" else None
        reference = None
        if method.uses_reference:
            source = recipe.teacher or recipe.reference or model
            reference = start if start is not None and source == model else frozen(source)
            what = "teacher" if recipe.teacher else "reference"
            require_same_vocabulary(policy, reference.lm, f"the {what} {source}")
        first = None
        if initial is not None:
            same = reference is not None and initial == recipe.reference
            first = reference if same else frozen(initial)
        if recipe.checkpoint_activations:
            checkpoint_activations(policy, True)
        used = [f for f in (Frozen(policy, False), reference, start, first) if f is not None]
        for lm in {id(f.lm): f.lm for f in used}.values():
            parallel.shard(lm, world)
        if critic is not None:
            critic.shard()
        return cls(
            recipe=recipe, source=model, dtype=dtype, policy=policy, reference=reference, start=start, critic=critic,
            initial=first, max_length=policy.max_length,
        )  # fmt: skip

    @contextmanager
    def exploring_generator(self) -> Iterator[TokenEngine]:
        """What explores, with the weights of now: the policy, or the model the training began with.

        To be entered by all processes.
        """
        if self.start is not None:
            with self.start.use() as lm, parallel.unsharded(lm):
                yield self._generator(lm)
        elif self.recipe.engine == "vllm":
            yield self._updated_vllm()
        else:
            with self.generator() as generator:
                yield generator

    @contextmanager
    def generator(self) -> Iterator[Generator]:
        """Our own generator on the policy's weights. To be entered by all processes."""
        with parallel.unsharded(self.policy):
            yield self._generator(self.policy)

    def _generator(self, lm: LanguageModel) -> Generator:
        """It says how probable a token was over the whole vocabulary, or, where that is to be weighed, as drawn."""
        whole = self.recipe.truncated_sampling != "importance"
        return Generator(lm, max_batch=self.recipe.generation_batch, whole_logprobs=whole)

    def _updated_vllm(self) -> TokenEngine:
        from mathwright.engines.vllm_generator import VllmGenerator

        if self._vllm is None:
            self._vllm = VllmGenerator(
                self.source,
                dtype=self.dtype,
                max_length=self.max_length,
                max_batch=self.recipe.generation_batch,
                stop_tokens=sorted(self.policy.eos_token_ids),
            )
        self._vllm.update_weights(self.policy.model)
        return self._vllm

    def close(self) -> None:
        """Free what an engine holds."""
        if self._vllm is not None:
            self._vllm.close()
            self._vllm = None

"""A toy world: a random Llama of a few thousand weights, digits to write, and a reward for writing them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mathwright.lm.load import load
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.problems.templates import Prompt
from mathwright.records import Completion, Problem, Verdict
from mathwright.rl import training
from mathwright.rl.recipe import RewardTermRecipe, RLRecipe
from mathwright.run import RunDirectory, Stage

SCRATCH = ScratchRecipe(vocab_size=259, width=32, num_layers=2, num_heads=2, num_kv_heads=1, ffn_width=64)
PROBLEMS = [
    Problem(id=f"p{i}", question=f"{i} + {i}", answer=str(2 * i), source="toy", split="train") for i in range(1, 6)
]


def asked(problem: Problem, text: str) -> Prompt:
    """A problem in the words of a test."""
    return Prompt(problem=problem, mode="cot", text=text)


def share_of_digits(problem: Problem, completion: Completion) -> float:
    """1 where the response is all digits; the end token is no character and counts for nothing."""
    return sum(c in "0123456789" for c in completion.text) / max(1, len(completion.tokens))


def recipe(**changes: Any) -> RLRecipe:
    plain = RLRecipe(
        method="grpo",
        reward="rule",
        mode="cot",
        num_steps=3,
        problems_per_step=2,
        group_size=4,
        inner_updates=1,
        clip_eps=0.2,
        kl_coef=0.04,
        advantage_std="population",
        advantage_eps=1e-6,
        sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=8),
        micro_batch_tokens=128,
        optimiser=OptimiserRecipe(
            lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0, clip_norm=1.0, warmup_steps=0, decay=()
        ),
        checkpoint_every=1,
        extra_rewards=(RewardTermRecipe(kind="function", weight=1.0, function="tests.rl.toy:share_of_digits"),),
    )
    if changes.get("method", "grpo") != "grpo":
        changes.setdefault("extra_rewards", ())
    return dataclasses.replace(plain, **changes)


SMOOTH = dataclasses.replace(recipe().optimiser, eps=1e-3)
"""For runs that must come out the same but for rounding: with a small eps Adam moves a weight whose gradient is nothing
but rounding as far as any other, and where to is a matter of the processor."""


def model_folder(folder: Path, seed: int = 0) -> Path:
    """A random model on disk."""
    texts = [p.question for p in PROBLEMS] * 3
    save(from_scratch(SCRATCH, texts, max_length=96, seed=seed), folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load(folder, dtype="float32").model.state_dict()


def tiny(folder: Path) -> LanguageModel:
    return load(folder, dtype="float32")


def stage(path: Path, name: str = "rl") -> Stage:
    return RunDirectory(path, recipe_name="toy", recipe={}).stage(name)


# --- trainings ---

SHORT = {
    "sampling": dataclasses.replace(recipe().sampling, max_new_tokens=2),
    "optimiser": dataclasses.replace(recipe().optimiser, lr=2e-2),
    "num_steps": 15,
    "problems_per_step": 4,
    "group_size": 16,
    "checkpoint_every": 0,
}


def run(
    path: Path,
    model: Path,
    *,
    problems: Sequence = PROBLEMS,
    solutions: Sequence = (),
    heldout: Sequence = (),
    reward_model: Path | None = None,
    value_samples: Sequence = (),
    **changes: Any,
) -> Stage:
    """A training by a recipe with changes."""
    where = stage(path)
    training.run(
        recipe(**changes),
        where,
        model=model,
        reward_model=reward_model,
        value_samples=value_samples,
        problems=problems,
        template="short",
        dtype="float32",
        seed=3,
        solutions=solutions,
        heldout=heldout,
    )
    return where


def measured(stage: Stage, kind: str = "train") -> list[dict[str, Any]]:
    return [m for m in stage.metrics() if m["kind"] == kind]


def same_weights(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return all(torch.equal(first[name], second[name]) for name in first)


def is_right(text: str) -> bool:
    """A question a random model answers rightly about half of the time: is the code of the first character even?"""
    return text != "" and ord(text[0]) % 2 == 0


def even_is_right(pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
    """Stands in for the checker of answers."""
    return [
        Verdict(status="correct" if is_right(text) else "incorrect", prediction=text, reference=reference)
        for text, reference in pairs
    ]

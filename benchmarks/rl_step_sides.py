"""The sides of `rl_step.py`: each runs in a process of its own, and prints what it measured as one line of JSON.

mathwright and trl are imported by the side that needs them: neither environment has the other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from clock import ADAM, CLIP_NORM, Clock, clocked_stage, peak_mb, synchronise, ticking, trainer_settings

LR, BETA, CLIP_EPS = 1e-6, 0.04, 0.2
METHODS: dict[str, dict[str, Any]] = {
    "grpo": {"method": "grpo"},
    "ppo": {"method": "ppo", "value_init": "policy", "value_updates": 1},  # as often as TRL trains its values
}
SENTENCE = " Tom has {a} apples, buys {b} bags with {c} apples each and gives {d} of them to his friends."


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A shape of a step."""

    prompt: int
    """Tokens of each prompt."""
    new: int
    """Tokens of each response."""
    num_prompts: int
    group: int
    """Responses to a prompt."""


def digit_share(text: str) -> float:
    """The reward of both sides: costs nothing, and differs between responses."""
    return sum(c.isdigit() for c in text) / max(1, len(text))


def digit_reward(_: object, completion: Any) -> float:
    """`digit_share` as `mathwright.rl` calls a reward function."""
    return digit_share(completion.text)


# --- what both sides are given --------------------------------------------------------------------


def prepare(job: Mapping[str, Any]) -> None:
    """Write the model and the prompts of each case."""
    from mathwright.lm.load import load
    from mathwright.lm.save import save
    from mathwright.problems.templates import SHORT

    folder = Path(job["folder"])
    lm = load(job["model"], dtype="bfloat16")
    save(lm, folder / "model")
    for name, case in job["cases"].items():
        questions = [_question(lm.tokenizer, case["prompt"], i) for i in range(case["num_prompts"])]
        texts = [SHORT["cot"].format(question=question) for question in questions]
        (folder / f"{name}.json").write_text(json.dumps({"questions": questions, "texts": texts}), encoding="utf-8")


def _question(tokenizer: Any, num_tokens: int, seed: int) -> str:
    """A question that makes a prompt of `num_tokens` tokens: as many sentences as fit, then words."""
    from mathwright.lm.tokenise import encode_prompt
    from mathwright.problems.templates import SHORT

    question = f"Number {seed}:"
    while True:
        count = sum(question.count(word) for word in ("Tom", "really"))
        numbers = {name: 2 + (seed * 7 + count * 3 + i) % 8 for i, name in enumerate("abcd")}
        for more in (SENTENCE.format(**numbers), " really"):
            if len(encode_prompt(tokenizer, SHORT["cot"].format(question=question + more))) <= num_tokens:
                question += more
                break
        else:
            return question


# --- ours -----------------------------------------------------------------------------------------


def run_ours(job: Mapping[str, Any]) -> dict[str, Any]:
    import mathwright
    from mathwright.lm.load import LanguageModel
    from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe
    from mathwright.records import Problem
    from mathwright.rl import training
    from mathwright.rl.recipe import RewardTermRecipe, RLRecipe

    clock = Clock(job["device"])

    case, folder = Case(**job["case"]), Path(job["folder"])
    prompts = json.loads((folder / f"{job['name']}.json").read_text(encoding="utf-8"))
    problems = [
        Problem(id=str(i), question=question, answer="12", source="benchmark", split="train")
        for i, question in enumerate(prompts["questions"])
    ]
    recipe = RLRecipe(
        **METHODS[job["method"]],
        reward="rule",  # whether the answer is right, which is nearly never so here; judging it is part of our step
        extra_rewards=(RewardTermRecipe(kind="function", weight=1.0, function=f"{Path(__file__).stem}:digit_reward"),),
        mode="cot",
        num_steps=1 + job["steps"],
        problems_per_step=case.num_prompts,
        group_size=case.group,
        inner_updates=1,
        clip_eps=CLIP_EPS,
        kl_coef=BETA,
        advantage_std="population",
        advantage_eps=1e-6,
        sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=case.new),
        micro_batch_tokens=job["micro_batch_tokens"],
        optimiser=OptimiserRecipe(lr=LR, clip_norm=CLIP_NORM, warmup_steps=0, decay=(), **ADAM),
        checkpoint_every=0,
        generation_batch=case.num_prompts * case.group,
        checkpoint_activations=job["checkpointing"],
        saved_groups=case.num_prompts,  # to see that all prompts were those of the other side
    )
    with tempfile.TemporaryDirectory() as directory:
        stage = clocked_stage("rl", directory, clock)
        # no token ends a response: one that is drawn in spite of its name is a token like any other
        with patch.object(LanguageModel, "eos_token_ids", frozenset()):
            training.run(
                recipe,
                stage,
                model=folder / "model",
                reward_model=None,
                problems=problems,
                template="short",
                dtype="bfloat16",
                seed=0,
                device=job["device"],
            )
        measured = [m for m in stage.metrics() if m["kind"] == "train"]
        drawn = {tuple(r["group"]["prompt_tokens"]) for r in _rows(stage.path / "rollouts.jsonl")}
    _require_full_length(case, [m["response_tokens"] for m in measured])
    return {
        **clock.steps(),
        "generate": [m["seconds_generate"] for m in measured[1:]],
        "prompts": _mark(drawn),
        "grad_norm": measured[-1]["grad_norm"],
        "reward_std": measured[-1]["reward_std"],
        "version": f"mathwright {mathwright.__version__}",
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- theirs ---------------------------------------------------------------------------------------


def run_trl(job: Mapping[str, Any]) -> dict[str, Any]:
    import trl  # pyright: ignore[reportMissingImports]
    from datasets import Dataset

    case, folder = Case(**job["case"]), Path(job["folder"])
    texts = json.loads((folder / f"{job['name']}.json").read_text(encoding="utf-8"))["texts"]
    batch = case.num_prompts * case.group
    per_device = min(job["trl_batch"] or batch, batch)
    if batch % per_device:
        raise SystemExit(f"--trl-batch {per_device} does not divide the {batch} responses of a step")
    clock = Clock(job["device"])
    generations: list[float] = []

    with tempfile.TemporaryDirectory() as directory:
        arguments = trl.GRPOConfig(
            use_cpu=job["device"] == "cpu",
            bf16=True,
            model_init_kwargs={"dtype": job["trl_weights"]},
            per_device_train_batch_size=per_device,
            gradient_accumulation_steps=batch // per_device,
            gradient_checkpointing=job["trl_checkpointing"],
            num_generations=case.group,
            max_completion_length=case.new,
            generation_kwargs={"min_new_tokens": case.new},
            mask_truncated_completions=False,
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            loss_type="grpo",
            beta=BETA,
            epsilon=CLIP_EPS,
            scale_rewards="group",
            num_iterations=1,
            shuffle_dataset=False,
            **trainer_settings(job, directory, lr=LR),
        )
        trainer = trl.GRPOTrainer(
            model=str(folder / "model"),
            reward_funcs=lambda completions, **_: [digit_share(text) for text in completions],
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": texts * (1 + job["steps"])}),
            callbacks=[ticking(clock)],
        )
        generate = trainer.model.generate

        def timed(*positional: Any, **named: Any) -> Any:
            began = time.perf_counter()
            result = generate(*positional, **named)
            synchronise(job["device"])
            generations.append(time.perf_counter() - began)
            return result

        trainer.model.generate = timed
        trainer.train()
    logged = [row for row in trainer.state.log_history if "grad_norm" in row]
    _require_full_length(case, [row["completions/min_length"] for row in logged])
    return {
        **clock.steps(),
        "generate": generations[1:],
        "prompts": _mark(set(map(tuple, trainer.processing_class(text=texts)["input_ids"]))),
        "grad_norm": logged[-1]["grad_norm"],
        "reward_std": logged[-1]["reward_std"],
        "version": f"trl {trl.__version__}",
    }


def run_trl_ppo(job: Mapping[str, Any]) -> dict[str, Any]:
    import rl_step_ppo

    result = rl_step_ppo.run(job, Case(**job["case"]), lr=LR, beta=BETA, clip_eps=CLIP_EPS)
    rows = result.pop("rows")
    return {**result, "prompts": _mark(set(map(tuple, rows)))}


# --- both -----------------------------------------------------------------------------------------


def _require_full_length(case: Case, lengths: list[float]) -> None:
    if any(length != case.new for length in lengths):
        raise SystemExit(f"responses of {lengths} tokens: the sides would not do the same work")


def _mark(prompts: set[tuple[int, ...]]) -> str:
    """Lengths and a hash of the prompts' tokens, by which the sides are seen to have been asked the same."""
    ordered = sorted(prompts)
    return f"{[len(p) for p in ordered]} tokens, {hashlib.sha256(repr(ordered).encode()).hexdigest()[:8]}"


def run_side(side: str, job: Mapping[str, Any]) -> None:
    import torch
    import transformers

    torch.set_num_threads(job["threads"])
    if side == "prepare":
        prepare(job)
        return
    sides = {"ours": run_ours, "trl": run_trl if job["method"] == "grpo" else run_trl_ppo}
    result = sides[side](job)
    libraries = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(json.dumps({"case": job["name"], "peak_mb": peak_mb(job["device"]), "libraries": libraries, **result}))


def main() -> None:
    parser = argparse.ArgumentParser(description="One side of rl_step.py, which starts it.")
    parser.add_argument("side", choices=("prepare", "ours", "trl"))
    parser.add_argument("job", type=Path, help="a JSON file of the case and the settings")
    arguments = parser.parse_args()
    run_side(arguments.side, json.loads(arguments.job.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()

